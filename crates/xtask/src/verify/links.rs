//! Links between the documents lead somewhere.
//!
//! Looked at are the links of every `*.md` that name a file of this repository, and the headings they
//! point to. Addresses elsewhere are left alone: nothing here needs a network.

use crate::failure::Failure;
use crate::workspace::Workspace;
use std::path::{Component, Path, PathBuf};

/// A link as it stands in a document.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    line: usize,
    target: String,
}

/// Names every link that leads nowhere.
pub(super) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let mut findings = Vec::new();
    for document in workspace.files(&["md"])? {
        for link in links(&workspace.read(&document)?) {
            if let Some(reason) = objection(workspace, &document, &link.target)? {
                let (document, line) = (document.display(), link.line);
                findings.push(format!("{document}:{line}: `{}` {reason}", link.target));
            }
        }
    }
    Failure::of_findings(findings)
}

/// What is wrong with a link.
fn objection(
    workspace: &Workspace,
    document: &Path,
    target: &str,
) -> Result<Option<String>, Failure> {
    if is_elsewhere(target) {
        return Ok(None);
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = match file {
        "" => document.to_owned(),
        _ => match resolve(document.parent().unwrap_or(Path::new("")), file) {
            Some(file) => file,
            None => return Ok(Some("leads out of the repository".to_owned())),
        },
    };
    if !workspace.root.join(&file).exists() {
        return Ok(Some("leads to nothing".to_owned()));
    }
    let is_document = file.extension().is_some_and(|extension| extension == "md");
    if heading.is_empty() || !is_document {
        return Ok(None);
    }
    let found = headings(&workspace.read(&file)?).any(|own| own == heading);
    Ok((!found).then(|| format!("names no heading of `{}`", file.display())))
}

/// Whether a link has a scheme, as `https:` and `mailto:`.
fn is_elsewhere(target: &str) -> bool {
    let scheme = target.split(['/', '#', '?']).next().unwrap_or_default();
    scheme.contains(':')
}

/// The file that a link in this folder names; `None` above the root.
fn resolve(folder: &Path, link: &str) -> Option<PathBuf> {
    let mut file = folder.to_owned();
    for component in Path::new(link).components() {
        match component {
            Component::Normal(name) => file.push(name),
            Component::CurDir => {}
            Component::ParentDir if file.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(file)
}

/// The links of a document: `[text](target)` and `[name]: target`, outside of code.
fn links(text: &str) -> Vec<Link> {
    prose(text)
        .flat_map(|(line, prose)| {
            let inline = prose
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split([')', ' ']).next());
            let reference = prose
                .strip_prefix('[')
                .and_then(|rest| rest.split_once("]: "))
                .and_then(|(_, rest)| rest.split_whitespace().next());
            let targets: Vec<String> = inline.chain(reference).map(str::to_owned).collect();
            targets.into_iter().map(move |target| Link { line, target })
        })
        .collect()
}

/// The names of a document's headings in links.
fn headings(text: &str) -> impl Iterator<Item = String> {
    // Code in a heading is part of its name, so that only fences are left out.
    unfenced(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len() && title.starts_with(' ')).then(|| slug(title))
    })
}

/// A heading as links name it: lower case, spaces as hyphens, punctuation left out.
fn slug(title: &str) -> String {
    let kept = title
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The numbered lines outside of fences, without what stands between backticks.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    unfenced(text).map(|(number, line)| (number, line.split('`').step_by(2).collect()))
}

/// The numbered lines outside of fences.
fn unfenced(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        (!fenced && !is_fence).then_some((index + 1, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_of_code() {
        let text =
            "[a](b.md) and [c](d.md#e \"title\")\n```\n[f](g.md)\n```\n`[h](i.md)`\n[j]: k.md\n";
        let found: Vec<_> = links(text)
            .into_iter()
            .map(|link| (link.line, link.target))
            .collect();
        let expected = [(1, "b.md"), (1, "d.md#e"), (6, "k.md")];
        assert_eq!(
            found,
            expected.map(|(line, target)| (line, target.to_owned()))
        );
    }

    #[test]
    fn addresses_elsewhere_are_left_alone() {
        assert!(is_elsewhere("https://example.org/a"));
        assert!(is_elsewhere("mailto:a@example.org"));
        assert!(!is_elsewhere("docs/a.md"));
        assert!(!is_elsewhere("#a:b"));
    }

    #[test]
    fn links_resolve_inside_of_the_repository_only() {
        assert_eq!(
            resolve(Path::new("docs"), "../README.md"),
            Some("README.md".into())
        );
        assert_eq!(
            resolve(Path::new("docs"), "./a/b.md"),
            Some("docs/a/b.md".into())
        );
        assert_eq!(resolve(Path::new("docs"), "../../a.md"), None);
        assert_eq!(resolve(Path::new("docs"), "/etc/passwd"), None);
    }

    #[test]
    fn headings_are_named_as_hosts_of_repositories_name_them() {
        let text = "# The way of a request\n```\n# not one\n```\n## `./run` & co.\n#hash\n";
        let found: Vec<_> = headings(text).collect();
        assert_eq!(found, ["the-way-of-a-request", "run--co"]);
    }
}
