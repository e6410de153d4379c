//! [`Journal`]: what was migrated, so that a run goes on where another one was stopped.
//!
//! # Format, version 1
//!
//! ```text
//! secretum kms migration 1 <plan>         which migration: SHA-256 in hex
//! <mark> <name>                           a file, and what it will be
//! complete                                everything was migrated
//! ```
//!
//! A line is on the disk before the file takes its place. So a file whose wrapped key is not the one of
//! its last line was not replaced, and is done again. A last line without its end was never finished,
//! and the file behind it not replaced either.

use crate::commands::kms::output::failed;
use crate::failure::Failure;
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What it is called.
pub(super) const NAME: &str = ".kms-migration";

/// The most bytes of a journal: a million files with long names.
const BYTES_MAX: u64 = 1 << 30;

const HEADER: &str = "secretum kms migration 1 ";
const COMPLETE: &str = "complete";

/// The journal of a migration.
#[derive(Debug)]
pub(super) struct Journal {
    /// `None` where it is only looked at.
    file: Option<File>,
    path: PathBuf,
    moved: HashMap<String, String>,
    /// The lock of the tree, where it is another file than the journal.
    tree: Option<File>,
}

/// What a journal says.
#[derive(Debug, Default)]
struct Said {
    plan: String,
    moved: HashMap<String, String>,
    is_complete: bool,
    /// Bytes of whole lines.
    bytes: u64,
}

impl Journal {
    /// Opens or begins the journal of a migration, and keeps others from it.
    ///
    /// **Errors**: where another run has it, it is of another migration that is not complete, or it is
    /// no journal.
    pub(super) fn open(path: &Path, plan: &str) -> Result<Self, Failure> {
        let unwritable = |error| failed("write", path, &error);
        let mut file = opened(path)?;
        lock(&file, path)?;
        let mut said = read(&mut file, path)?;
        if said.plan != plan && !said.plan.is_empty() && !said.is_complete {
            return Err(Failure::local(format!(
                "`{}` is of another migration, which is not complete; finish that one, by the same \
                 arguments and configurations, or name another -journal",
                path.display()
            )));
        }
        if said.plan != plan {
            said = Said::default();
        }
        // What stands behind the last whole line was never finished.
        file.set_len(said.bytes).map_err(unwritable)?;
        file.seek(SeekFrom::End(0)).map_err(unwritable)?;
        let mut journal = Self {
            file: Some(file),
            path: path.to_owned(),
            moved: said.moved,
            tree: None,
        };
        if said.bytes == 0 {
            journal.append(&format!("{HEADER}{plan}"))?;
        }
        Ok(journal)
    }

    /// Keeps others from a tree, whatever journal they name: `path` is the one that the tree has.
    ///
    /// **Errors**: where another run is at work in it.
    pub(super) fn hold(&mut self, path: &Path) -> Result<(), Failure> {
        let place = |file: &File| file.metadata().map(|facts| (facts.dev(), facts.ino()));
        let unreadable = |error| failed("read", path, &error);
        let file = opened(path)?;
        let own = self.file.as_ref().map(place).transpose();
        if own.map_err(unreadable)? != Some(place(&file).map_err(unreadable)?) {
            lock(&file, path)?;
            self.tree = Some(file);
        }
        Ok(())
    }

    /// Looks at the journal of a migration, where there is one.
    ///
    /// **Errors**: where it is none.
    pub(super) fn look(path: &Path, plan: &str) -> Result<Self, Failure> {
        let said = match File::open(path) {
            Ok(mut file) => read(&mut file, path)?,
            Err(error) if error.kind() == ErrorKind::NotFound => Said::default(),
            Err(error) => return Err(failed("read", path, &error)),
        };
        let moved = (said.plan == plan).then_some(said.moved);
        Ok(Self {
            file: None,
            path: path.to_owned(),
            moved: moved.unwrap_or_default(),
            tree: None,
        })
    }

    /// What files were to be, by their names, as it was when the journal was opened.
    pub(super) fn moved(&mut self) -> HashMap<String, String> {
        std::mem::take(&mut self.moved)
    }

    /// Takes down what a file will be; it is on the disk when this returns.
    pub(super) fn intend(&mut self, name: &str, mark: &str) -> Result<(), Failure> {
        self.append(&format!("{mark} {name}"))
    }

    /// Takes down that there is nothing left to do.
    pub(super) fn complete(&mut self) -> Result<(), Failure> {
        self.append(COMPLETE)
    }

    fn append(&mut self, line: &str) -> Result<(), Failure> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let written = file.write_all(format!("{line}\n").as_bytes());
        let written = written.and_then(|()| file.sync_data());
        written.map_err(|error| failed("write", &self.path, &error))
    }
}

/// A file to be written, made where there is none.
fn opened(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let opened = options.mode(0o600).open(path);
    opened.map_err(|error| failed("write", path, &error))
}

fn lock(file: &File, path: &Path) -> Result<(), Failure> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Failure::local(format!(
            "another migration is at work: it holds `{}`; wait until it ends",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed("write", path, &error)),
    }
}

fn read(file: &mut File, path: &Path) -> Result<Said, Failure> {
    read_up_to(BYTES_MAX, file, path)
}

fn read_up_to(limit: u64, file: &mut File, path: &Path) -> Result<Said, Failure> {
    let mut bytes = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    let read = read.map_err(|error| failed("read", path, &error))?;
    if u64::try_from(read).unwrap_or(u64::MAX) > limit {
        return Err(Failure::local(format!(
            "`{}` is longer than the {limit} bytes of a journal; name another -journal",
            path.display()
        )));
    }
    let no_journal = || {
        Failure::local(format!(
            "`{}` is no journal of a migration; move it away, or name another -journal",
            path.display()
        ))
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n');
    let whole = whole.map_or(0, |end| end + 1);
    let text = std::str::from_utf8(bytes.get(..whole).unwrap_or_default());
    let said = text.ok().and_then(parse).ok_or_else(no_journal)?;
    // Of a first line that was cut off, what is there must begin as it does.
    let rest = bytes.get(whole..).unwrap_or_default();
    let common = rest.len().min(HEADER.len());
    if whole == 0 && rest.get(..common) != HEADER.as_bytes().get(..common) {
        return Err(no_journal());
    }
    Ok(said)
}

fn parse(text: &str) -> Option<Said> {
    let mut said = Said {
        bytes: u64::try_from(text.len()).ok()?,
        ..Said::default()
    };
    let mut lines = text.lines();
    let Some(first) = lines.next() else {
        return Some(said);
    };
    first.strip_prefix(HEADER)?.clone_into(&mut said.plan);
    for line in lines {
        said.is_complete = line == COMPLETE;
        if !said.is_complete {
            let (mark, name) = line.split_once(' ')?;
            said.moved.insert(name.to_owned(), mark.to_owned());
        }
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_down_is_known_to_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut journal = Journal::open(&path, "plan").unwrap();
        journal.intend("a b", "m1").unwrap();
        journal.intend("c", "m2").unwrap();
        journal.intend("a b", "m3").unwrap();
        let busy = Journal::open(&path, "plan").unwrap_err().to_string();
        assert!(busy.contains("at work"), "{busy}");
        drop(journal);
        let moved = Journal::open(&path, "plan").unwrap().moved();
        assert_eq!(moved.get("a b").map(String::as_str), Some("m3"));
        assert_eq!(moved.get("c").map(String::as_str), Some("m2"));
        assert_eq!(Journal::look(&path, "plan").unwrap().moved(), moved);
        assert!(Journal::look(&path, "other").unwrap().moved().is_empty());
    }

    #[test]
    fn a_tree_has_one_run_at_a_time_whatever_their_journals() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, other) = (folder.path().join(NAME), folder.path().join("other"));
        let mut first = Journal::open(&tree, "plan").unwrap();
        first.hold(&folder.path().join(".").join(NAME)).unwrap();
        let mut second = Journal::open(&other, "plan").unwrap();
        let busy = second.hold(&tree).unwrap_err().to_string();
        assert!(busy.contains("at work"), "{busy}");
        drop(first);
        second.hold(&tree).unwrap();
        assert!(Journal::open(&tree, "plan").is_err());
        drop(second);
        assert!(Journal::open(&tree, "plan").is_ok());
    }

    #[test]
    fn a_journal_cut_off_anywhere_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut journal = Journal::open(&path, "plan").unwrap();
        journal.intend("a", "m1").unwrap();
        journal.intend("b", "m2").unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path, "plan").unwrap();
            let known = journal.moved().len();
            journal.intend("c", "m3").unwrap();
            drop(journal);
            let moved = Journal::open(&path, "plan").unwrap().moved();
            assert_eq!(moved.len(), known + 1, "{cut}");
            assert!(moved.values().all(|mark| mark.len() == 2), "{cut}");
        }
    }

    #[test]
    fn a_journal_above_its_limit_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut journal = Journal::open(&path, "plan").unwrap();
        journal.intend("a", "m1").unwrap();
        drop(journal);
        let bytes = std::fs::metadata(&path).unwrap().len();
        let read = |limit| read_up_to(limit, &mut File::open(&path).unwrap(), &path);
        assert_eq!(read(bytes).unwrap().moved.len(), 1);
        let refused = read(bytes - 1).unwrap_err().to_string();
        assert!(refused.contains("is longer"), "{refused}");
    }

    #[test]
    fn another_migration_waits_until_one_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut journal = Journal::open(&path, "one").unwrap();
        journal.intend("a", "m1").unwrap();
        drop(journal);
        let refused = Journal::open(&path, "two").unwrap_err().to_string();
        assert!(refused.contains("not complete"), "{refused}");
        Journal::open(&path, "one").unwrap().complete().unwrap();
        assert!(Journal::open(&path, "two").unwrap().moved().is_empty());
        let refused = Journal::open(&path, "one").unwrap_err().to_string();
        assert!(refused.contains("not complete"), "{refused}");
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for text in [
            "theirs",
            "theirs\n",
            "\n",
            "secretum kms migration 1 p\nx\n",
        ] {
            std::fs::write(&path, text).unwrap();
            let refused = Journal::open(&path, "p").unwrap_err().to_string();
            assert!(refused.contains("is no journal"), "{refused}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
