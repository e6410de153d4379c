//! Writers that note down what was acknowledged, on a simulated disk, and the check that it is all
//! there.

use super::simulation::{Dice, Notes, SimulatedDisk};
use super::small;
use secretum_storage::raft::disk::Disk;
use secretum_storage::raft::{RaftConfig, RaftStorage};
use secretum_storage::{Batch, Key, PageOf, Result, Storage};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const DATA: &str = "/data";
const KEYS: u64 = 24;

pub(crate) fn config() -> RaftConfig {
    let mut config = small(Path::new(DATA));
    config.node_id = Some(1);
    config
}

pub(crate) async fn open(disk: &SimulatedDisk, config: RaftConfig) -> Result<Arc<RaftStorage>> {
    RaftStorage::open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, config).await
}

/// A disk with nothing on it.
pub(crate) fn blank() -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    disk.create_dir(Path::new("/")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    // The root has no parent that could be synced.
    disk.world().settle();
    disk
}

/// What step `step` writes: it names its place in history and has a length of its own.
fn value(step: u64) -> Vec<u8> {
    let mut value = step.to_le_bytes().to_vec();
    let bytes = usize::try_from(step * 977 % 2_500).unwrap();
    value.resize(8 + bytes, step.to_le_bytes()[0]);
    value
}

fn step_of(value: &[u8]) -> u64 {
    let step = u64::from_le_bytes(value[..8].try_into().unwrap());
    assert_eq!(value, self::value(step), "no value that was ever written");
    step
}

/// Writes `steps` steps of one writer; what is acknowledged is noted on the disk.
pub(crate) async fn write(
    storage: &RaftStorage,
    disk: &SimulatedDisk,
    writer: u64,
    steps: std::ops::Range<u64>,
) -> Result<()> {
    let mut dice = Dice::new(writer * 7_919 + steps.start);
    for step in steps {
        let name = format!("{writer}/{}", dice.roll(KEYS));
        let (one, other) = (format!("{name}/one"), format!("{name}/other"));
        let batch = Batch::new()
            .put(Key::try_from(one)?, value(step))
            .put(Key::try_from(other)?, value(step));
        storage.commit(batch).await?;
        disk.world().notes.insert(name, step);
    }
    Ok(())
}

/// Asserts that everything acknowledged is there, and nothing that was never written.
pub(crate) async fn verify(storage: &RaftStorage, notes: &Notes) {
    try_verify(storage, notes).await.unwrap();
}

/// The same, but a read may fail.
pub(crate) async fn try_verify(storage: &RaftStorage, notes: &Notes) -> Result<()> {
    acknowledged(storage, notes).await?;
    let everything = Key::try_from("")?;
    let page = storage
        .page(&everything, None, usize::MAX, PageOf::Entries)
        .await?;
    for row in page.rows {
        step_of(&row.entry.unwrap().value);
    }
    Ok(())
}

/// Asserts that everything acknowledged is there.
pub(crate) async fn acknowledged(storage: &RaftStorage, notes: &Notes) -> Result<()> {
    for (name, acknowledged) in notes {
        let mut seen = Vec::new();
        for half in ["one", "other"] {
            let key = Key::try_from(format!("{name}/{half}"))?;
            let entry = storage.get(&key).await?;
            let entry = entry.unwrap_or_else(|| panic!("`{key}` is lost, at {acknowledged}"));
            seen.push(step_of(&entry.value));
        }
        assert_eq!(seen[0], seen[1], "half a batch of `{name}`");
        assert!(
            seen[0] >= *acknowledged,
            "`{name}` is at {}, not {acknowledged}",
            seen[0]
        );
    }
    Ok(())
}

/// The files of the data directory.
pub(crate) fn files(disk: &SimulatedDisk) -> Vec<PathBuf> {
    let names = disk.names();
    names
        .into_iter()
        .filter(|name| name.starts_with(DATA))
        .collect()
}
