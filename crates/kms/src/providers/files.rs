//! Files with keys: read with their rights looked at, written whole or not at all.

#[cfg(any(feature = "age", feature = "local"))]
mod seen;

#[cfg(any(feature = "age", feature = "local"))]
pub(crate) use self::seen::Seen;

use crate::{Cause, KmsError, Result};
use secretum_crypto::SecretString;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// The most bytes of a file with keys.
pub(crate) const KEY_FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a file that holds private keys.
///
/// **Errors**: [`KmsError::FileRights`] where anybody but its owner may read or write it.
pub(crate) fn read_private(path: &Path) -> Result<SecretString> {
    let file = open(path)?;
    check_rights(&file, path)?;
    read(file, path)
}

/// Opens a file for reading, which is no pipe or device: nobody may ever write to the other end.
fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // To open a pipe waits for its writer.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path).map_err(KmsError::file("read", path))?;
    let metadata = file.metadata().map_err(KmsError::file("read", path))?;
    if metadata.is_file() {
        return Ok(file);
    }
    Err(KmsError::FileContent {
        path: path.to_owned(),
        reason: "it is no regular file".to_owned(),
    })
}

/// Reads a file that holds no secret.
#[cfg(any(
    feature = "age",
    feature = "azure",
    feature = "cosmian",
    feature = "kmip"
))]
pub(crate) fn read_public(path: &Path) -> Result<String> {
    read(open(path)?, path).map(SecretString::into_exposed)
}

/// Reads a file with a secret that others gave this process, with what rights they liked: tokens that
/// Kubernetes hands out may be read by everybody in the pod.
#[cfg(feature = "vault")]
pub(crate) async fn read_handed_over(path: &Path) -> Result<SecretString> {
    let path = path.to_owned();
    let done = tokio::task::spawn_blocking(move || read(open(&path)?, &path));
    done.await.map_err(|error| KmsError::Interrupted {
        what: "the reading of a file",
        source: Cause::new(error),
    })?
}

fn read(file: File, path: &Path) -> Result<SecretString> {
    let content = |reason: String| KmsError::FileContent {
        path: path.to_owned(),
        reason,
    };
    let size = file
        .metadata()
        .map_err(KmsError::file("read", path))?
        .len()
        .min(KEY_FILE_BYTES_MAX);
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let capacity = usize::try_from(size).unwrap_or_default() + 1;
    let mut text = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(KEY_FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(KmsError::file("read", path))?;
    if text.len() as u64 > KEY_FILE_BYTES_MAX {
        return Err(content(format!(
            "it is larger than {KEY_FILE_BYTES_MAX} bytes"
        )));
    }
    match String::from_utf8(std::mem::take(&mut *text)) {
        Ok(text) => Ok(SecretString::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(content("it is no text in UTF-8".to_owned()))
        }
    }
}

#[cfg(unix)]
fn check_rights(file: &File, path: &Path) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let metadata = file.metadata().map_err(KmsError::file("read", path))?;
    let mode = metadata.permissions().mode() & 0o7777;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
    if is_private(mode, is_own) {
        return Ok(());
    }
    Err(KmsError::FileRights {
        path: path.to_owned(),
        mode,
    })
}

/// Whether a file with these rights is for this process alone. Where it belongs to another user, its
/// group is how it was handed over: credentials of systemd and volumes of Kubernetes stand like that.
#[cfg(unix)]
fn is_private(mode: u32, is_own: bool) -> bool {
    let refused = if is_own { 0o077 } else { 0o037 };
    mode & refused == 0
}

#[cfg(not(unix))]
fn check_rights(_: &File, _: &Path) -> Result<()> {
    Ok(())
}

/// Who may read a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Its owner only: mode 0600.
    Private,
    /// Everybody: mode 0644.
    #[cfg(feature = "age")]
    Public,
}

/// A file with keys, written whole, that takes the place of the one that is there: after a crash there
/// is the old one or the new one. Dropped before that it is gone.
///
/// Who may read the old one may read the new one: owner, group and rights are its own.
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    written: PathBuf,
}

impl Replacement {
    /// Writes it, beside the file that is there; `path` is the file itself, as of [`target`]. No link is
    /// followed from there on: whoever owns the folder could lead root to the file of another.
    ///
    /// **Errors**: [`KmsError::File`], also where it cannot be given to the owner of the old one.
    pub(crate) fn of(path: &Path, text: &str) -> Result<Self> {
        let path = path.to_owned();
        let old = std::fs::symlink_metadata(&path).map_err(KmsError::file("read", &path))?;
        if !old.is_file() {
            return Err(KmsError::file("replace", &path)(is_no_file()));
        }
        let written = beside(&path, "new");
        // What a crash left behind.
        let _ = std::fs::remove_file(&written);
        let replacement = Self { path, written };
        let file = open_new(&replacement.written, Rights::Private)?;
        fill(&file, text, &replacement.written)?;
        give_like(&file, &old)
            .and_then(|()| file.set_permissions(old.permissions()))
            .and_then(|()| file.sync_all())
            .map_err(KmsError::file("keep the owner of", &replacement.path))?;
        Ok(replacement)
    }

    /// Puts it in its place.
    ///
    /// **Errors**: [`KmsError::File`].
    pub(crate) fn place(self) -> Result<()> {
        std::fs::rename(&self.written, &self.path)
            .map_err(KmsError::file("replace", &self.path))?;
        sync_folder(&self.path)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.written);
    }
}

/// The file itself, where links may lead to it.
pub(crate) fn target(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(KmsError::file("read", path))
}

fn is_no_file() -> std::io::Error {
    std::io::Error::other("it is a link or no file; keys were not written")
}

/// Gives a file to the owner of another, and to its group.
#[cfg(unix)]
fn give_like(file: &File, other: &Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let own = file.metadata()?;
    if own.uid() != other.uid() {
        fchown(file, Some(other.uid()), None)?;
    }
    if own.gid() != other.gid() {
        let given = fchown(file, None, Some(other.gid()));
        // A group that may do nothing with it can be any.
        if other.mode() & 0o070 != 0 {
            given?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn give_like(_: &File, _: &Metadata) -> std::io::Result<()> {
    Ok(())
}

/// Writes a file that is not there yet.
///
/// **Errors**: [`KmsError::File`] also where it is there.
pub(crate) fn create(path: &Path, text: &str, rights: Rights) -> Result<()> {
    let file = open_new(path, rights)?;
    fill(&file, text, path)?;
    sync_folder(path)
}

fn open_new(path: &Path, rights: Rights) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    with_mode(&mut options, rights);
    options.open(path).map_err(KmsError::file("create", path))
}

fn fill(mut file: &File, text: &str, path: &Path) -> Result<()> {
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(KmsError::file("write", path))
}

#[cfg(unix)]
fn with_mode(options: &mut OpenOptions, rights: Rights) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(match rights {
        Rights::Private => 0o600,
        #[cfg(feature = "age")]
        Rights::Public => 0o644,
    });
}

#[cfg(not(unix))]
fn with_mode(_: &mut OpenOptions, _: Rights) {}

fn sync_folder(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(KmsError::file("write", folder))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// How long another process is waited for that changes a file. Less than a rotation may take.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks whether it is through.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A lock on a file, held by one process at a time, until it is dropped.
#[derive(Debug)]
struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock of this file; it stands in a file of its own beside it, which belongs to whom
    /// the file belongs: they must be able to lock it too.
    ///
    /// **Errors**: [`KmsError::FileLocked`] where it is not free in time; [`KmsError::File`].
    async fn of(path: &Path) -> Result<Self> {
        let own = beside(path, "lock");
        let old = std::fs::metadata(path).map_err(KmsError::file("read", path))?;
        let file = lock_file(&own, &old)?;
        let until = Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(KmsError::FileLocked {
                        path: path.to_owned(),
                        after: LOCK_PATIENCE,
                    });
                }
                Err(TryLockError::Error(error)) => return Err(KmsError::file("lock", &own)(error)),
            }
        }
    }
}

/// The file of a lock, made where it is not there; then it belongs to whom the other one belongs. What is
/// there is neither given away nor followed where it is a link: whoever owns the folder could have put it
/// there for root to find.
fn lock_file(own: &Path, old: &Metadata) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    without_links(&mut options);
    let mut fresh = options.clone();
    fresh.create_new(true);
    with_mode(&mut fresh, Rights::Private);
    let opened = match fresh.open(own) {
        Ok(made) => {
            return give_like(&made, old).map(|()| made).map_err(|error| {
                // The owner could not even open it.
                let _ = std::fs::remove_file(own);
                KmsError::file("keep the owner of", own)(error)
            });
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.open(own),
        Err(error) => Err(error),
    };
    let file = opened.map_err(KmsError::file("open", own))?;
    let facts = file.metadata().map_err(KmsError::file("open", own))?;
    if !facts.is_file() {
        return Err(KmsError::file("lock", own)(is_no_file()));
    }
    Ok(file)
}

/// Opens no link, and waits for no pipe's reader.
#[cfg(unix)]
fn without_links(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed());
}

#[cfg(not(unix))]
fn without_links(_: &mut OpenOptions) {}

/// Changes a file with keys, alone among all processes, by whatever link they come to it; the change is
/// told where the file itself is. Who stops waiting for it before it began has changed nothing.
///
/// **Errors**: [`KmsError::FileLocked`], and those of the change.
pub(crate) async fn alone_with<T: Send + 'static>(
    path: &Path,
    change: impl FnOnce(&Path) -> Result<T> + Send + 'static,
) -> Result<T> {
    let path = target(path)?;
    let lock = Lock::of(&path).await?;
    let changed = tokio::task::spawn_blocking(move || {
        let _lock = lock;
        change(&path)
    });
    changed.await.map_err(|error| KmsError::Interrupted {
        what: "the change of a file with keys",
        source: Cause::new(error),
    })?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn replace(path: &Path, text: &str) -> Result<()> {
        Replacement::of(path, text)?.place()
    }

    /// Who is not root cannot give a file away: `false`.
    fn is_given_away(path: &Path) -> bool {
        std::os::unix::fs::chown(path, Some(65_534), Some(65_533)).is_ok()
    }

    #[tokio::test]
    async fn a_file_that_is_replaced_keeps_its_owner_and_its_rights() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let owner = |path: &Path| {
            let facts = std::fs::metadata(path).unwrap();
            (facts.uid(), facts.gid())
        };
        create(&path, "one", Rights::Private).unwrap();
        if is_given_away(&path) {
            // Its group is how it was handed over.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            let change = |path: &Path| replace(path, "two");
            alone_with(&path, change).await.unwrap();
            assert_eq!((owner(&path), mode(&path)), ((65_534, 65_533), 0o640));
            // The owner must be able to lock it too.
            assert_eq!(owner(&beside(&path, "lock")), (65_534, 65_533));
            assert_eq!(read_private(&path).unwrap().expose(), "two");
        }
        // Who cannot keep the owner leaves everything as it is.
        let foreign = std::fs::metadata("/proc/1/stat").unwrap();
        let own = File::create(folder.path().join("own")).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(give_like(&own, &foreign).is_ok(), is_root);
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_stays_and_has_the_lock_of_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let (path, link) = (inner.join("key"), folder.path().join("link"));
        create(&path, "one", Rights::Private).unwrap();
        std::os::unix::fs::symlink("inner/key", &link).unwrap();
        let change = |path: &Path| replace(path, "two");
        let held = Lock::of(&path).await.unwrap();
        let refused = alone_with(&link, change).await;
        assert!(matches!(refused, Err(KmsError::FileLocked { .. })));
        drop(held);
        alone_with(&link, change).await.unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(read_private(&path).unwrap().expose(), "two");
        // Whoever has been told which file it is follows no link any more.
        assert!(matches!(
            replace(&link, "three"),
            Err(KmsError::File { .. })
        ));
        assert_eq!(read_private(&path).unwrap().expose(), "two");
        let beside = std::fs::read_dir(folder.path()).unwrap();
        assert_eq!(beside.count(), 2);
    }

    #[tokio::test]
    async fn a_lock_that_somebody_planted_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, "one", Rights::Private).unwrap();
        let foreign = folder.path().join("foreign");
        let lock = beside(&path, "lock");
        std::os::unix::fs::symlink(&foreign, &lock).unwrap();
        // What is not there is not made.
        assert!(matches!(Lock::of(&path).await, Err(KmsError::File { .. })));
        assert!(!foreign.exists());
        std::fs::write(&foreign, "theirs").unwrap();
        let is_root = is_given_away(&path);
        assert!(matches!(Lock::of(&path).await, Err(KmsError::File { .. })));
        // A second name of a file is locked, and stays whose it is.
        std::fs::remove_file(&lock).unwrap();
        std::fs::hard_link(&foreign, &lock).unwrap();
        drop(Lock::of(&path).await.unwrap());
        let facts = std::fs::metadata(&foreign).unwrap();
        let own = rustix::process::geteuid().as_raw();
        assert_eq!((facts.uid(), facts.len()), (own, 6), "{is_root}");
        // A pipe is none, and is not waited for.
        std::fs::remove_file(&lock).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&lock).status();
        assert!(made.unwrap().success());
        assert!(matches!(Lock::of(&path).await, Err(KmsError::File { .. })));
    }

    #[test]
    fn what_is_not_placed_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, "one", Rights::Private).unwrap();
        drop(Replacement::of(&path, "two").unwrap());
        assert_eq!(read_private(&path).unwrap().expose(), "one");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn rights_are_set_and_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, "one", Rights::Private).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(create(&path, "two", Rights::Private).is_err());
        replace(&path, "two").unwrap();
        assert_eq!(read_private(&path).unwrap().expose(), "two");
        for wide in [0o640, 0o604, 0o620, 0o666] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(wide)).unwrap();
            let refused = read_private(&path).unwrap_err();
            assert!(
                matches!(refused, KmsError::FileRights { mode, .. } if mode == wide),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_another_user_handed_over_may_be_read_by_the_group() {
        for (mode, is_own, expected) in [
            (0o600, true, true),
            (0o640, true, false),
            (0o440, true, false),
            (0o440, false, true),
            (0o640, false, true),
            (0o460, false, false),
            (0o444, false, false),
            (0o441, false, false),
        ] {
            assert_eq!(is_private(mode, is_own), expected, "{mode:o} {is_own}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, "one", Rights::Private).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o440)).unwrap();
        assert!(read_private(&path).is_err());
        // Who is not root cannot give a file away.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            assert_eq!(read_private(&path).unwrap().expose(), "one");
        }
    }

    #[test]
    fn a_pipe_is_no_file_with_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        for refused in [read_private(&path).err(), open(&path).err()] {
            assert!(matches!(refused, Some(KmsError::FileContent { .. })));
        }
        assert!(open(folder.path()).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_for_the_lock_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, "one", Rights::Private).unwrap();
        let held = Lock::of(&path).await.unwrap();
        let (changed, mut changes) = tokio::sync::mpsc::unbounded_channel();
        let change = || {
            let changed = changed.clone();
            move |_: &Path| {
                changed.send(()).unwrap();
                Ok(())
            }
        };
        let refused = alone_with(&path, change()).await.unwrap_err();
        assert!(matches!(refused, KmsError::FileLocked { .. }));
        assert!(!refused.is_transient() && !refused.is_service_fault());
        let given_up = tokio::time::timeout(LOCK_PATIENCE / 2, alone_with(&path, change()));
        assert!(given_up.await.is_err());
        drop(held);
        tokio::time::sleep(LOCK_PATIENCE).await;
        assert!(changes.try_recv().is_err());
        alone_with(&path, change()).await.unwrap();
        assert!(changes.try_recv().is_ok());
        let broken = alone_with(&path, |_: &Path| -> Result<()> { panic!("planted") }).await;
        assert!(matches!(broken, Err(KmsError::Interrupted { .. })));
        alone_with(&path, change()).await.unwrap();
    }

    #[test]
    fn the_size_has_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let limit = usize::try_from(KEY_FILE_BYTES_MAX).unwrap();
        create(&path, &"k".repeat(limit), Rights::Private).unwrap();
        assert_eq!(read_private(&path).unwrap().len(), limit);
        replace(&path, &"k".repeat(limit + 1)).unwrap();
        let refused = read_private(&path);
        assert!(matches!(refused, Err(KmsError::FileContent { .. })));
        std::fs::write(&path, b"\xff").unwrap();
        assert!(matches!(
            read_private(&path),
            Err(KmsError::FileContent { .. })
        ));
    }
}
