//! Commits per second of the embedded backend, against the bare disk.
//!
//! `cargo bench -p secretum-storage` runs it in a directory of the system's temporary folder, or in
//! the one that `SECRETUM_BENCH_DIR` names.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it prints what it measured"
)]

use secretum_storage::raft::disk::{Disk, DiskFile, DiskLock, Open, SystemDisk};
use secretum_storage::raft::{RaftConfig, RaftStorage};
use secretum_storage::{Batch, Key, Storage};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const VALUE_BYTES: usize = 1_024;
const KEYS: u64 = 100_000;
const ROUND: Duration = Duration::from_secs(4);

/// The machine's disk, counting syncs of files.
#[derive(Debug, Default)]
struct Counted {
    log: Arc<AtomicU64>,
    state: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountedFile(Arc<dyn DiskFile>, Arc<AtomicU64>);

impl Disk for Counted {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let in_log = path.parent().is_some_and(|parent| parent.ends_with("log"));
        let counter = if in_log { &self.log } else { &self.state };
        Ok(Arc::new(CountedFile(
            SystemDisk.open(path, how)?,
            Arc::clone(counter),
        )))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.create_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        SystemDisk.list(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_dir(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        SystemDisk.lock(path)
    }
}

impl DiskFile for CountedFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.sync()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.sync_all()
    }
}

/// A cheap stream of keys; it need not be good, only different for each writer.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Appends of this size that the disk makes durable in a second.
fn bare_disk(directory: &Path, bytes: usize) -> f64 {
    let file = SystemDisk
        .open(&directory.join("bare"), Open::Fresh)
        .unwrap();
    let data = vec![0x5a; bytes];
    let start = Instant::now();
    let mut writes = 0_u32;
    while start.elapsed() < Duration::from_secs(1) {
        file.write_at(u64::from(writes) * bytes as u64, &data)
            .unwrap();
        file.sync().unwrap();
        writes += 1;
    }
    f64::from(writes) / start.elapsed().as_secs_f64()
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}

async fn round(storage: &Arc<RaftStorage>, writers: u64) -> (u64, Duration, Duration) {
    let start = Instant::now();
    let tasks: Vec<_> = (1..=writers)
        .map(|writer| {
            let storage = Arc::clone(storage);
            tokio::spawn(async move {
                let mut seed = writer * 0x9e37_79b9_7f4a_7c15;
                let (mut commits, mut slowest) = (0_u64, Duration::ZERO);
                while start.elapsed() < ROUND {
                    let key = Key::try_from(format!("mount/{:08}", next(&mut seed) % KEYS));
                    let value = next(&mut seed).to_le_bytes().repeat(VALUE_BYTES / 8);
                    let began = Instant::now();
                    storage
                        .commit(Batch::new().put(key.unwrap(), value))
                        .await
                        .unwrap();
                    slowest = slowest.max(began.elapsed());
                    commits += 1;
                }
                (commits, slowest)
            })
        })
        .collect();
    let (mut commits, mut slowest) = (0, Duration::ZERO);
    for task in tasks {
        let (done, longest) = task.await.unwrap();
        commits += done;
        slowest = slowest.max(longest);
    }
    (commits, start.elapsed(), slowest)
}

async fn reads(storage: &Arc<RaftStorage>) {
    const READS: u32 = 200_000;
    let mut seed = 77;
    let start = Instant::now();
    for _ in 0..READS {
        let key = Key::try_from(format!("mount/{:08}", next(&mut seed) % 2_000)).unwrap();
        std::hint::black_box(storage.get(&key).await.unwrap());
    }
    let each = start.elapsed() / READS;
    let start = Instant::now();
    for _ in 0..READS {
        std::hint::black_box(storage.read_point().await.unwrap());
    }
    println!(
        "get, hot: {each:?}; read point: {:?}",
        start.elapsed() / READS
    );
}

#[tokio::main]
async fn main() {
    let root = std::env::var_os("SECRETUM_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let directory = tempfile::tempdir_in(root).unwrap();
    let disk = Arc::new(Counted::default());
    let config = RaftConfig::new(directory.path().join("data"));
    println!("resident before: {} MiB", resident_mib());
    let storage = RaftStorage::open_on(Arc::clone(&disk) as Arc<dyn Disk>, config)
        .await
        .unwrap();
    println!("resident with an empty storage: {} MiB", resident_mib());
    for writers in [1, 64, 256] {
        let (log, state) = (
            disk.log.load(Ordering::Relaxed),
            disk.state.load(Ordering::Relaxed),
        );
        let (commits, took, slowest) = round(&storage, writers).await;
        let log = disk.log.load(Ordering::Relaxed) - log;
        let state = disk.state.load(Ordering::Relaxed) - state;
        let per_second = commits as f64 / took.as_secs_f64();
        let per_sync = commits as f64 / log as f64;
        let bytes = usize::try_from(commits / log).unwrap() * (VALUE_BYTES + 100);
        let bare = bare_disk(directory.path(), bytes) * per_sync;
        println!(
            "{writers:>4} writers: {per_second:>6.0} commits/s, {per_sync:>5.1} per sync, \
             {:.0} % of the bare disk's {bare:.0}, state syncs {state}, slowest {slowest:?}, \
             resident {} MiB",
            100.0 * per_second / bare,
            resident_mib(),
        );
    }
    reads(&storage).await;
    storage.close().await.unwrap();
}
