//! [`SocketFile`]: a Unix socket in the file system.
//!
//! It is bound inside of a folder that nobody else may enter, gets its mode and owner there, and is
//! then moved to its place: at no time can it be reached by who may not.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener as BlockingListener, UnixStream};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// A Unix socket in the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketFile {
    /// Where it stands. About 90 bytes at most: the system's limit is 107, and while it is made it
    /// stands in a folder beside.
    pub path: PathBuf,
    /// Its permissions; none for those of a new socket.
    pub mode: Option<u32>,
    /// Id of the user whom it shall belong to.
    pub user: Option<u32>,
    /// Id of its group.
    pub group: Option<u32>,
}

/// A file that listens; removed when this is dropped, unless another one stands there by then.
#[derive(Debug)]
pub(in crate::listener) struct Bound {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl SocketFile {
    /// Listens. A file that was left over is replaced if it is a socket and nobody listens there.
    pub(super) fn bind(&self) -> io::Result<(UnixListener, Bound)> {
        check_free(&self.path)?;
        let folder = Nursery::beside(&self.path)?;
        let born = folder.0.join("s");
        let socket = BlockingListener::bind(&born)?;
        if self.user.is_some() || self.group.is_some() {
            chown(&born, self.user, self.group)?;
        }
        if let Some(mode) = self.mode {
            fs::set_permissions(&born, Permissions::from_mode(mode))?;
        }
        fs::rename(&born, &self.path)?;
        socket.set_nonblocking(true)?;
        let bound = Bound {
            identity: identity(&self.path),
            path: self.path.clone(),
        };
        Ok((UnixListener::from_std(socket)?, bound))
    }
}

/// Refuses a place where something stands that is not to be replaced.
fn check_free(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() {
        let reason = "a file stands there that is no socket";
        return Err(Error::new(ErrorKind::AlreadyExists, reason));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Ok(_) => Err(Error::new(ErrorKind::AddrInUse, "a process listens there")),
        Err(error) => Err(error),
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// A folder for a socket that is being made, which only this user may enter; gone when dropped.
struct Nursery(PathBuf);

impl Nursery {
    fn beside(path: &Path) -> io::Result<Self> {
        let folder = Path::new(".").join(format!(".s{}", std::process::id()));
        let folder = path
            .parent()
            .map_or(folder.clone(), |parent| parent.join(folder));
        // What a process of the same id left behind.
        let _ = fs::remove_file(folder.join("s"));
        let _ = fs::remove_dir(&folder);
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.join("s"));
        let _ = fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, mode: Option<u32>) -> SocketFile {
        SocketFile {
            path: folder.join("vault.sock"),
            mode,
            user: None,
            group: None,
        }
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), Some(0o620));
        let (socket, bound) = file.bind().unwrap();
        let metadata = fs::symlink_metadata(&file.path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o620);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(UnixStream::connect(&file.path).is_ok());
        drop((socket, bound));
        assert!(!file.path.exists());
    }

    #[tokio::test]
    async fn only_a_socket_without_a_listener_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), None);
        let listening = file.bind().unwrap();
        assert_eq!(file.bind().unwrap_err().kind(), ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&file.path).is_ok());
        drop(listening);
        // Its file stays behind, as after a crash.
        drop(BlockingListener::bind(&file.path).unwrap());
        assert!(file.path.exists());
        drop(file.bind().unwrap());
        fs::write(&file.path, "kept").unwrap();
        assert_eq!(file.bind().unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file.path).unwrap(), b"kept");
    }

    #[tokio::test]
    async fn a_file_that_took_its_place_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), None);
        let (socket, bound) = file.bind().unwrap();
        fs::remove_file(&file.path).unwrap();
        fs::write(&file.path, "another").unwrap();
        drop((socket, bound));
        assert!(file.path.exists());
    }
}
