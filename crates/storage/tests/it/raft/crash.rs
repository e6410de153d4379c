//! A process that is killed in the middle of its work, again and again.

use super::small;
use secretum_storage::raft::RaftStorage;
use secretum_storage::{Batch, Entry, Key, Storage};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// Where the child works. Without it the child's test does nothing.
const DIRECTORY: &str = "SECRETUM_STORAGE_CRASH_DIRECTORY";
/// Which run it is: values of different runs differ.
const RUN: &str = "SECRETUM_STORAGE_CRASH_RUN";
const KILLS: usize = 50;
const WRITERS: usize = 8;
const SLOTS: usize = 16;

/// What a writer's step writes: it names its place in history and has a length of its own.
fn value(run: usize, step: usize) -> String {
    format!("{run}/{step}/{}", "x".repeat(step * 131 % 3_000))
}

/// The place in history that a value names; fails where it is no value of ours.
fn place(entry: &Entry) -> (usize, usize) {
    let text = std::str::from_utf8(&entry.value).unwrap();
    let mut parts = text.splitn(3, '/').map(str::parse::<usize>);
    let place = (
        parts.next().unwrap().unwrap(),
        parts.next().unwrap().unwrap(),
    );
    assert_eq!(text, value(place.0, place.1));
    place
}

fn pair(writer: usize, slot: usize) -> [Key; 2] {
    ["a", "b"].map(|half| Key::try_from(format!("{writer}/{slot}/{half}")).unwrap())
}

#[test]
#[ignore = "the child that the crash test kills"]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let run: usize = std::env::var(RUN).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let storage = RaftStorage::open(small(Path::new(&directory)))
            .await
            .unwrap();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(Arc::clone(&storage), run, writer)))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

/// Writes without end, and says what was acknowledged.
async fn write(storage: Arc<RaftStorage>, run: usize, writer: usize) {
    for step in 0.. {
        let slot = step % SLOTS;
        let [a, b] = pair(writer, slot);
        let batch = Batch::new()
            .put(a, value(run, step))
            .put(b, value(run, step));
        storage.commit(batch).await.unwrap();
        let line = format!("ack {writer} {slot} {step}\n");
        if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

fn spawn(directory: &Path, run: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "raft::crash::child", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(RUN, run.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets a child work until it acknowledged so many writes, kills it, and notes what it said.
fn work(
    directory: &Path,
    run: usize,
    enough: usize,
    acknowledged: &mut BTreeMap<(usize, usize), (usize, usize)>,
) {
    let mut child = spawn(directory, run);
    let mut count = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // What the kill cut off was not said.
        let Some(numbers) = line.strip_prefix("ack ") else {
            continue;
        };
        let numbers: Vec<usize> = numbers.split(' ').map_while(|it| it.parse().ok()).collect();
        if let [writer, slot, step] = numbers[..] {
            acknowledged.insert((writer, slot), (run, step));
            count += 1;
        }
        if count == enough {
            // SIGKILL. The child goes on until it hits: what it says meanwhile is read, too.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(count >= enough, "the child ended by itself in run {run}");
}

async fn verify(
    directory: &Path,
    acknowledged: &BTreeMap<(usize, usize), (usize, usize)>,
    close: bool,
) {
    let storage = RaftStorage::open(small(directory)).await.unwrap();
    for ((writer, slot), wanted) in acknowledged {
        let mut places = Vec::new();
        for key in pair(*writer, *slot) {
            let entry = storage.get(&key).await.unwrap();
            let entry = entry.unwrap_or_else(|| panic!("`{key}` is lost, at {wanted:?}"));
            places.push(place(&entry));
        }
        assert_eq!(places[0], places[1], "half of a batch of writer {writer}");
        assert!(
            places[0] >= *wanted,
            "writer {writer}: {:?}, not {wanted:?}",
            places[0]
        );
    }
    if close {
        storage.close().await.unwrap();
    } else {
        // Its threads end with it; the next process waits for the lock below.
        drop(storage);
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut acknowledged = BTreeMap::new();
    for run in 0..KILLS {
        // Sometimes right after the start, sometimes after many files of the log.
        let enough = 1 + run * run * 7 % 400;
        work(directory.path(), run, enough, &mut acknowledged);
        if run % 3 != 1 {
            runtime.block_on(verify(directory.path(), &acknowledged, true));
        }
    }
    runtime.block_on(verify(directory.path(), &acknowledged, true));
    assert!(acknowledged.len() > WRITERS);
}
