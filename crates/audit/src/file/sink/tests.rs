//! The file device's sink, below the writer that chains its lines.

use super::*;
use crate::head::{Signer, signing_key};
use crate::queue::Batches as _;
use crate::verify::{Finding, Report, Verifier, What};
use crate::writer::Writer;
use secretum_crypto::SystemClock;
use std::collections::BTreeMap;
use std::path::Path;

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

fn signer() -> Signer {
    Signer::new(signing_key(b"key").unwrap(), Arc::new(SystemClock))
}

fn open(path: &Path) -> Writer {
    Writer::new(FileSink::open(options(path)).unwrap(), "", signer())
}

/// What the verifier says of files that follow each other, with the key of their heads.
fn verified(paths: &[&Path]) -> Report {
    let key = signing_key(b"key").unwrap().public_key();
    let mut verifier = Verifier::new(vec![key.to_vec()]);
    for path in paths {
        let file = File::open(path).unwrap();
        verifier
            .read(&path.display().to_string(), file, |_| ())
            .unwrap();
    }
    let report = verifier.finish();
    // Nobody closes these writers.
    let mut told = report.told.iter().map(|finding| &finding.what);
    assert!(
        told.all(|what| matches!(what, What::Unvouched { .. })),
        "{report:?}"
    );
    report
}

#[test]
fn nobody_vouches_for_what_was_put_in_while_no_device_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let mut writer = open(&path);
    writer.write(&lines(1)).unwrap();
    writer.close();
    drop(writer);
    // Somebody who can compute a chain.
    let text = std::fs::read(&path).unwrap();
    let mut chain = Chain::behind(&text);
    let mut forged = text.clone();
    let start = forged.len();
    forged.extend_from_slice(LINE);
    chain.seal(start, &mut forged);
    std::fs::write(&path, &forged).unwrap();
    open(&path).write(&lines(1)).unwrap();
    let found = &verified(&[&path]).told;
    assert!(matches!(
        found[..],
        [Finding {
            what: What::Unvouched { records: 1, .. },
            ..
        }]
    ));
    std::fs::write(&path, &text).unwrap();
    open(&path).write(&lines(1)).unwrap();
    assert_eq!(verified(&[&path]).told, []);
}

/// How many records the files hold, which follow each other.
fn records(paths: &[&Path]) -> u64 {
    verified(paths).records
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
    assert_eq!(records(&[&path]), 3);
}

#[test]
fn the_chain_goes_on_where_the_file_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    for opened in 0..3_u64 {
        let mut writer = open(&path);
        writer.write(&lines(2)).unwrap();
        assert_eq!(records(&[&path]), 2 * (opened + 1));
    }
    assert_eq!(verified(&[&path]).not_closed, 2);
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
    assert_eq!(records(&[&moved]), 3);
    assert_eq!(records(&[&moved, &path]), 6);
    // The second begins with a head, which says from where it goes on.
    assert_eq!(records(&[&path]), 3);
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
    assert_eq!(records(&[&moved]), 1);
    assert_eq!(records(&[&moved, &path]), 2);
    std::fs::remove_file(&path).unwrap();
    writer.write(&lines(1)).unwrap();
    assert_eq!(records(&[&path]), 1);
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
    assert_eq!(records(&[&moved]), 2);
    // Records in a file without a name are none.
    std::fs::remove_file(&moved).unwrap();
    assert!(writer.write(&lines(1)).is_err());
    std::fs::remove_dir(&path).unwrap();
    writer.write(&lines(1)).unwrap();
    assert_eq!(records(&[&path]), 1);
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
    for prefix in ["vault: ", "vault: "] {
        let options = BTreeMap::from([
            ("file_path".to_owned(), path.display().to_string()),
            ("prefix".to_owned(), prefix.to_owned()),
        ]);
        let options = FileOptions::read(&options, None).unwrap();
        let mut writer = Writer::new(FileSink::open(options).unwrap(), prefix, signer());
        writer.write(&lines(1)).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.lines()
            .all(|line| line.starts_with("vault: {\"timestamp\""))
    );
    assert_eq!(records(&[&path]), 2);
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
    let report = verified(&[&path]);
    assert_eq!((report.records, report.torn), (3, 1));
}

#[test]
fn a_log_without_a_chain_begins_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    std::fs::write(&path, "{\"timestamp\":\"t\"}\n").unwrap();
    open(&path).write(&lines(1)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let (_, own) = text.split_once('\n').unwrap();
    std::fs::write(&path, own).unwrap();
    assert_eq!(verified(&[&path]).first_sequence, Some(0));
}
