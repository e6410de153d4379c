//! [`FileOptions`]: where a file device writes, and what it must not touch.

pub(crate) mod sink;

use crate::AuditError;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file is, whatever it is called: its device and inode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    pub(crate) fn of(facts: &Metadata) -> Self {
        Self(facts.dev(), facts.ino())
    }
}

/// The mode of a new file.
const MODE: u32 = 0o600;

/// How a record begins.
const FIRST: &[u8] = b"{\"timestamp\":";

/// Where a file device writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileOptions {
    path: PathBuf,
    /// What a new file gets.
    mode: u32,
    prefix: String,
    /// Whether a file that is there gets it too.
    sets_mode: bool,
}

impl FileOptions {
    /// Reads the options `file_path` (or `path`) and `mode` (octal; 0600 for new files where it is not
    /// given, and where it is 0000, which leaves others as they are).
    ///
    /// **Errors**: [`AuditError::Option`] that names the option; also where `directory` is given and
    /// the file is not below it.
    pub(crate) fn read(
        options: &BTreeMap<String, String>,
        directory: Option<&Path>,
    ) -> Result<Self, AuditError> {
        let refuse = |text: String| Err(AuditError::Option(text));
        let path = options.get("file_path").or_else(|| options.get("path"));
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return refuse("file_path is required".to_owned());
        };
        let path = PathBuf::from(path);
        if !path.is_absolute() || path.components().any(|part| part.as_os_str() == "..") {
            return refuse("file_path must be absolute and cannot hold `..`".to_owned());
        }
        if let Some(directory) = directory
            && !is_below(&path, directory)
        {
            return refuse(format!("file_path must be below `{}`", directory.display()));
        }
        let prefix = options.get("prefix").cloned().unwrap_or_default();
        let given = options.get("mode").filter(|mode| !mode.is_empty());
        let mode = given.map_or(Ok(0), |mode| u32::from_str_radix(mode, 8));
        match mode {
            Ok(0) => Ok(Self {
                path,
                mode: MODE,
                prefix,
                sets_mode: false,
            }),
            Ok(mode) if mode <= 0o777 && mode & 0o111 == 0 => Ok(Self {
                path,
                mode,
                prefix,
                sets_mode: true,
            }),
            _ => refuse("mode must be octal, at most 0666, and without execute bits".to_owned()),
        }
    }

    /// A file whose name begins with `mark`, in the same folder.
    pub(crate) fn beside(self, mark: &str) -> Self {
        let mut name = OsString::from(mark);
        name.push(self.path.file_name().unwrap_or_default());
        Self {
            path: self.path.with_file_name(name),
            ..self
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is this one, by any name, or has the same name.
    pub(crate) fn is_at(&self, id: FileId, path: &Path) -> bool {
        let facts = std::fs::metadata(&self.path);
        self.path == path || facts.is_ok_and(|facts| FileId::of(&facts) == id)
    }

    /// Opens the file, and claims it until it is closed.
    ///
    /// **Errors**: as [`Self::open`]; [`AuditError::InUse`].
    pub(crate) fn claim(&self) -> Result<File, AuditError> {
        let file = self.open()?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(AuditError::InUse {
                path: self.path.clone(),
            }),
            Err(TryLockError::Error(source)) => Err(self.failed(source)),
        }
    }

    /// Opens the file at its end. One that holds something else than an audit log, or that can be
    /// executed, is not touched: an audit device once was the way to run code on a Vault.
    pub(crate) fn open(&self) -> Result<File, AuditError> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .mode(self.mode)
            // A link could lead anywhere.
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.path)
            .map_err(|source| self.failed(source))?;
        let facts = file.metadata().map_err(|source| self.failed(source))?;
        let foreign = facts.len() > 0 && !self.begins_as_a_log(&mut file);
        if !facts.is_file() || facts.mode() & 0o111 != 0 || foreign {
            return Err(AuditError::Option(format!(
                "`{}` exists and is no audit log: choose another file",
                self.path.display()
            )));
        }
        if self.sets_mode && facts.mode() & 0o777 != self.mode {
            let mode = Permissions::from_mode(self.mode);
            file.set_permissions(mode)
                .map_err(|source| self.failed(source))?;
        }
        Ok(file)
    }

    /// Whether the first line is a record, behind the device's prefix or without one.
    fn begins_as_a_log(&self, file: &mut File) -> bool {
        let mut first = vec![0; self.prefix.len() + FIRST.len()];
        let mut read = 0;
        while let Some(rest) = first.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read(rest) {
                Ok(bytes) if bytes > 0 => read += bytes,
                _ => break,
            }
        }
        let first = first.get(..read).unwrap_or_default();
        let behind = first.strip_prefix(self.prefix.as_bytes());
        first.starts_with(FIRST) || behind.is_some_and(|first| first.starts_with(FIRST))
    }

    pub(crate) fn failed(&self, source: std::io::Error) -> AuditError {
        AuditError::File {
            path: self.path.clone(),
            source: Arc::new(source),
        }
    }
}

/// Whether a file stands below a folder, links of both resolved.
fn is_below(file: &Path, folder: &Path) -> bool {
    let resolved = file.parent().and_then(|parent| parent.canonicalize().ok());
    match (resolved, folder.canonicalize()) {
        (Some(parent), Ok(folder)) => parent.starts_with(folder),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(path: &Path) -> BTreeMap<String, String> {
        BTreeMap::from([("file_path".to_owned(), path.display().to_string())])
    }

    fn open(path: &Path) -> Result<File, AuditError> {
        FileOptions::read(&options(path), None)?.open()
    }

    #[test]
    fn foreign_and_executable_files_are_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        assert!(matches!(open(&path), Err(AuditError::Option(_))));
        assert!(matches!(
            open(Path::new("/dev/null")),
            Err(AuditError::Option(_))
        ));
        for (key, value) in [
            ("file_path", "relative"),
            ("file_path", "/a/../b"),
            ("mode", "0755"),
        ] {
            let mut options = options(&path);
            options.insert(key.to_owned(), value.to_owned());
            assert!(FileOptions::read(&options, None).is_err(), "{key}={value}");
        }
        let elsewhere = Some(Path::new("/var/log/audit"));
        assert!(FileOptions::read(&options(&path), elsewhere).is_err());
    }
}
