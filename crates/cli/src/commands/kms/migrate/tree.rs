//! [`Tree`]: the files of a folder and of those in it.

use crate::commands::kms::output::failed;
use crate::failure::Failure;
use std::path::{Path, PathBuf};

/// How temporary files are called that stand beside those they will replace: behind this the beginning of
/// the plan that the journal has, and what is made up.
const TEMPORARY: &str = ".kms-migrate-in-place-";

/// What stands there of the plan.
const PLAN_BYTES: usize = 16;

/// What is made up behind that.
const MADE_UP_BYTES: usize = 6;

/// The most files of a tree.
const FILES_MAX: usize = 1_000_000;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The files, sorted.
    pub(super) files: Vec<PathBuf>,
    /// Folders in it that cannot be read, and why.
    pub(super) unreadable: Vec<(PathBuf, Failure)>,
    /// Temporary files that a run left behind which was killed.
    stale: Vec<PathBuf>,
}

/// The beginning of the names of a migration's temporary files.
pub(super) fn temporary_of(plan: &str) -> String {
    let plan: String = plan.chars().take(PLAN_BYTES).collect();
    format!("{TEMPORARY}{plan}-")
}

/// Reads a tree, in which the migration's own temporary files begin with `own`. Those of other ones are
/// passed over: they are neither its own to remove nor files to migrate. Links are not followed, and what is no file is passed over.
///
/// **Errors**: where the folder itself cannot be read, and more than [`FILES_MAX`] files.
pub(super) fn read(root: &Path, journal: &Path, own: &str) -> Result<Tree, Failure> {
    read_up_to(FILES_MAX, root, (journal, own))
}

fn read_up_to(limit: usize, root: &Path, (journal, own): (&Path, &str)) -> Result<Tree, Failure> {
    let mut tree = Tree::default();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |error| failed("read", &folder, &error);
        let entries = match std::fs::read_dir(&folder).map_err(unreadable) {
            Ok(entries) => entries,
            Err(failure) if folder != root => {
                tree.unreadable.push((folder, failure));
                continue;
            }
            Err(failure) => return Err(failure),
        };
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            let (path, name) = (entry.path(), entry.file_name());
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            let is_lock = name == super::journal::NAME && folder == root;
            if !kind.is_file() || path == journal || is_lock {
                continue;
            }
            let name = name.as_encoded_bytes();
            if !is_temporary(name) {
                tree.files.push(path);
            } else if name.starts_with(own.as_bytes()) {
                tree.stale.push(path);
            }
        }
        let held = tree.files.len() + tree.unreadable.len() + folders.len();
        if held > limit {
            return Err(Failure::local(format!(
                "`{}` holds more than {limit} files; migrate the folders in it one by one",
                root.display()
            )));
        }
    }
    tree.files.sort_unstable();
    Ok(tree)
}

/// Whether a name is one that was made up: a user's own may begin alike.
fn is_temporary(name: &[u8]) -> bool {
    let rest = name.strip_prefix(TEMPORARY.as_bytes());
    let parts = rest.and_then(|rest| rest.split_at_checked(PLAN_BYTES));
    parts.is_some_and(|(plan, rest)| {
        let made_up = rest.strip_prefix(b"-").unwrap_or_default();
        plan.iter().all(u8::is_ascii_hexdigit)
            && made_up.len() == MADE_UP_BYTES
            && made_up.iter().all(u8::is_ascii_alphanumeric)
    })
}

impl Tree {
    /// Removes what a run left behind that was killed. The journal's lock is held: there is no other.
    pub(super) fn clear(&self) -> Result<(), Failure> {
        for path in &self.stale {
            std::fs::remove_file(path).map_err(|error| failed("remove", path, &error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::Builder;

    #[test]
    fn files_are_found_and_the_rest_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        for name in ["z", "a/b/x", ".kms-migration", "a/.kms-migrate-notes"] {
            std::fs::write(at(name), name).unwrap();
        }
        std::os::unix::fs::symlink(at("z"), at("link")).unwrap();
        std::os::unix::fs::symlink(folder.path(), at("a/loop")).unwrap();
        let journal = at(".kms-migration");
        let own = temporary_of("0123456789abcdef0123");
        let other = temporary_of("fedcba98765432100123");
        let made = |prefix: &str| {
            let made = Builder::new().prefix(prefix).tempfile_in(at("a"));
            made.unwrap().keep().unwrap().1
        };
        let (stale, of_other) = (made(&own), made(&other));
        let tree = read(folder.path(), &journal, &own).unwrap();
        let notes = at("a/.kms-migrate-notes");
        assert_eq!(tree.files, [notes.clone(), at("a/b/x"), at("z")]);
        tree.clear().unwrap();
        assert!(!stale.exists() && notes.exists() && at("z").exists());
        // Another journal's are that one's to remove.
        assert!(of_other.exists());
        std::fs::remove_file(notes).unwrap();
        let with = (journal.as_path(), own.as_str());
        assert!(read_up_to(2, folder.path(), with).is_ok());
        std::fs::write(at("third"), "").unwrap();
        let refused = read_up_to(2, folder.path(), with).unwrap_err();
        assert!(refused.to_string().contains("more than 2 files"));
        let missing = read(&at("nothing"), &journal, &own)
            .unwrap_err()
            .to_string();
        assert!(missing.contains("cannot read"), "{missing}");
    }
}
