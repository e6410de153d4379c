//! The file device.

use super::{Harness, run};
use crate::file::FileOptions;
use crate::file::sink::FileSink;
use crate::{Device, DeviceConfig, DeviceOptions};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A file in a folder of its own.
struct AuditFile {
    path: PathBuf,
    /// Text of the files that were moved away.
    moved: RefCell<Vec<PathBuf>>,
    /// Its length before it was full.
    length: Cell<u64>,
    folder: TempDir,
}

impl AuditFile {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            path: folder.path().join("audit.log"),
            moved: RefCell::default(),
            length: Cell::default(),
            folder,
        }
    }
}

fn options(path: &Path) -> BTreeMap<String, String> {
    BTreeMap::from([("file_path".to_owned(), path.display().to_string())])
}

impl Harness for AuditFile {
    const RESUMES: bool = true;

    async fn open(&self) -> Device {
        let config = DeviceConfig {
            path: "file/",
            hmac_key: b"key",
            options: DeviceOptions::read("file", &options(&self.path), None).unwrap(),
            clock: std::sync::Arc::new(secretum_crypto::SystemClock),
        };
        Device::open(config).await.unwrap()
    }

    fn lines(&self) -> Vec<String> {
        let moved = self.moved.borrow();
        let files = moved.iter().chain([&self.path]);
        let text: String = files
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        text.lines().map(str::to_owned).collect()
    }

    fn set_full(&self, full: bool) {
        let file = OpenOptions::new().write(true).open(&self.path).unwrap();
        if full {
            self.length.set(file.metadata().unwrap().len());
            file.set_len(longest(&self.folder)).unwrap();
        } else {
            file.set_len(self.length.get()).unwrap();
        }
    }

    fn move_away(&self) {
        let mut moved = self.moved.borrow_mut();
        let away = self.path.with_extension(moved.len().to_string());
        std::fs::rename(&self.path, &away).unwrap();
        moved.push(away);
    }

    async fn hanging(&self) -> (Device, impl FnOnce()) {
        // Files do not hang at a test's word; a pipe that nobody reads does, and is written alike.
        let (mut reader, mut pipe) = std::io::pipe().unwrap();
        pipe.write_all(&[b'x'; 1 << 16]).unwrap();
        let pipe = std::fs::File::from(std::os::fd::OwnedFd::from(pipe));
        let name = format!("/proc/self/fd/{}", pipe.as_raw_fd());
        let options = FileOptions::read(&options(Path::new(&name)), None).unwrap();
        let device = Device::on_sink("pipe/", FileSink::on(options, pipe));
        let answer = move || {
            std::thread::spawn(move || std::io::copy(&mut reader.by_ref(), &mut std::io::sink()));
        };
        (device, answer)
    }
}

/// The length beyond which the file system of a folder lets no file grow. What is not written takes no
/// room.
fn longest(folder: &TempDir) -> u64 {
    let file = std::fs::File::create(folder.path().join("probe")).unwrap();
    let (mut fits, mut too_long) = (0, 1_u64 << 63);
    while too_long - fits > 1 {
        let middle = fits + (too_long - fits) / 2;
        match file.set_len(middle) {
            Ok(()) => fits = middle,
            Err(_) => too_long = middle,
        }
    }
    fits
}

#[tokio::test]
async fn the_file_device_conforms() {
    run(AuditFile::new).await;
}
