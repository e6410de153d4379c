//! `cargo xtask docs`: pages that are made from the code, so that they stay true.
//!
//! `docs/compatibility.md` compares the paths of Vault's API, of which `docs/vault-api.txt` beside this
//! file has a list, with the routes that the binary itself prints.

use crate::failure::Failure;
use crate::workspace::Workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

const API: &str = include_str!("docs/vault-api.txt");

/// What the remark begins with of a path whose verbs are there, and not all that they do in Vault.
const PARTLY: &str = "partly: ";

const PAGE: &str = "docs/compatibility.md";

const HEAD: &str = "\
# Compatibility with Vault's API
Every path of Vault's API, with those that OpenBao has besides, and whether this version serves it. Made by `cargo xtask docs` from the routes of the server; a test fails where it is not current. `*` stands for any name. Verbs: G read, W write (POST, PUT), P patch, D delete, L list, S scan.

Where a path is served, it behaves as [OpenBao's](https://openbao.org/api-docs/) does, and as Vault's where the two agree, but for what its remark says. On purpose different everywhere: a path without a mount is refused like one without rights; unknown parameters make a warning; a page of a listing is stable and not alphabetical.
";

/// Makes the pages; with `--check` only says whether they are current.
///
/// **Errors**: [`Failure`], where the server cannot be asked, or a page is not current.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            return Err(Failure::Usage(
                "usage: cargo xtask docs [--check]".to_owned(),
            ));
        }
    };
    let page = page(&routes(workspace)?)?;
    let file = workspace.root.join(PAGE);
    if check {
        let current = std::fs::read_to_string(&file).unwrap_or_default();
        if current == page {
            return Ok(());
        }
        return Err(Failure::Usage(format!(
            "{PAGE} is not current: run `cargo xtask docs`"
        )));
    }
    std::fs::write(&file, page)
        .map_err(|error| Failure::Usage(format!("cannot write {}: {error}", file.display())))
}

/// The routes as the binary prints them: verbs by path.
type Routes = BTreeMap<String, BTreeSet<char>>;

fn routes(workspace: &Workspace) -> Result<Routes, Failure> {
    let printed = match std::env::var_os("SECRETUM_BIN") {
        Some(binary) => output(Command::new(binary).args(["print", "routes"]))?,
        None => {
            let mut cargo = Command::new("cargo");
            let run = [
                "run",
                "--quiet",
                "--locked",
                "--package",
                "secretum-cli",
                "--",
            ];
            output(
                cargo
                    .args(run)
                    .args(["print", "routes"])
                    .current_dir(&workspace.root),
            )?
        }
    };
    let mut routes = Routes::new();
    for line in printed.lines() {
        let Some((verb, path)) = line.split_once(' ') else {
            continue;
        };
        let letter = match verb {
            "Read" => 'G',
            "Write" => 'W',
            "Patch" => 'P',
            "Delete" => 'D',
            "List" => 'L',
            "Scan" => 'S',
            _ => continue,
        };
        routes.entry(plain(path)).or_default().insert(letter);
    }
    Ok(routes)
}

fn output(command: &mut Command) -> Result<String, Failure> {
    let ran = command.output();
    let output = ran.map_err(|error| Failure::Usage(format!("cannot run {command:?}: {error}")))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::Usage(format!("{command:?} failed: {told}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A path with a star for each name in it.
fn plain(path: &str) -> String {
    let parts = path.trim_end_matches('/').split('/').map(|part| {
        if part.starts_with('{') || part.starts_with(':') {
            "*"
        } else {
            part
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A line of the list: path, verbs, remark.
struct Entry<'t> {
    path: &'t str,
    verbs: BTreeSet<char>,
    remark: &'t str,
}

fn entry(line: &str) -> Result<Entry<'_>, Failure> {
    let mut parts = line.split('|').map(str::trim);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(path), Some(verbs), remark, None) if !path.is_empty() => Ok(Entry {
            path,
            verbs: verbs.chars().filter(|verb| !verb.is_whitespace()).collect(),
            remark: remark.unwrap_or_default(),
        }),
        _ => Err(Failure::Usage(format!(
            "a line of the list cannot be read: `{line}`"
        ))),
    }
}

fn page(routes: &Routes) -> Result<String, Failure> {
    let (mut page, mut listed) = (HEAD.to_owned(), BTreeSet::new());
    let (mut served, mut all) = (0, 0);
    for line in API
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
    {
        if let Some(heading) = line.strip_prefix("# ") {
            let _ = write!(
                page,
                "\n## {heading}\n| path | in Vault | here | remark |\n|---|---|---|---|\n"
            );
            continue;
        }
        let Entry {
            path,
            verbs,
            remark,
        } = entry(line)?;
        let key = plain(path);
        let own = routes.get(&key).cloned().unwrap_or_default();
        listed.insert(key);
        let missing: String = verbs.difference(&own).collect();
        all += 1;
        let (lacks, remark) = match remark.strip_prefix(PARTLY) {
            Some(remark) => (true, remark),
            None => (false, remark),
        };
        served += u32::from(missing.is_empty() && !lacks);
        let here = match (missing.is_empty(), own.is_empty()) {
            (true, _) if lacks => "partly".to_owned(),
            (true, _) => "yes".to_owned(),
            (false, true) => "no".to_owned(),
            (false, false) => format!("partly: without {missing}"),
        };
        let verbs: String = verbs.iter().collect();
        let _ = writeln!(page, "| `{path}` | {verbs} | {here} | {remark} |");
    }
    let own: Vec<_> = (routes.iter())
        .filter(|(path, _)| !listed.contains(*path))
        .collect();
    page.push_str("\n## Ours, or under another name\n| path | verbs |\n|---|---|\n");
    for (path, verbs) in own {
        let verbs: String = verbs.iter().collect();
        let _ = writeln!(page, "| `{path}` | {verbs} |");
    }
    let _ = write!(
        page,
        "\n{served} of {all} paths of the list are served in full.\n"
    );
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_read_and_names_no_path_twice() {
        let mut seen = BTreeSet::new();
        for line in API
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("# "))
        {
            let entry = entry(line).unwrap();
            assert!(
                entry.verbs.iter().all(|verb| "GWPDLS".contains(*verb)),
                "{line}"
            );
            assert!(seen.insert(plain(entry.path)), "{line}");
        }
        assert!(seen.len() > 100);
    }

    #[test]
    fn what_is_served_is_told_by_its_verbs() {
        let routes = Routes::from([
            ("sys/mounts".to_owned(), BTreeSet::from(['G'])),
            ("sys/tools/hash".to_owned(), BTreeSet::from(['W'])),
            ("sys/loggers".to_owned(), BTreeSet::from(['G', 'W'])),
        ]);
        let page = page(&routes).unwrap();
        assert!(page.contains("| `sys/mounts` | G | yes |"));
        assert!(page.contains("| `sys/tools/hash` | W | partly | without `sha3-224` |"));
        assert!(page.contains("| `sys/loggers` | DGW | partly: without D |"));
        assert!(page.contains("\n1 of "));
        assert!(page.contains("| `sys/audit` | G | no |"));
        assert_eq!(plain("sys/mounts/{path+}/tune"), "sys/mounts/*/tune");
    }
}
