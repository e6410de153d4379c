//! The file system calls that the backend makes, and nothing else makes.
//!
//! Everything the backend puts on disk goes through [`Disk`], so that a test puts a disk of its
//! own below it: one that fills up, fails, or loses power.

use std::any::Any;
use std::fmt::Debug;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::{Handle, RuntimeFlavor};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// It exists; for reading and writing.
    Existing,
    /// It is made, and emptied where it exists; for reading and writing.
    Fresh,
}

/// Holds the lock of a directory until it is dropped.
pub type DiskLock = Box<dyn Any + Send + Sync>;

/// A file system.
pub trait Disk: Send + Sync + Debug + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;
    /// Moves a file in the place of another.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory; one that exists stays.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The names of what a directory holds, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Makes the names in a directory durable: what was made, moved or removed.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Locks a directory for this process; `None` where another one has it.
    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>>;
}

/// An open file.
#[expect(
    clippy::len_without_is_empty,
    reason = "a file is asked for its length to place what follows"
)]
pub trait DiskFile: Send + Sync + Debug + 'static {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Fills the buffer from `offset` on.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes all of the data at `offset`.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Cuts or extends the file; what is new reads as zeros.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Makes the content durable, and the length as far as the content needs it.
    fn sync(&self) -> io::Result<()>;
    /// Makes the content and the length durable, also where the file was cut.
    fn sync_all(&self) -> io::Result<()>;
}

/// Who may use a directory that is made: its owner. Names of policies and mounts stand in it in the
/// clear, and what is encrypted is a stolen copy away from whoever has the shares.
const DIRECTORY_MODE: u32 = 0o700;

/// Who may use a file that is made.
const FILE_MODE: u32 = 0o600;

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

#[derive(Debug)]
struct SystemFile(File);

impl Disk for SystemDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let fresh = how == Open::Fresh;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(fresh)
            .truncate(fresh)
            .mode(FILE_MODE)
            .open(path)?;
        Ok(Arc::new(SystemFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        std::fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        let directory = File::open(path)?;
        match directory.try_lock() {
            Ok(()) => Ok(Some(Box::new(directory))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl DiskFile for SystemFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if !may_hand_over() {
            return self.0.read_exact_at(buffer, offset);
        }
        if read_from_memory(&self.0, offset, buffer) {
            return Ok(());
        }
        // The other requests of this thread go on meanwhile, on another one.
        tokio::task::block_in_place(|| self.0.read_exact_at(buffer, offset))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Whether this thread serves requests, and can have another one do so while it waits.
fn may_hand_over() -> bool {
    Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// Reads what the system holds in memory; whether that was all of it.
#[cfg(target_os = "linux")]
fn read_from_memory(file: &File, offset: u64, buffer: &mut [u8]) -> bool {
    use rustix::io::{ReadWriteFlags, preadv2};
    let wanted = buffer.len();
    let parts = &mut [io::IoSliceMut::new(buffer)];
    let read = preadv2(file, parts, offset, ReadWriteFlags::NOWAIT);
    read.is_ok_and(|read| read == wanted)
}

#[cfg(not(target_os = "linux"))]
fn read_from_memory(_: &File, _: u64, _: &mut [u8]) -> bool {
    false
}

/// Writes a small file whole: it holds the old bytes or the new ones, whatever happens.
pub(crate) fn write_whole(disk: &dyn Disk, path: &Path, data: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("tmp");
    let file = disk.open(&fresh, Open::Fresh)?;
    file.write_at(0, data)?;
    file.sync()?;
    disk.rename(&fresh, path)?;
    match path.parent() {
        Some(directory) => disk.sync_dir(directory),
        None => Ok(()),
    }
}

/// Reads a small file whole.
///
/// **Errors**: `InvalidData` where it is longer than `bytes_max`.
pub(crate) fn read_whole(disk: &dyn Disk, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Existing)?;
    let bytes = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    if bytes > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is too long",
        ));
    }
    let mut data = vec![0; bytes];
    file.read_at(0, &mut data)?;
    Ok(data)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    /// A crash of the process alone leaves what was not synced, and no test can cut the power of this
    /// machine. What cannot be synced refuses it: so each of these asks the system, and says what it
    /// answered.
    #[test]
    fn a_sync_reaches_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let both_ends = File::options().read(true).write(true).open(&path).unwrap();
        let pipe = SystemFile(both_ends);
        let refused = |synced: io::Result<()>| synced.unwrap_err().kind();
        assert_eq!(refused(pipe.sync()), io::ErrorKind::InvalidInput);
        assert_eq!(refused(pipe.sync_all()), io::ErrorKind::InvalidInput);
        let of_no_disk = Path::new("/proc");
        assert_eq!(
            refused(SystemDisk.sync_dir(of_no_disk)),
            io::ErrorKind::InvalidInput
        );
    }
}
