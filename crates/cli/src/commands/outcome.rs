//! What is said of a write and of a deletion, whichever command asked for it.

use crate::failure::{During, Failure};
use crate::output::secret;
use crate::session::Session;
use secretum_client::{ClientError, Secret};

/// Says how a write to a path ended.
///
/// **Errors**: that it failed.
pub(crate) fn written(
    outcome: Result<Option<Secret>, ClientError>,
    session: &Session,
    path: &str,
) -> Result<(), Failure> {
    let answer = outcome.during(|| writing(path))?;
    show_written(answer.as_ref(), session, path)
}

/// What is being done when data are written.
pub(crate) fn writing(path: &str) -> String {
    format!("writing data to {path}")
}

/// Shows what a write that succeeded got back.
pub(crate) fn show_written(
    answer: Option<&Secret>,
    session: &Session,
    path: &str,
) -> Result<(), Failure> {
    let done = format!("Success! Data written to: {path}");
    secret::show_written(answer, &session.style, &done)
}

/// Says how a deletion ended.
///
/// **Errors**: that it failed.
pub(crate) fn deleted(
    outcome: Result<Option<Secret>, ClientError>,
    session: &Session,
    path: &str,
) -> Result<(), Failure> {
    let answer = outcome.during(|| format!("deleting {path}"))?;
    let done = format!("Success! Data deleted (if it existed) at: {path}");
    secret::show_written(answer.as_ref(), &session.style, &done)
}
