//! The file device's sink, below the writer that chains its lines.

use super::*;
use crate::writer::Writer;
use secretum_crypto::Sha256;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LINE: &[u8] = br#"{"timestamp":"t""#;

fn lines(count: usize) -> Lines {
    let mut lines = Lines::default();
    for _ in 0..count {
        lines.push(LINE);
    }
    lines
}

fn options(path: &Path) -> FileOptions {
    let options = BTreeMap::from([("file_path".to_owned(), path.display().to_string())]);
    FileOptions::read(&options, None).unwrap()
}

fn open(path: &Path) -> Writer {
    Writer::new(FileSink::open(options(path)).unwrap(), "")
}

/// The sequences of a file, each line's chain checked against the line before.
fn sequences(path: &PathBuf) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut head = [0; 32];
    let mut sequences = Vec::new();
    for line in text.lines().filter(|line| line.contains("\"chain\"")) {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut hash = Sha256::new();
        hash.update(&head);
        hash.update(line.split(",\"chain\"").next().unwrap().as_bytes());
        head = hash.finish();
        assert_eq!(record["chain"], hex::encode(head));
        sequences.push(record["sequence"].as_u64().unwrap());
    }
    sequences
}

/// The longest that a file may become.
fn longest(file: &File) -> u64 {
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

#[test]
fn a_file_that_was_full_goes_on_with_a_whole_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let mut writer = open(&path);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let most = longest(&file);
    // No room at all, and room for half of a record.
    for room in [0, 40] {
        file.set_len(most - room).unwrap();
        assert!(writer.write(&lines(1)).is_err());
        assert_eq!(file.metadata().unwrap().len(), most - room);
    }
    file.set_len(0).unwrap();
    writer.write(&lines(1)).unwrap();
    writer.write(&lines(2)).unwrap();
    assert_eq!(sequences(&path), [0, 1, 2]);
}

#[test]
fn the_chain_goes_on_where_the_file_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    for opened in 0..3_u64 {
        let mut writer = open(&path);
        writer.write(&lines(2)).unwrap();
        assert_eq!(sequences(&path).len() as u64, 2 * (opened + 1));
    }
    assert_eq!(sequences(&path), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn the_chain_goes_on_in_the_file_behind_a_moved_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (
        folder.path().join("audit.log"),
        folder.path().join("audit.1"),
    );
    let mut writer = open(&path);
    writer.write(&lines(2)).unwrap();
    writer.write(&lines(1)).unwrap();
    std::fs::rename(&path, &moved).unwrap();
    writer.reopen().unwrap();
    writer.write(&lines(2)).unwrap();
    writer.reopen().unwrap();
    writer.write(&lines(1)).unwrap();
    assert_eq!(sequences(&moved), [0, 1, 2]);
    let whole = folder.path().join("whole");
    let both = [&moved, &path]
        .map(|path| std::fs::read(path).unwrap())
        .concat();
    std::fs::write(&whole, both).unwrap();
    assert_eq!(sequences(&whole), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_moved_or_deleted_file_is_noticed_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (
        folder.path().join("audit.log"),
        folder.path().join("audit.1"),
    );
    let mut writer = open(&path);
    writer.write(&lines(1)).unwrap();
    std::fs::rename(&path, &moved).unwrap();
    writer.write(&lines(1)).unwrap();
    assert_eq!(sequences(&moved), [0]);
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .contains("\"sequence\":1")
    );
    std::fs::remove_file(&path).unwrap();
    writer.write(&lines(1)).unwrap();
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .contains("\"sequence\":2")
    );
}

#[test]
fn a_file_that_none_can_follow_goes_on_while_it_can_be_found() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (
        folder.path().join("audit.log"),
        folder.path().join("audit.1"),
    );
    let mut writer = open(&path);
    writer.write(&lines(1)).unwrap();
    std::fs::rename(&path, &moved).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(writer.reopen().is_err());
    writer.write(&lines(1)).unwrap();
    assert_eq!(sequences(&moved), [0, 1]);
    // Records in a file without a name are none.
    std::fs::remove_file(&moved).unwrap();
    assert!(writer.write(&lines(1)).is_err());
    std::fs::remove_dir(&path).unwrap();
    writer.write(&lines(1)).unwrap();
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .contains("\"sequence\":2")
    );
}

#[test]
fn a_file_gets_the_mode_that_was_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    for (mode, gets) in [(None, 0o600), (Some("0640"), 0o640), (Some("0000"), 0o640)] {
        let mut options = BTreeMap::from([("file_path".to_owned(), path.display().to_string())]);
        options.extend(mode.map(|mode| ("mode".to_owned(), mode.to_owned())));
        FileOptions::read(&options, None).unwrap().claim().unwrap();
        let facts = std::fs::metadata(&path).unwrap();
        assert_eq!(facts.permissions().mode() & 0o777, gets, "{mode:?}");
    }
}

#[test]
fn a_file_with_a_prefix_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    for prefix in ["", "vault: ", "vault: "] {
        let options = BTreeMap::from([
            ("file_path".to_owned(), path.display().to_string()),
            ("prefix".to_owned(), prefix.to_owned()),
        ]);
        let options = FileOptions::read(&options, None).unwrap();
        let mut writer = Writer::new(FileSink::open(options).unwrap(), prefix);
        writer.write(&lines(1)).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.lines()
            .nth(2)
            .unwrap()
            .starts_with("vault: {\"timestamp\"")
    );
    assert!(text.contains("\"sequence\":2"));
}

#[test]
fn a_torn_line_stays_apart_and_breaks_no_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    open(&path).write(&lines(2)).unwrap();
    let whole = std::fs::metadata(&path).unwrap().len();
    // Longer than what is looked at at once.
    let torn = [LINE, &vec![b'x'; 200 << 10]].concat();
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    file.write_all(&torn).unwrap();
    assert_eq!(
        last_line_end(&mut File::open(&path).unwrap(), whole + torn.len() as u64).unwrap(),
        whole
    );
    open(&path).write(&lines(1)).unwrap();
    assert_eq!(sequences(&path), [0, 1, 2]);
}

#[test]
fn a_log_without_a_chain_begins_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    std::fs::write(&path, "{\"timestamp\":\"t\"}\n").unwrap();
    open(&path).write(&lines(1)).unwrap();
    assert_eq!(sequences(&path), [0]);
}
