//! New versions of keys, by hand and by time, and the end of old ones.

use super::key::KeyName;
use super::keys::KeyFacts;
use super::{Transit, TransitError};
use schemars::JsonSchema;
use secretum_api::fields::Count;
use secretum_crypto::Timestamp;
use secretum_engine::{Context, Fault, Handle, Reply, TimerChange, Writes, unreadable};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Adds a version to a key, with which it encrypts from now on.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RotateKey {
    /// Name of the key.
    name: KeyName,
}

/// Destroys the versions of a key below one.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TrimKey {
    /// Name of the key.
    name: KeyName,
    /// The oldest version that stays.
    min_available_version: Count,
}

/// Which key a timer rotates.
#[derive(Serialize, Deserialize)]
struct Due {
    name: String,
}

/// What becomes of the timer of a key whose next rotation was at `before`, and is at `after` now.
///
/// **Errors**: [`Fault::Internal`].
pub(super) fn rearm(
    name: &KeyName,
    before: Option<i64>,
    after: Option<i64>,
) -> Result<Vec<TimerChange>, Fault> {
    let name = name.as_str();
    secretum_engine::rearm(name, before, after, || Due {
        name: name.to_owned(),
    })
}

impl Handle<RotateKey> for Transit {
    type Data = KeyFacts;
    type Error = TransitError;

    async fn handle(
        &self,
        ask: RotateKey,
        context: &Context,
    ) -> Result<Reply<KeyFacts>, TransitError> {
        let mut key = self.key(&ask.name).await?;
        let (batch, _) = self.put_version(&mut key, context.clock.now())?;
        let timers = key.timers()?;
        Ok(Reply::data(key.facts()).with_writes(Writes { batch, timers }))
    }
}

impl Transit {
    /// Rotates the key of a timer, unless that was done since it was set.
    ///
    /// **Errors**: [`Fault::Internal`], [`Fault::Storage`].
    pub(super) async fn rotate_when_due(
        &self,
        data: &RawValue,
        now: Timestamp,
    ) -> Result<Writes, Fault> {
        let due: Due =
            serde_json::from_str(data.get()).map_err(|error| unreadable("timer", &error))?;
        let name = KeyName::try_from(due.name).map_err(Fault::internal)?;
        let Some(mut key) = self.find(&name).await?.filter(|key| key.is_due(now)) else {
            return Ok(Writes::default());
        };
        let (batch, _) = self.put_version(&mut key, now)?;
        let timers = key.timers()?;
        Ok(Writes { batch, timers })
    }
}

impl Handle<TrimKey> for Transit {
    type Data = KeyFacts;
    type Error = TransitError;

    async fn handle(&self, ask: TrimKey, _: &Context) -> Result<Reply<KeyFacts>, TransitError> {
        let mut key = self.key(&ask.name).await?;
        let known = &mut key.known;
        let oldest = u32::try_from(ask.min_available_version.0).unwrap_or(u32::MAX);
        if known.min_encryption_version == 0 {
            return Err(TransitError::Invalid(
                "minimum available version cannot be set when minimum encryption version is not set",
            ));
        }
        if oldest > known.min_encryption_version || oldest > known.min_decryption_version {
            return Err(TransitError::Invalid(
                "minimum available version cannot be greater than minimum encryption or decryption \
                 version",
            ));
        }
        if oldest < known.min_available_version {
            return Err(TransitError::Invalid(
                "minimum available version cannot be decremented",
            ));
        }
        known.min_available_version = oldest;
        let kept = known.versions.split_off(&oldest);
        let gone = std::mem::replace(&mut known.versions, kept);
        let batch = self.drop_versions(self.put(&key)?, &key, gone.into_keys())?;
        Ok(Reply::data(key.facts()).with_writes(batch))
    }
}
