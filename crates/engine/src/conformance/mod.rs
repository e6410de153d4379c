//! The suite that every kind of engine passes, in each of its versions.
//!
//! A test of the crate that has the engines awaits [`run`] for each of them. The suite knows an engine
//! by its rows and their schemas alone, so that a new one is tested by being there. Each case works on
//! a mount of its own, over a storage in memory that takes no commit from an engine.

mod description;
mod requests;
mod routing;
mod schema;
mod subject;
mod writes;

use crate::EngineKind;
use subject::Subject;

/// A promise that was broken.
#[derive(Debug, thiserror::Error)]
#[error("`{kind}` of version `{version}`: `{case}`: {what}")]
pub struct Failure {
    /// The kind of engine.
    pub kind: &'static str,
    /// The version option of its mount.
    pub version: &'static str,
    /// The case that found it.
    pub case: &'static str,
    /// What was seen.
    pub what: String,
}

/// What a case saw that must not be.
#[derive(Debug)]
struct Broken(String);

type Outcome = Result<(), Broken>;

/// Fails the case with what it saw.
fn broken<T>(what: impl Into<String>) -> Result<T, Broken> {
    Err(Broken(what.into()))
}

/// Runs the named cases, each on a mount of its own.
macro_rules! run_cases {
    ($kind:expr, $version:expr; $($module:ident::$case:ident),+ $(,)?) => {{
        $({
            let fail = |Broken(what)| Failure {
                kind: $kind.name(),
                version: $version,
                case: stringify!($case),
                what,
            };
            let subject = Subject::mount($kind, $version).map_err(fail)?;
            $module::$case(&subject).await.map_err(fail)?;
        })+
    }};
}

/// Runs every case for every version of a kind.
///
/// **Errors**: the first case whose promise does not hold.
pub async fn run(kind: &EngineKind) -> Result<(), Failure> {
    for version in kind.versions() {
        run_cases!(kind, version;
            description::every_row_is_described,
            routing::every_row_is_reached_by_its_own_path,
            routing::odd_paths_are_answered,
            requests::wrong_types_are_the_callers_fault,
            requests::unknown_fields_are_told_and_do_not_fail,
            writes::what_was_written_exists,
            writes::nothing_is_written_outside_of_the_mount,
        );
    }
    Ok(())
}
