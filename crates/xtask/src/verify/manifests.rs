//! Every crate is under the workspace's lints, among them the one that forbids unsafe code.

use crate::failure::Failure;
use crate::workspace::Workspace;

/// Names every manifest that does not take the workspace's lints.
pub(super) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let mut findings = Vec::new();
    for package in &workspace.metadata.packages {
        let path = package.manifest_path.as_std_path();
        let text = std::fs::read_to_string(path).map_err(Failure::file(path))?;
        if !takes_lints(&text) {
            findings.push(format!(
                "{}: add `[lints]` with `workspace = true`",
                path.display()
            ));
        }
    }
    Failure::of_findings(findings)
}

fn takes_lints(manifest: &str) -> bool {
    let mut section = "";
    manifest.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            section = line;
        }
        (section == "[lints]" && line == "workspace = true") || line == "lints.workspace = true"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lints_are_taken_in_their_own_section_only() {
        assert!(takes_lints(
            "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"
        ));
        assert!(!takes_lints("[lints]\n[dependencies]\nworkspace = true\n"));
        assert!(!takes_lints("[package]\nname = \"a\"\n"));
    }
}
