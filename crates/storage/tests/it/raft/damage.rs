//! Files with flipped bits, cut short, or gone.

use super::load::{DATA, acknowledged, blank, config, files, open, try_verify, verify, write};
use super::simulation::{Dice, SimulatedDisk};
use secretum_storage::raft::RaftConfig;
use secretum_storage::{Batch, Key, Storage, StorageError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Checkpoints only when it is closed.
fn without_checkpoints() -> RaftConfig {
    let mut config = config();
    config.checkpoint_bytes = u64::MAX;
    config.checkpoint_interval = Duration::from_secs(3_600);
    config.log_segment_bytes = 16 * 1024 * 1024;
    config
}

/// What a node leaves that was closed.
async fn closed(steps: u64) -> SimulatedDisk {
    let disk = blank();
    let mut config = config();
    config.log_keep_bytes = u64::MAX;
    let storage = open(&disk, config).await.unwrap();
    write(&storage, &disk, 0, 0..steps).await.unwrap();
    storage.close().await.unwrap();
    disk
}

fn log_files(disk: &SimulatedDisk) -> Vec<PathBuf> {
    let in_log = Path::new(DATA).join("log");
    files(disk)
        .into_iter()
        .filter(|path| path.starts_with(&in_log))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_anywhere_in_its_last_record_opens_without_it() {
    let disk = blank();
    let storage = open(&disk, without_checkpoints()).await.unwrap();
    write(&storage, &disk, 0, 0..5).await.unwrap();
    let before = disk.image();
    let last = Key::try_from("9/0/one").unwrap();
    let value = 8_u64.to_le_bytes().to_vec();
    storage
        .commit(Batch::new().put(last.clone(), value.clone()))
        .await
        .unwrap();
    let after = disk.image();
    drop(storage.close().await);
    let path = log_files(&after).pop().unwrap();
    let (start, whole) = (end_of_frames(&before.content(&path)), after.content(&path));
    let end = end_of_record(&whole, start, last.as_bytes());
    let frames = end_of_frames(&whole);
    assert!(start < end && end <= frames && frames < whole.len());
    // The rest of it is missing, or is the zeros that stood there before it.
    let torn = (start..=frames).flat_map(|cut| [(cut, cut), (cut, whole.len())]);
    for (cut, length) in torn {
        let image = after.image();
        let mut content = whole[..cut].to_vec();
        content.resize(length, 0);
        // Bytes that were zero before it are there all the same.
        let is_whole = content.get(start..end) == Some(&whole[start..end]);
        image.set_content(&path, content);
        let storage = open(&image, without_checkpoints()).await.unwrap();
        acknowledged(&storage, &image.notes()).await.unwrap();
        let read = storage.get(&last).await.unwrap();
        // What is there whole was acknowledged, maybe; what is not never was.
        let expected = is_whole.then_some(&value[..]);
        assert_eq!(
            read.as_ref().map(|entry| &entry.value[..]),
            expected,
            "cut at {cut}"
        );
        // It goes on from there, and what is written then is found.
        write(&storage, &image, 0, 6..8).await.unwrap();
        let again = image.image();
        drop(storage.close().await);
        let storage = open(&again, without_checkpoints()).await.unwrap();
        acknowledged(&storage, &again.notes()).await.unwrap();
        drop(storage.close().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_of_the_log_is_refused_by_name() {
    let disk = blank();
    let storage = open(&disk, without_checkpoints()).await.unwrap();
    write(&storage, &disk, 0, 0..6).await.unwrap();
    let path = log_files(&disk).pop().unwrap();
    let synced = end_of_frames(&disk.image().content(&path));
    write(&storage, &disk, 0, 6..7).await.unwrap();
    // Until its mark stands behind it, damage near the end cannot be told from a torn write.
    let image = marked(&disk, &path).await;
    drop(storage.close().await);
    let whole = image.content(&path);
    for at in (0..synced.min(whole.len())).step_by(7) {
        let damaged = image.image();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        damaged.set_content(&path, bytes);
        match open(&damaged, without_checkpoints()).await {
            Err(StorageError::Corrupt { path: named, .. }) => assert_eq!(named, path),
            Err(other) => panic!("byte {at}: {other}"),
            // A mark holds nothing.
            Ok(storage) => {
                verify(&storage, &damaged.notes()).await;
                drop(storage.close().await);
            }
        }
        assert!(damaged.content(&path).len() <= whole.len());
    }
}

/// Where the frames of a segment end, and the zeros begin that are room for more.
fn end_of_frames(log: &[u8]) -> usize {
    let length = |at: usize| {
        let bytes = log.get(at..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    // The segment's head: magic, version, length of its body, the body, a checksum.
    let mut end = 16 + length(12).unwrap() + 4;
    while log.get(end..).is_some_and(|rest| rest.starts_with(b"SVFR")) {
        end += 24 + length(end + 4).unwrap();
    }
    end
}

/// Where the frame ends that holds these bytes, of those that begin at `start` or behind it.
fn end_of_record(log: &[u8], start: usize, holds: &[u8]) -> usize {
    const HEAD_BYTES: usize = 24;
    let mut at = start;
    loop {
        let head = &log[at..at + HEAD_BYTES];
        assert!(head.starts_with(b"SVFR"), "no frame at {at}");
        let bytes = u32::from_le_bytes(head[4..8].try_into().unwrap());
        let end = at + HEAD_BYTES + usize::try_from(bytes).unwrap();
        let body = &log[at + HEAD_BYTES..end];
        if body.windows(holds.len()).any(|window| window == holds) {
            return end;
        }
        at = end;
    }
}

/// The mark behind a commit: an empty frame, which says that what is before it was synced.
fn ends_with_mark(log: &[u8]) -> bool {
    log[..end_of_frames(log)]
        .last_chunk::<24>()
        .is_some_and(|mark| mark.starts_with(b"SVFR\0\0\0\0"))
}

/// The disk once the mark is written behind the last commit: the process lives on for a moment after
/// the answer.
async fn marked(disk: &SimulatedDisk, log: &Path) -> SimulatedDisk {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let image = disk.image();
        if ends_with_mark(&image.content(log)) {
            return image;
        }
        assert!(Instant::now() < deadline, "the log has no mark");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_of_the_last_acknowledged_record_is_refused_by_name() {
    let disk = blank();
    let storage = open(&disk, without_checkpoints()).await.unwrap();
    write(&storage, &disk, 0, 0..5).await.unwrap();
    let path = log_files(&disk).pop().unwrap();
    let image = marked(&disk, &path).await;
    drop(storage.close().await);
    let whole = image.content(&path);
    for back in 25..400 {
        let mut bytes = whole.clone();
        let at = end_of_frames(&bytes) - back;
        bytes[at] ^= 1;
        let damaged = image.image();
        damaged.set_content(&path, bytes);
        let error = open(&damaged, without_checkpoints()).await.unwrap_err();
        let named = matches!(&error, StorageError::Corrupt { path: named, .. } if *named == path);
        assert!(named, "{back} bytes before the end: {error}");
    }
}

/// Opens a damaged disk: an error that names the file, or the right data.
async fn named_or_right(disk: &SimulatedDisk, damaged: &Path, what: &str) -> bool {
    let notes = disk.notes();
    let error = match open(disk, config()).await {
        Err(error) => error,
        Ok(storage) => {
            let read = try_verify(&storage, &notes).await;
            drop(storage.close().await);
            match read {
                Ok(()) => return false,
                Err(error) => error,
            }
        }
    };
    let named = match &error {
        StorageError::Corrupt { path, .. } | StorageError::Foreign { path, .. } => path.clone(),
        other => panic!("{what}: {other:?}"),
    };
    // A lost file of the log is told by its neighbour or its folder.
    let near = damaged.starts_with(&named) || named.parent() == damaged.parent();
    assert!(
        near,
        "{what}: `{error}` names another file than `{}`",
        damaged.display()
    );
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_anywhere_is_named_or_harmless() {
    let disk = closed(120).await;
    let mut dice = Dice::new(5);
    let mut found = 0;
    for path in files(&disk) {
        let whole = disk.content(&path);
        for _ in 0..80 {
            let at = usize::try_from(dice.roll(whole.len() as u64)).unwrap();
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << dice.roll(8);
            let damaged = disk.image();
            damaged.set_content(&path, bytes);
            let what = format!("bit at {at} of {}", path.display());
            found += usize::from(named_or_right(&damaged, &path, &what).await);
        }
    }
    assert!(found > 50, "only {found} flips were found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zeroed_page_anywhere_is_named_or_harmless() {
    let disk = closed(120).await;
    for path in files(&disk) {
        let whole = disk.content(&path);
        for at in (0..whole.len()).step_by(4_096) {
            let mut bytes = whole.clone();
            let end = bytes.len().min(at + 4_096);
            bytes[at..end].fill(0);
            let damaged = disk.image();
            damaged.set_content(&path, bytes);
            let what = format!("page at {at} of {}", path.display());
            named_or_right(&damaged, &path, &what).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_cut_short_is_named_or_harmless() {
    let disk = closed(120).await;
    let mut dice = Dice::new(6);
    for path in files(&disk) {
        let whole = disk.content(&path);
        for _ in 0..20 {
            let cut = usize::try_from(dice.roll(whole.len() as u64)).unwrap();
            let damaged = disk.image();
            damaged.set_content(&path, whole[..cut].to_vec());
            let what = format!("{} cut at {cut}", path.display());
            named_or_right(&damaged, &path, &what).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_missed() {
    use secretum_storage::raft::disk::Disk;
    let disk = closed(120).await;
    assert!(log_files(&disk).len() > 2);
    for path in files(&disk) {
        let damaged = disk.image();
        damaged.remove(&path).unwrap();
        let what = format!("{} removed", path.display());
        assert!(named_or_right(&damaged, &path, &what).await, "{what}");
    }
}
