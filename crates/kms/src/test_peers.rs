//! The programs that tests run against, each named by a variable that `./test` sets.

use std::ffi::OsString;
use std::path::PathBuf;

const WITHOUT: &str = "SECRETUM_WITHOUT_PEERS";

/// The program that this variable names. `None` where peers are to be left out; a test that finds none
/// otherwise fails, for one that passes without its peer tells nothing.
pub(crate) fn peer(variable: &str) -> Option<PathBuf> {
    named(
        variable,
        std::env::var_os(variable),
        std::env::var_os(WITHOUT),
    )
}

fn named(variable: &str, found: Option<OsString>, without: Option<OsString>) -> Option<PathBuf> {
    if let Some(program) = found {
        return Some(program.into());
    }
    assert!(
        without.is_some_and(|value| !value.is_empty()),
        "{variable} names no program: `./test rust -- -p secretum-kms` installs what is missing and sets it; \
         {WITHOUT}=1 leaves such tests out"
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
fn a_peer_is_left_out_where_that_is_wanted() {
    let yes = || Some(OsString::from("1"));
    assert_eq!(named("SECRETUM_MOTO", None, yes()), None);
    let found = named("SECRETUM_MOTO", Some("/bin/moto".into()), yes());
    assert_eq!(found, Some(PathBuf::from("/bin/moto")));
}
