//! [`Workspace`]: the repository, its files, and the commands run in it.

use crate::failure::Failure;
use cargo_metadata::{Metadata, MetadataCommand};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Folders that hold nothing of the repository, whatever is in them.
const FOREIGN: [&str; 6] = [
    ".git",
    ".venv",
    ".peers",
    "target",
    "dev-data",
    "node_modules",
];

/// The file that marks a folder as made by a tool, as cargo marks what it builds into.
const CACHE_MARK: &str = "CACHEDIR.TAG";

/// The repository.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Its first folder.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// What cargo says of its packages, without their dependencies' own.
    pub(crate) metadata: Metadata,
}

impl Workspace {
    /// The workspace this binary was built from; the lock file is not touched.
    pub(crate) fn open() -> Result<Self, Failure> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(manifest)
            .no_deps()
            .other_options(["--locked".to_owned(), "--offline".to_owned()])
            .exec()?;
        Ok(Self {
            target: metadata.target_directory.clone().into_std_path_buf(),
            root: metadata.workspace_root.clone().into_std_path_buf(),
            metadata,
        })
    }

    /// Every file of the repository with one of these extensions, sorted, relative to the root.
    pub(crate) fn files(&self, extensions: &[&str]) -> Result<Vec<PathBuf>, Failure> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).map_err(Failure::file(&folder))? {
                let entry = entry.map_err(Failure::file(&folder))?;
                let path = entry.path();
                if entry.file_type().map_err(Failure::file(&path))?.is_dir() {
                    if !is_foreign(&path) {
                        folders.push(path);
                    }
                } else if has_extension(&path, extensions) {
                    found.push(path.strip_prefix(&self.root).unwrap_or(&path).to_owned());
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The text of a file given relative to the root.
    pub(crate) fn read(&self, file: &Path) -> Result<String, Failure> {
        let path = self.root.join(file);
        std::fs::read_to_string(&path).map_err(Failure::file(&path))
    }

    /// Runs cargo in the root.
    ///
    /// **Errors**: [`Failure::Command`] where it ends with an error.
    pub(crate) fn cargo(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let mut command = self.cargo_command(arguments);
        run(command.envs(environment.iter().copied()), NO_CARGO)
    }

    /// What cargo in the root prints on standard output, and how it ended.
    ///
    /// **Errors**: [`Failure::Missing`].
    pub(crate) fn cargo_output(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let mut command = self.cargo_command(arguments);
        let output = command.stderr(Stdio::inherit()).output();
        output.map_err(|source| missing(&command, NO_CARGO, source))
    }

    fn cargo_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        command.args(arguments).current_dir(&self.root);
        command
    }
}

/// What to do where there is no cargo.
const NO_CARGO: &str = "install Rust";

/// Runs a command that prints what is wrong by itself.
///
/// **Errors**: [`Failure::Command`], and [`Failure::Missing`] with the hint.
pub(crate) fn run(command: &mut Command, hint: &str) -> Result<(), Failure> {
    let status = command
        .status()
        .map_err(|source| missing(command, hint, source))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Command {
        command: words(command),
        status: status.to_string(),
    })
}

/// A [`Failure::Missing`] of a command.
pub(crate) fn missing(command: &Command, hint: &str, source: std::io::Error) -> Failure {
    let command = command.get_program().to_string_lossy().into_owned();
    Failure::Missing {
        command,
        hint: hint.to_owned(),
        source,
    }
}

/// The command as one would type it.
fn words(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let words = std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy);
    words.collect::<Vec<_>>().join(" ")
}

fn is_foreign(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    FOREIGN.iter().any(|foreign| name == *foreign) || folder.join(CACHE_MARK).exists()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|own| extensions.iter().any(|extension| own == *extension))
}
