//! The suite that every provider passes, each through [`crate::ProviderKms`].
//!
//! A provider's test makes a [`Harness`] and awaits [`run`]. Each case opens a subject of its own, so
//! a failure names one promise of [`crate::KeyManagementService`].

mod contexts;
mod damage;
mod data_keys;
mod keys;
mod round_trips;

use crate::{EncryptionContext, KeyId, KeyManagementService, KmsError};
use async_trait::async_trait;
use std::sync::Arc;

/// What the suite works on.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The service.
    pub kms: Arc<dyn KeyManagementService>,
    /// A key that encrypts.
    pub key: KeyId,
    /// Another one, where the service has several.
    pub other_key: Option<KeyId>,
}

/// Makes the services that the suite works on.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A service with its keys.
    async fn open(&self) -> Subject;
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
    Kms(#[from] KmsError),
    #[error("{0}")]
    Seen(String),
}

type Outcome = std::result::Result<(), Broken>;

/// Fails the case unless this holds.
macro_rules! ensure {
    ($holds:expr, $($said:tt)+) => {
        if !$holds {
            return Err(Broken::Seen(format!($($said)+)));
        }
    };
}

/// Fails the case unless the result is an error of this shape.
macro_rules! refuse {
    ($seen:expr, $shape:pat) => {{
        let seen = $seen;
        if !matches!(&seen, Err($shape)) {
            let what = concat!("`", stringify!($seen), "` is no `", stringify!($shape), "`");
            return Err(Broken::Seen(format!("{what}: {seen:?}")));
        }
    }};
}

use ensure;
use refuse;

/// Runs every case of the suite.
///
/// **Errors**: the first case whose promise does not hold.
pub async fn run(harness: &dyn Harness) -> std::result::Result<(), Failure> {
    round_trips::run(harness).await?;
    contexts::run(harness).await?;
    damage::run(harness).await?;
    data_keys::run(harness).await?;
    keys::run(harness).await
}

/// Runs the named cases of a module, each over a subject of its own.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        pub(super) async fn run(
            harness: &dyn super::Harness,
        ) -> std::result::Result<(), super::Failure> {
            $(
                let outcome = $case(harness.open().await).await;
                outcome.map_err(|broken| super::Failure {
                    case: stringify!($case),
                    what: broken.to_string(),
                })?;
            )+
            Ok(())
        }
    };
}

use cases;

fn context(text: &str) -> EncryptionContext {
    text.parse().unwrap_or_default()
}
