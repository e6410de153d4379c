//! The functions of the library, by its own bench.

use super::Findings;
use crate::failure::Failure;
use crate::workspace::Workspace;
use std::collections::BTreeMap;

/// How a line of the bench begins.
const MARK: &str = "RESULT ";

/// What is shown: the name in the bench, the title, and the bytes.
const SHOWN: [(&str, &str); 6] = [
    ("age-encrypt-1k", "age, encrypt 1 KiB"),
    ("age-decrypt-1k", "age, decrypt 1 KiB"),
    ("envelope-seal-1k", "envelope, seal 1 KiB"),
    ("envelope-open-1k", "envelope, open 1 KiB"),
    ("envelope-seal-64k", "envelope, seal 64 KiB"),
    ("envelope-open-64k", "envelope, open 64 KiB"),
];

/// What is divided: the title, the cipher, the envelope, and the least that it should be.
const RATIOS: [(&str, &str, &str, Option<f64>); 4] = [
    (
        "envelope / AES-256-GCM, seal 1 KiB",
        "cipher-seal-1k",
        "envelope-seal-1k",
        None,
    ),
    (
        "envelope / AES-256-GCM, open 1 KiB",
        "cipher-open-1k",
        "envelope-open-1k",
        None,
    ),
    (
        "envelope / AES-256-GCM, seal 64 KiB",
        "cipher-seal-64k",
        "envelope-seal-64k",
        Some(0.8),
    ),
    (
        "envelope / AES-256-GCM, open 64 KiB",
        "cipher-open-64k",
        "envelope-open-64k",
        Some(0.8),
    ),
];

pub(super) fn measure(workspace: &Workspace, findings: &mut Findings) -> Result<(), Failure> {
    eprintln!("functions of the library");
    let bench = ["bench", "--locked", "--package", "secretum-kms"];
    let functions = ["--bench", "functions"];
    let output = workspace.cargo_output(&[&bench[..], &functions].concat())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = parse(&text);
    let of = |name: &str| {
        found.get(name).copied().ok_or_else(|| Failure::Bench {
            who: "secretum-kms".to_owned(),
            reason: format!("its bench told nothing of {name}"),
        })
    };
    for (name, title) in SHOWN {
        findings.number(title, format!("{:.1} µs", of(name)? / 1e3));
    }
    for (title, cipher, envelope, least) in RATIOS {
        findings.ratio(title, of(cipher)? / of(envelope)?, least);
    }
    Ok(())
}

/// Names and nanoseconds.
fn parse(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(MARK));
    let pairs = lines.filter_map(|line| line.split_once(' '));
    pairs
        .filter_map(|(name, number)| Some((name, number.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_bench_are_read() {
        let found = parse("warming up\nRESULT a-1k 250\nRESULT b x\nRESULT c\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found.get("a-1k"), Some(&250.0));
    }
}
