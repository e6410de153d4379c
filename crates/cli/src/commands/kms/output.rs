//! [`Target`]: where a command's output goes, and a file that is there whole or not at all.

use super::interrupt::in_thread;
use crate::failure::Failure;
use crate::output::console;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};
use zeroize::Zeroizing;

/// Whether a file may be read by others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Privacy {
    /// Plaintext and keys: the owner's alone, from the start.
    Private,
    /// Ciphertext: as the user has files made.
    Public,
}

impl Privacy {
    /// The rights of a file, from which the user's mask takes some away.
    fn mode(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Public => 0o666,
        }
    }
}

/// Where output goes.
#[derive(Debug)]
pub(super) enum Target {
    /// Standard output.
    Stdout,
    /// A device or a pipe, written as it is.
    Special(File),
    /// A file that takes its place when it is whole.
    File {
        /// The file; dropped, it is gone.
        fresh: Fresh,
        /// Its place.
        path: PathBuf,
        /// Whether another one may stand there.
        force: bool,
    },
}

impl Target {
    /// Looks at the place that a flag names, so that what cannot be written is known before anything
    /// is done.
    ///
    /// **Errors**: where a file is there already and may not be replaced.
    pub(super) fn check(path: Option<&Path>, force: bool) -> Result<(), Failure> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(());
        };
        resolved(path)?;
        match std::fs::metadata(path) {
            Ok(facts) if facts.is_dir() => Err(Failure::local(format!(
                "`{}` is a folder; name a file in it",
                path.display()
            ))),
            Ok(facts) if facts.is_file() && !force => Err(there_already(path)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Prepares the place that a flag names; `-` and nothing mean standard output.
    ///
    /// **Errors**: as of [`Self::check`], and where no file can be made.
    pub(super) async fn open(
        path: Option<&Path>,
        force: bool,
        privacy: Privacy,
    ) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::Stdout);
        };
        Self::check(Some(path), force)?;
        let failed = |error| failed("write", path, &error);
        if std::fs::metadata(path).is_ok_and(|facts| !facts.is_file()) {
            // A pipe with a name waits for whoever reads.
            let special = path.to_owned();
            let opened = in_thread(move || OpenOptions::new().write(true).open(special));
            return opened.await?.map(Self::Special).map_err(failed);
        }
        // Where it is a link, what it leads to is replaced, and the link stays.
        let path = resolved(path)?;
        Ok(Self::File {
            fresh: Fresh::for_place(&path, privacy).map_err(failed)?,
            path,
            force,
        })
    }

    /// What is written to, for another thread. The file is in its place after [`Self::finish`] only.
    pub(super) fn writer(&self) -> Result<File, Failure> {
        let writer = match self {
            Self::Stdout => std::io::stdout()
                .as_fd()
                .try_clone_to_owned()
                .map(File::from),
            Self::Special(file) => file.try_clone(),
            Self::File { fresh, .. } => fresh.as_file().try_clone(),
        };
        writer.map_err(unwritten)
    }

    /// Puts a file that was written in its place.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stdout | Self::Special(_) => Ok(()),
            Self::File { fresh, path, force } => fresh.put(&path, force),
        }
    }

    /// Writes all of it, and puts it in its place.
    pub(super) async fn write(self, bytes: &[u8]) -> Result<(), Failure> {
        self.fill(bytes).await?;
        self.finish()
    }

    /// Writes all of it; a file is in its place after [`Self::finish`] only.
    pub(super) async fn fill(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut writer = self.writer()?;
        // A pipe takes what fits into it, and then waits for whoever reads.
        let bytes = Zeroizing::new(bytes.to_vec());
        let written = in_thread(move || writer.write_all(&bytes)).await?;
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe if matches!(self, Self::Stdout) => Failure::ClosedPipe,
            _ => unwritten(error),
        })
    }

    /// Whether people read it as it comes.
    pub(super) fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout => console::stdout_is_terminal(),
            Self::Special(file) => file.is_terminal(),
            Self::File { .. } => false,
        }
    }
}

/// How files begin that wait to take their place.
const PREFIX: &str = ".kms-";

/// The files of this process, by their descriptors.
const OWN_FILES: &str = "/proc/self/fd";

/// The most links that are followed to where nothing is.
const LINKS_MAX: usize = 40;

/// Where a file is or will be that links lead to.
///
/// **Errors**: where they lead in a circle.
fn resolved(path: &Path) -> Result<PathBuf, Failure> {
    if let Ok(there) = std::fs::canonicalize(path) {
        return Ok(there);
    }
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match std::fs::read_link(&path) {
            Ok(target) => path = folder(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(Failure::local(format!(
        "`{}` is a link that leads nowhere, through more than {LINKS_MAX} others",
        path.display()
    )))
}

/// A temporary file in the folder of another one, so that it can take its place.
pub(super) fn beside(
    path: &Path,
    privacy: Privacy,
    prefix: &str,
) -> std::io::Result<NamedTempFile> {
    Builder::new()
        .prefix(prefix)
        .permissions(Permissions::from_mode(privacy.mode()))
        .tempfile_in(folder(path))
}

/// A file that is being written.
#[derive(Debug)]
pub(super) enum Fresh {
    /// It has no name yet, so that nothing is left of it however the program ends.
    Nameless(File),
    /// Where the file system has no such, it stands beside its place.
    Named(NamedTempFile),
}

impl Fresh {
    fn for_place(path: &Path, privacy: Privacy) -> std::io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(privacy.mode());
        match open(folder(path), flags, mode) {
            Ok(file) if Path::new(OWN_FILES).is_dir() => Ok(Self::Nameless(file.into())),
            _ => beside(path, privacy, PREFIX).map(Self::Named),
        }
    }

    fn as_file(&self) -> &File {
        match self {
            Self::Nameless(file) => file,
            Self::Named(file) => file.as_file(),
        }
    }

    /// Puts it in its place, on the disk before this returns.
    fn put(self, path: &Path, force: bool) -> Result<(), Failure> {
        let failed = |error: std::io::Error| not_put(path, &error);
        self.as_file().sync_all().map_err(failed)?;
        let file = match self {
            Self::Named(file) => return place(file, path, force),
            Self::Nameless(file) => file,
        };
        if !force {
            name(&file, path).map_err(failed)?;
            return sync_folder(path);
        }
        let mut named = Builder::new();
        let named = named
            .prefix(PREFIX)
            .make_in(folder(path), |to| name(&file, to));
        place(named.map_err(failed)?, path, force)
    }
}

/// Gives a nameless file a name.
fn name(file: &File, path: &Path) -> std::io::Result<()> {
    let own = format!("{OWN_FILES}/{}", file.as_raw_fd());
    Ok(linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// Puts a file that is on the disk already in its place.
pub(super) fn place<F>(
    temporary: NamedTempFile<F>,
    path: &Path,
    force: bool,
) -> Result<(), Failure> {
    let kept = if force {
        temporary.persist(path)
    } else {
        temporary.persist_noclobber(path)
    };
    kept.map_err(|error| not_put(path, &error.error))?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> Result<(), Failure> {
    let synced = File::open(folder(path)).and_then(|folder| folder.sync_all());
    synced.map_err(|error| not_put(path, &error))
}

fn not_put(path: &Path, error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::AlreadyExists => there_already(path),
        _ => failed("write", path, error),
    }
}

/// The folder that a file stands in.
fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// What is said of output that does not get to its place.
pub(super) fn unwritten(error: std::io::Error) -> Failure {
    Failure::local(format!("cannot write: {error}"))
}

/// What is said of a file that cannot be worked on.
pub(super) fn failed(action: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::local(format!("cannot {action} `{}`: {error}", path.display()))
}

fn there_already(path: &Path) -> Failure {
    Failure::local(format!(
        "`{}` is there already; -force puts the new one in its place",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_file_is_replaced_only_where_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let open = |force| Target::open(Some(&path), force, Privacy::Private);
        open(false).await.unwrap().write(b"one").await.unwrap();
        assert_eq!(mode(&path), 0o600);
        let refused = open(false).await.unwrap_err().to_string();
        assert!(refused.contains("-force"), "{refused}");
        open(true).await.unwrap().write(b"two").await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        // One that appears meanwhile stays.
        std::fs::remove_file(&path).unwrap();
        let target = open(false).await.unwrap();
        std::fs::write(&path, "theirs").unwrap();
        assert!(target.write(b"three").await.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn what_is_not_finished_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let target = Target::open(Some(&path), false, Privacy::Public).await;
        let target = target.unwrap();
        target.fill(b"half of it").await.unwrap();
        // Not even a process that is killed now leaves anything.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(target);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let refused = Target::open(Some(folder.path()), true, Privacy::Public).await;
        assert!(refused.unwrap_err().to_string().contains("is a folder"));
    }

    #[tokio::test]
    async fn links_stay_and_devices_are_written_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("out"), folder.path().join("link"));
        std::fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let target = Target::open(Some(&link), true, Privacy::Public).await;
        target.unwrap().write(b"new").await.unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        // One that leads to nothing yet has it made there, and a circle is refused at once.
        std::fs::remove_file(&path).unwrap();
        let target = Target::open(Some(&link), false, Privacy::Public).await;
        target.unwrap().write(b"first").await.unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        let circle = folder.path().join("circle");
        std::os::unix::fs::symlink("circle", &circle).unwrap();
        let refused = Target::check(Some(&circle), true).unwrap_err().to_string();
        assert!(refused.contains("leads nowhere"), "{refused}");
        let null = Path::new("/dev/null");
        let target = Target::open(Some(null), false, Privacy::Private).await;
        target.unwrap().write(b"x").await.unwrap();
        assert!(!std::fs::metadata(null).unwrap().is_file());
    }
}
