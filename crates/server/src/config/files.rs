//! The files that make up a configuration.

use super::notice::Notices;
use super::{FILE_BYTES_MAX, FILES_MAX, Place, Problem};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The endings of the files that are read from a folder.
const ENDINGS: [&str; 3] = ["hcl", "json", "toml"];

/// The files that these paths name: each file, and of a folder those with a known ending by name. A
/// file that is named twice is read once.
pub(crate) fn named_by(paths: &[PathBuf], notices: &mut Notices) -> Vec<Arc<Path>> {
    if paths.is_empty() {
        notices.push(Place::whole(Path::new("-config")), Problem::NoFileGiven);
    }
    let (mut files, mut seen) = (Vec::new(), HashSet::new());
    for path in paths {
        let found = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => in_folder(path),
            Ok(_) => Ok(vec![path.clone()]),
            Err(error) => Err(error),
        };
        match found {
            Ok(found) if found.is_empty() => {
                notices.push(Place::whole(path), Problem::EmptyFolder);
            }
            Ok(found) => {
                let new = |file: &PathBuf| {
                    seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone()))
                };
                files.extend(found.into_iter().filter(new).map(Arc::<Path>::from));
            }
            Err(error) => notices.push(Place::whole(path), Problem::unreadable(&error)),
        }
    }
    if files.len() > FILES_MAX {
        let last = files.get(FILES_MAX).map_or(Path::new(""), |file| file);
        notices.push(Place::whole(last), Problem::TooManyFiles);
        files.truncate(FILES_MAX);
    }
    files
}

fn in_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let known = ENDINGS.iter().any(|ending| has_ending(&path, ending));
        if known && !is_left_behind(&path) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether it is the lock of an editor, `.#server.hcl` say; its other leftovers have other endings.
fn is_left_behind(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with(".#")
}

/// Whether the file's name ends in this, without regard to case.
pub(crate) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|found: &OsStr| found.eq_ignore_ascii_case(ending))
}

/// The text of a file.
///
/// **Errors**: the file cannot be read, has more than [`FILE_BYTES_MAX`] bytes, or is not UTF-8.
pub(crate) fn text(path: &Path) -> Result<String, Problem> {
    let one_more = u64::try_from(FILE_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(one_more).read_to_end(&mut bytes))
        .map_err(|error| Problem::unreadable(&error))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Problem::FileTooLong);
    }
    String::from_utf8(bytes).map_err(|_| Problem::NotUtf8)
}
