//! Files with keys: read with their rights looked at, written whole or not at all.

use crate::{Cause, KmsError, Result};
use secretum_crypto::SecretString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The most bytes of a file with keys.
pub(crate) const KEY_FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a file that holds private keys.
///
/// **Errors**: [`KmsError::FileRights`] where anybody but its owner may read or write it.
pub(crate) fn read_private(path: &Path) -> Result<SecretString> {
    let file = File::open(path).map_err(KmsError::file("read", path))?;
    check_rights(&file, path)?;
    read(file, path)
}

/// Reads a file that holds no secret.
#[cfg(any(
    feature = "age",
    feature = "azure",
    feature = "cosmian",
    feature = "kmip"
))]
pub(crate) fn read_public(path: &Path) -> Result<String> {
    let file = File::open(path).map_err(KmsError::file("read", path))?;
    read(file, path).map(SecretString::into_exposed)
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

/// Writes a file whole, in the place of one that may be there: after a crash there is the old one or
/// the new one.
pub(crate) fn replace(path: &Path, text: &str, rights: Rights) -> Result<()> {
    let written = beside(path, "new");
    // What a crash left behind.
    let _ = std::fs::remove_file(&written);
    let outcome = write_new(&written, text, rights).and_then(|()| {
        std::fs::rename(&written, path).map_err(KmsError::file("replace", path))?;
        sync_folder(path)
    });
    if outcome.is_err() {
        let _ = std::fs::remove_file(&written);
    }
    outcome
}

/// Writes a file that is not there yet.
///
/// **Errors**: [`KmsError::File`] also where it is there.
pub(crate) fn create(path: &Path, text: &str, rights: Rights) -> Result<()> {
    write_new(path, text, rights)?;
    sync_folder(path)
}

fn write_new(path: &Path, text: &str, rights: Rights) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    with_mode(&mut options, rights);
    let mut file = options.open(path).map_err(KmsError::file("create", path))?;
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

/// A lock on a file, held by one process at a time, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock of this file; it stands in a file of its own beside it.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let path = beside(path, "lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        with_mode(&mut options, Rights::Private);
        let file = options.open(&path).map_err(KmsError::file("open", &path))?;
        file.lock().map_err(|error| KmsError::File {
            action: "lock",
            path,
            source: Cause::new(error),
        })?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn rights_are_set_and_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, "one", Rights::Private).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(create(&path, "two", Rights::Private).is_err());
        replace(&path, "two", Rights::Private).unwrap();
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
    fn the_size_has_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let limit = usize::try_from(KEY_FILE_BYTES_MAX).unwrap();
        create(&path, &"k".repeat(limit), Rights::Private).unwrap();
        assert_eq!(read_private(&path).unwrap().len(), limit);
        replace(&path, &"k".repeat(limit + 1), Rights::Private).unwrap();
        let refused = read_private(&path);
        assert!(matches!(refused, Err(KmsError::FileContent { .. })));
        std::fs::write(&path, b"\xff").unwrap();
        assert!(matches!(
            read_private(&path),
            Err(KmsError::FileContent { .. })
        ));
    }
}
