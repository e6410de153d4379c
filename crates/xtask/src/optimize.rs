//! `cargo xtask optimize`: the server, built with what the compiler learns from a run of it.
//!
//! The binary is built twice: first one that counts what is called how often, under the loads of the bench,
//! and then the one that is laid out by these counts (profile-guided optimization).

use crate::bench;
use crate::failure::Failure;
use crate::workspace::{Workspace, missing, run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to do where the counts cannot be read.
const NO_TOOLS: &str = "rustup component add llvm-tools";

/// Builds, and says where the binary is.
///
/// **Errors**: [`Failure::Missing`] where `wrk` or the tools of the compiler are not installed;
/// [`Failure::Command`] where a build fails.
pub(crate) fn optimize(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = arguments.first() {
        return Err(Failure::Usage(format!(
            "unknown argument `{unknown}`: see `cargo xtask help`"
        )));
    }
    let compiler = Compiler::find()?;
    let merge = compiler.profdata();
    if !merge.exists() {
        return Err(Failure::LeftOut(format!(
            "`{}` is not there: {NO_TOOLS}",
            merge.display()
        )));
    }
    let folder = workspace.target.join("optimized");
    let counts = folder.join("counts");
    // Those of another version would mislead.
    if counts.exists() {
        std::fs::remove_dir_all(&counts).map_err(Failure::file(&counts))?;
    }
    eprintln!("1 of 3: a server that counts");
    let counting = format!("-Cprofile-generate={}", counts.display());
    let counter = compiler.build(workspace, &folder.join("counting"), &counting)?;
    eprintln!("2 of 3: its loads");
    bench::train(workspace, counter)?;
    let profile = folder.join("secretum.profdata");
    let mut command = Command::new(&merge);
    command.args(["merge", "-o"]).arg(&profile).arg(&counts);
    run(&mut command, NO_TOOLS)?;
    eprintln!("3 of 3: the server that is laid out by them");
    let using = format!("-Cprofile-use={}", profile.display());
    let built = compiler.build(workspace, &folder.join("using"), &using)?;
    let binary = folder.join("secretum");
    std::fs::copy(&built, &binary).map_err(Failure::file(&binary))?;
    eprintln!("the server: {}", binary.display());
    Ok(())
}

/// The compiler of the workspace.
struct Compiler {
    /// The machine that it compiles for.
    host: String,
    /// Where it is installed.
    root: PathBuf,
}

impl Compiler {
    fn find() -> Result<Self, Failure> {
        let version = ask(&["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        Ok(Self {
            host: host.unwrap_or_default().to_owned(),
            root: PathBuf::from(ask(&["--print", "sysroot"])?.trim()),
        })
    }

    /// What makes one profile of many counts.
    fn profdata(&self) -> PathBuf {
        let tools = self.root.join("lib/rustlib").join(&self.host);
        tools.join("bin/llvm-profdata")
    }

    /// Builds the server with this flag, and says where it is. What runs while it is built is built
    /// without the flag.
    fn build(&self, workspace: &Workspace, folder: &Path, flag: &str) -> Result<PathBuf, Failure> {
        let place = folder.to_string_lossy();
        let what = [
            "build",
            "--release",
            "--locked",
            "--package",
            "secretum-cli",
        ];
        let whereto = ["--target", &self.host, "--target-dir", &place];
        workspace.cargo(&[&what[..], &whereto].concat(), &[("RUSTFLAGS", flag)])?;
        Ok(folder.join(&self.host).join("release/secretum"))
    }
}

fn ask(arguments: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new("rustc");
    command.args(arguments);
    let output = command.output();
    let output = output.map_err(|source| missing(&command, "install Rust", source))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
