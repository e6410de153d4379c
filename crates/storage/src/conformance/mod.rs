//! The suite that every backend, and every view that is itself a [`Storage`], passes.
//!
//! A backend's test makes a [`Harness`] and awaits [`run`]. Each case opens an empty storage of its
//! own, so a failure names one promise of the boundary.

mod batches;
mod feeds;
mod limits;
mod pages;
mod revisions;

use crate::{Batch, Key, Result, Revision, Storage, StorageError};
use async_trait::async_trait;
use std::sync::Arc;

/// Makes the storages that the suite works on.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A new, empty storage.
    async fn open(&self) -> Result<Arc<dyn Storage>>;

    /// The same storage after the suite closed it; `None` where nothing outlives a close.
    async fn reopen(&self, closed: Arc<dyn Storage>) -> Result<Option<Arc<dyn Storage>>>;
}

/// A promise that was broken.
#[derive(Debug, thiserror::Error)]
#[error("`{case}`: {what}")]
pub struct Failure {
    /// The case that found it.
    pub case: &'static str,
    /// What was seen.
    pub what: String,
}

/// Why a case ended early.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("an unexpected error: {0}")]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Seen(String),
}

type Outcome = std::result::Result<(), Broken>;

/// Fails the case unless the two are equal.
macro_rules! expect_eq {
    ($seen:expr, $wanted:expr) => {{
        let (seen, wanted) = (&$seen, &$wanted);
        if seen != wanted {
            let what = concat!("`", stringify!($seen), "`");
            return Err(Broken::Seen(format!("{what} is {seen:?}, not {wanted:?}")));
        }
    }};
}

/// Fails the case unless the value has the shape.
macro_rules! expect_matches {
    ($seen:expr, $shape:pat $(if $guard:expr)?) => {{
        let seen = $seen;
        if !matches!(&seen, $shape $(if $guard)?) {
            let what = concat!("`", stringify!($seen), "` is no `", stringify!($shape), "`");
            return Err(Broken::Seen(format!("{what}: {seen:?}")));
        }
    }};
}

use expect_eq;
use expect_matches;

/// Runs every case of the suite.
///
/// **Errors**: the first case whose promise does not hold.
pub async fn run(harness: &dyn Harness) -> std::result::Result<(), Failure> {
    batches::run(harness).await?;
    pages::run(harness).await?;
    revisions::run(harness).await?;
    feeds::run(harness).await?;
    limits::run(harness).await
}

/// Runs the named cases, each on a storage of its own, which is closed behind it.
macro_rules! cases {
    ($harness:expr; $($case:ident),+ $(,)?) => {{
        $({
            let fail = |what: String| Failure { case: stringify!($case), what };
            let storage = $harness.open().await.map_err(|error| fail(error.to_string()))?;
            $case(Arc::clone(&storage)).await.map_err(|broken| fail(broken.to_string()))?;
            storage.close().await.map_err(|error| fail(error.to_string()))?;
        })+
        Ok(())
    }};
}

use cases;

fn key(text: &str) -> Result<Key> {
    Key::try_from(text)
}

async fn put(storage: &dyn Storage, name: &str, value: &str) -> Result<Revision> {
    storage
        .commit(Batch::new().put(key(name)?, value.to_owned()))
        .await
}

/// The value of a key as text.
async fn text(storage: &dyn Storage, name: &str) -> Result<Option<String>> {
    let entry = storage.get(&key(name)?).await?;
    Ok(entry.map(|entry| String::from_utf8_lossy(&entry.value).into_owned()))
}
