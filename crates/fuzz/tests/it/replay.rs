//! Runs a target over its corpus, and over changes of it.

use crate::mutate::{Dice, changed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_fuzz::Target;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Another seed searches elsewhere, and a factor longer.
const SEED: &str = "FUZZ_SEED";
const FACTOR: &str = "FUZZ_FACTOR";

/// Runs a target over its corpus, and over so many changes of it.
pub(crate) fn target(name: &str, changes: u64) {
    let target = secretum_fuzz::find(name).unwrap();
    let corpus = corpus(name);
    for (file, input) in &corpus {
        check(target, input, &file.display().to_string());
    }
    let seeds: Vec<&[u8]> = corpus.iter().map(|(_, input)| input.as_slice()).collect();
    let mut dice = Dice::new(number(SEED, 1));
    for round in 0..changes * number(FACTOR, 1) {
        check(
            target,
            &changed(&seeds, &mut dice),
            &format!("change {round}"),
        );
    }
}

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().unwrap())
}

/// Prints what it takes to keep the input, before it fails.
fn check(target: Target, input: &[u8], origin: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        let (name, text) = (target.name, STANDARD.encode(input));
        panic!(
            "`{name}` fails on {origin}; to keep it, write it below crates/fuzz/corpus/{name}:\n\
             base64 -d <<< '{text}'"
        );
    }
}

/// The files of a target's corpus, sorted, with what is in them. What other tests read is in it too.
pub(crate) fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![home.join("corpus").join(name)];
    if matches!(name, "hcl" | "policy") {
        let verdicts = std::fs::read_dir(home.join("..").join(name).join("tests/corpus"));
        let paths = verdicts.unwrap().map(|entry| entry.unwrap().path());
        folders.extend(paths.filter(|path| path.is_dir()));
    }
    let files = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}
