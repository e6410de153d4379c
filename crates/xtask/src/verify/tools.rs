//! The steps that other programs do.

use crate::failure::Failure;
use crate::workspace::{Workspace, run};
use std::process::{Command, Stdio};

/// rustfmt has nothing to change; it prints the names of the files where it has.
pub(super) fn format(workspace: &Workspace) -> Result<(), Failure> {
    workspace.cargo(&["fmt", "--all", "--check", "--", "-l"], &[])
}

/// clippy has nothing to say, neither of the code nor of its tests.
pub(super) fn lints(workspace: &Workspace) -> Result<(), Failure> {
    let everything = [
        "clippy",
        "--locked",
        "--quiet",
        "--workspace",
        "--all-targets",
    ];
    workspace.cargo(
        &[everything.as_slice(), &["--", "-D", "warnings"]].concat(),
        &[],
    )
}

/// The documentation builds without a warning, which a broken link in it is.
///
/// Private items are in it: the heads of modules explain the inside to who works on it.
pub(super) fn documentation(workspace: &Workspace) -> Result<(), Failure> {
    let ours = [
        "doc",
        "--locked",
        "--quiet",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ];
    workspace.cargo(
        &ours,
        &[(
            "RUSTDOCFLAGS",
            "-D warnings -A rustdoc::private-intra-doc-links",
        )],
    )
}

/// cargo-deny accepts licences, bans and sources; left out where it is not installed.
pub(super) fn dependencies(workspace: &Workspace) -> Result<(), Failure> {
    let installed = Command::new("cargo-deny")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !installed {
        return Err(Failure::LeftOut(
            "cargo-deny, which checks licences, bans and sources, is not installed; `./test --all \
             verify` installs it"
                .to_owned(),
        ));
    }
    let mut deny = Command::new("cargo-deny");
    deny.args(["--offline", "--locked", "--log-level", "error"])
        .args([
            "check",
            "--hide-inclusion-graph",
            "licenses",
            "bans",
            "sources",
        ])
        .current_dir(&workspace.root);
    run(&mut deny, "install cargo-deny")
}
