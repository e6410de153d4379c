//! The data directory: whose it is, what is in it, and that one process has it.
//!
//! ```text
//! FORMAT       what this is: format version, cluster, node; text, with a checksum
//! log/         the segments of the Raft log
//! state.redb   the applied state
//! ```
//! `FORMAT` is written first, as `preparing`, and again as `ready` when everything is there: what is
//! missing from a directory that is ready was lost.

use super::disk::{Disk, DiskLock, read_whole, write_whole};
use super::failure::{corrupt, explain};
use crate::{Result, StorageError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

const FORMAT: &str = "FORMAT";
const TITLE: &str = "SecretumVault raft storage";
/// The layout of the directory and all files in it that this version writes.
const VERSION: u32 = 1;
const FORMAT_BYTES_MAX: usize = 4_096;
const FORMAT_UNFINISHED: &str = "FORMAT.tmp";
const STATE_UNFINISHED: &str = "state.tmp";
/// What a directory may hold that is nobody's yet.
const NEUTRAL: [&str; 2] = ["lost+found", FORMAT_UNFINISHED];

/// Whose directory it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster: Uuid,
    pub(crate) node: u64,
}

/// A locked data directory.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    /// Whether everything in it was made.
    pub(crate) ready: bool,
    pub(crate) lock: Arc<DiskLock>,
}

impl Directory {
    /// Opens a directory, or makes one that does not exist or is empty into ours.
    ///
    /// **Errors**: [`StorageError::Locked`], [`StorageError::Foreign`], [`StorageError::Corrupt`].
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        fresh: impl FnOnce() -> Identity,
    ) -> Result<Self> {
        let io = |error| explain(path, error);
        make(&*disk, path)?;
        let lock = disk.lock(path).map_err(io)?;
        let lock = Arc::new(lock.ok_or_else(|| StorageError::Locked {
            path: path.to_owned(),
        })?);
        let names = disk.list(path).map_err(io)?;
        let known = match names.iter().any(|name| name == FORMAT) {
            true => Some(read_format(&*disk, &path.join(FORMAT))?),
            false => None,
        };
        if known.is_none() {
            refuse_foreign(&*disk, path, &names)?;
        }
        let (identity, ready) = known.unwrap_or_else(|| (fresh(), false));
        let directory = Self {
            disk,
            path: path.to_owned(),
            identity,
            ready,
            lock,
        };
        directory.settle_names()?;
        if known.is_none() {
            directory.write_format(false)?;
        }
        Ok(directory)
    }

    /// Makes durable what a process that was killed named here and may not have made so.
    ///
    /// INVARIANT: nothing is written on the word of a name that could still be lost.
    fn settle_names(&self) -> Result<()> {
        let synced = self.disk.sync_dir(&self.path);
        synced.map_err(|error| explain(&self.path, error))?;
        if self.ready {
            return Ok(());
        }
        // That process may have made directories above, too. What it made can be read.
        for above in self.path.ancestors().skip(1) {
            let above = if above.as_os_str().is_empty() {
                Path::new(".")
            } else {
                above
            };
            match self.disk.sync_dir(above) {
                Ok(()) => {}
                Err(error) if not_ours(&error) => break,
                Err(error) => return Err(explain(above, error)),
            }
        }
        Ok(())
    }

    /// Notes that everything in the directory was made.
    pub(crate) fn set_ready(&mut self) -> Result<()> {
        self.write_format(true)?;
        self.ready = true;
        Ok(())
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state.redb")
    }

    fn write_format(&self, ready: bool) -> Result<()> {
        let path = self.path.join(FORMAT);
        let written = write_whole(&*self.disk, &path, encode(self.identity, ready).as_bytes());
        written.map_err(|error| explain(&path, error))
    }

    /// Removes what a crash left half made.
    pub(crate) fn tidy(&self) -> Result<()> {
        let names = self
            .disk
            .list(&self.path)
            .map_err(|error| explain(&self.path, error))?;
        for unfinished in [FORMAT_UNFINISHED, STATE_UNFINISHED] {
            if names.iter().any(|name| name == unfinished) {
                let path = self.path.join(unfinished);
                self.disk
                    .remove(&path)
                    .map_err(|error| explain(&path, error))?;
            }
        }
        Ok(())
    }

    /// Refuses a directory from which something was lost.
    pub(crate) fn check_whole(&self) -> Result<()> {
        let names = self
            .disk
            .list(&self.path)
            .map_err(|error| explain(&self.path, error))?;
        for path in [self.log(), self.state()] {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !names.iter().any(|present| *present == *name) {
                return Err(corrupt(&path, "it is missing"));
            }
        }
        let segments = self
            .disk
            .list(&self.log())
            .map_err(|error| explain(&self.log(), error))?;
        if !segments.iter().any(|name| name.ends_with(".log")) {
            return Err(corrupt(&self.log(), "it holds no segment of the log"));
        }
        Ok(())
    }
}

/// Whether a directory above is one that this server cannot have made.
fn not_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(
        error.kind(),
        InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported
    )
}

/// Makes a directory where there is none, and those above it.
fn make(disk: &dyn Disk, path: &Path) -> Result<()> {
    let io = |error| explain(path, error);
    match disk.list(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    make(disk, parent)?;
    disk.create_dir(path).map_err(io)
}

fn encode(identity: Identity, ready: bool) -> String {
    let state = if ready { "ready" } else { "preparing" };
    let Identity { cluster, node } = identity;
    let text =
        format!("{TITLE}\nformat {VERSION}\ncluster {cluster}\nnode {node}\nstate {state}\n");
    format!("{text}crc32 {:08x}\n", crc32fast::hash(text.as_bytes()))
}

fn read_format(disk: &dyn Disk, path: &Path) -> Result<(Identity, bool)> {
    let bytes = read_whole(disk, path, FORMAT_BYTES_MAX).map_err(|error| explain(path, error))?;
    decode(&bytes, path)
}

fn decode(bytes: &[u8], path: &Path) -> Result<(Identity, bool)> {
    let damaged = || corrupt(path, "it cannot be read");
    let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
    let (covered, sum) = text
        .strip_suffix('\n')
        .and_then(|text| text.rsplit_once('\n'))
        .and_then(|(_, last)| Some((text.strip_suffix(&format!("{last}\n"))?, last)))
        .ok_or_else(damaged)?;
    if sum != format!("crc32 {:08x}", crc32fast::hash(covered.as_bytes())) {
        return Err(damaged());
    }
    let mut lines = covered.lines();
    if lines.next() != Some(TITLE) {
        return Err(damaged());
    }
    let mut field = |name: &str| {
        let line = lines.next()?;
        line.strip_prefix(name)?
            .strip_prefix(' ')
            .map(str::to_owned)
    };
    let version: u32 = field("format")
        .and_then(|it| it.parse().ok())
        .ok_or_else(damaged)?;
    if version != VERSION {
        let what = format!(
            "it has data format {version} and this version knows format {VERSION}: run the version that wrote it"
        );
        return Err(StorageError::Foreign {
            path: path.to_owned(),
            what,
        });
    }
    let cluster = field("cluster")
        .and_then(|it| it.parse().ok())
        .ok_or_else(damaged)?;
    let node = field("node")
        .and_then(|it| it.parse().ok())
        .ok_or_else(damaged)?;
    let ready = match field("state").as_deref() {
        Some("ready") => true,
        Some("preparing") => false,
        _ => return Err(damaged()),
    };
    Ok((Identity { cluster, node }, ready))
}

/// Refuses a directory that somebody else wrote to, before anything is written there.
fn refuse_foreign(disk: &dyn Disk, path: &Path, names: &[String]) -> Result<()> {
    let has = |name: &str| names.iter().any(|present| present == name);
    let foreign = |sign: &str, what: &str| {
        let what = what.to_owned();
        Err(StorageError::Foreign {
            path: path.join(sign),
            what,
        })
    };
    let inside = |folder: &str| disk.list(&path.join(folder)).unwrap_or_default();
    const MIGRATE: &str = "keep it with that server and give this one an empty directory, then move the secrets with `kv` reads there and writes here";
    for sign in ["vault.db", "node-id", "raft"] {
        let ours = sign != "raft"
            || inside("raft")
                .iter()
                .any(|name| name.starts_with("raft.db"));
        if has(sign) && ours {
            let what = format!("it is integrated storage of HashiCorp Vault or OpenBao: {MIGRATE}");
            return foreign(sign, &what);
        }
    }
    for sign in ["core", "sys", "logical"] {
        if has(sign) && inside(sign).iter().any(|name| name.starts_with('_')) {
            let what = format!("it is file storage of HashiCorp Vault or OpenBao: {MIGRATE}");
            return foreign(sign, &what);
        }
    }
    match names.iter().find(|name| !NEUTRAL.contains(&name.as_str())) {
        Some(stranger) => foreign(
            stranger,
            "the directory holds files of something else: choose an empty one",
        ),
        None => Ok(()),
    }
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

#[cfg(test)]
mod tests {
    use super::super::disk::SystemDisk;
    use super::*;

    fn identity() -> Identity {
        Identity {
            cluster: Uuid::from_u128(0x1234),
            node: 77,
        }
    }

    fn check(text: &str) -> Result<(Identity, bool)> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FORMAT);
        std::fs::write(&path, text).unwrap();
        read_format(&SystemDisk, &path)
    }

    #[test]
    fn the_format_file_is_read_as_it_was_written() {
        for ready in [false, true] {
            let text = encode(identity(), ready);
            assert_eq!(check(&text).unwrap(), (identity(), ready));
        }
    }

    #[test]
    fn every_flipped_bit_of_the_format_file_is_found() {
        let text = encode(identity(), true).into_bytes();
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(FORMAT);
            std::fs::write(&path, flipped).unwrap();
            let error = read_format(&SystemDisk, &path).unwrap_err();
            assert!(
                matches!(error, StorageError::Corrupt { .. }),
                "bit {bit}: {error}"
            );
        }
    }

    #[test]
    fn a_newer_format_is_foreign() {
        let text = encode(identity(), true).replace("format 1", "format 2");
        let (covered, _) = text.split_at(text.find("crc32").unwrap());
        let text = format!(
            "{covered}crc32 {:08x}\n",
            crc32fast::hash(covered.as_bytes())
        );
        assert!(matches!(check(&text), Err(StorageError::Foreign { .. })));
    }
}
