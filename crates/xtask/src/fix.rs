//! `cargo xtask fix`: what can be mended without a person.

use crate::failure::Failure;
use crate::workspace::Workspace;

/// Applies clippy's suggestions, then formats.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    if let Some(argument) = arguments.first() {
        return Err(Failure::Usage(format!(
            "`fix` takes no argument, and `{argument}` is one"
        )));
    }
    let everything = [
        "--workspace",
        "--all-targets",
        "--allow-dirty",
        "--allow-staged",
    ];
    workspace.cargo(&[&["clippy", "--fix"], everything.as_slice()].concat(), &[])?;
    workspace.cargo(&["fmt", "--all"], &[])
}
