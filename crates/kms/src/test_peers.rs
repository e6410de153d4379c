//! The programs that tests run against, each named by a variable that `./test` sets.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

const WITHOUT: &str = "SECRETUM_WITHOUT_PEERS";

/// Names the file that tells which peers were asked for and found, a line each time.
const FOUND: &str = "SECRETUM_PEERS_FOUND";

/// The program that this variable names. `None` where peers are to be left out; a test that finds none
/// otherwise fails, for one that passes without its peer tells nothing.
#[allow(dead_code, reason = "age and ssh-keygen are found without a variable")]
pub(crate) fn peer(variable: &str) -> Option<PathBuf> {
    let program = named(
        variable,
        std::env::var_os(variable),
        std::env::var_os(WITHOUT),
    )?;
    found(variable);
    Some(program)
}

/// The program that this variable names, which takes long to install: `./test --all` alone sets it.
#[allow(dead_code, reason = "not every crate has such peers")]
pub(crate) fn peer_of_all(variable: &str) -> Option<PathBuf> {
    let Some(program) = std::env::var_os(variable) else {
        eprintln!("{variable} names no program: left out; ./test --all sets it");
        return None;
    };
    found(variable);
    Some(program.into())
}

/// Notes that a test ran against this peer: a variable, or a program that is where all programs are.
pub(crate) fn found(variable: &str) {
    if let Some(file) = std::env::var_os(FOUND) {
        note(Path::new(&file), variable);
    }
}

fn note(file: &Path, variable: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .unwrap();
    file.write_all(format!("{variable}\n").as_bytes()).unwrap();
}

fn named(variable: &str, found: Option<OsString>, without: Option<OsString>) -> Option<PathBuf> {
    if let Some(program) = found {
        return Some(program.into());
    }
    assert!(
        without.is_some_and(|value| !value.is_empty()),
        "{variable} names no program: `./test rust -- -p {}` installs what is missing and sets it; \
         {WITHOUT}=1 leaves such tests out",
        env!("CARGO_PKG_NAME")
    );
    eprintln!("{variable} names no program, and {WITHOUT} is set: left out");
    None
}

#[test]
#[should_panic(expected = "./test rust -- -p secretum-kms")]
fn a_peer_that_is_missing_is_told() {
    named("SECRETUM_MOTO", None, Some(OsString::new()));
}

#[test]
fn a_peer_that_was_found_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("found");
    note(&file, "SECRETUM_BAO");
    note(&file, "SECRETUM_MOTO");
    let found = std::fs::read_to_string(&file).unwrap();
    assert_eq!(found, "SECRETUM_BAO\nSECRETUM_MOTO\n");
}

#[test]
fn a_peer_is_left_out_where_that_is_wanted() {
    let yes = || Some(OsString::from("1"));
    assert_eq!(named("SECRETUM_MOTO", None, yes()), None);
    let found = named("SECRETUM_MOTO", Some("/bin/moto".into()), yes());
    assert_eq!(found, Some(PathBuf::from("/bin/moto")));
}
