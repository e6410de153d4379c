//! No file is too long to be one subject.

use crate::failure::Failure;
use crate::workspace::Workspace;
use std::path::Path;

/// The most lines that a file of code may have.
const LINES_MAX: usize = 800;

/// The languages that are looked at.
const CODE: [&str; 4] = ["rs", "py", "sh", "lua"];

/// Names every file of code that is too long.
pub(super) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let mut findings = Vec::new();
    for file in workspace.files(&CODE)? {
        findings.extend(finding(&file, &workspace.read(&file)?));
    }
    Failure::of_findings(findings)
}

fn finding(file: &Path, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| {
        let file = file.display();
        format!(
            "{file}: {lines} lines, more than {LINES_MAX}: it is two subjects, so make it two files"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        let of = |lines: usize| finding(Path::new("a.rs"), &"x\n".repeat(lines));
        assert_eq!(of(LINES_MAX), None);
        assert!(of(LINES_MAX + 1).is_some_and(|text| text.starts_with("a.rs: 801 lines")));
    }
}
