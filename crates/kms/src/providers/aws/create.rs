//! Makes keys, each under an alias: a key of AWS has no other name that can be chosen.

use super::fault::CLOUD;
use super::{AwsProvider, NAME};
use crate::{KeyId, KeyInfo, KmsError, Provider, Result};

/// The shortest time that the service keeps a key that is to be deleted.
const DELETION_DAYS: i32 = 7;

impl AwsProvider {
    pub(super) async fn make(&self, alias: &KeyId) -> Result<KeyInfo> {
        if !alias.as_str().starts_with("alias/") {
            return Err(KmsError::Refused {
                provider: NAME,
                reason: format!("`{alias}` is no name for a new key; write alias/NAME"),
            });
        }
        CLOUD.check_vacant(self, alias).await?;
        let client = self.session.client().await?;
        let made = client.create_key().send().await;
        let made = made.map_err(|error| self.session.fault(error).of_key(alias))?;
        let id = made.key_metadata.map(|key| key.key_id);
        let id = id.ok_or_else(|| CLOUD.bad("it names no key"))?;
        let named = client
            .create_alias()
            .alias_name(alias.as_str())
            .target_key_id(&id);
        let Err(error) = named.send().await else {
            return self.describe(alias).await;
        };
        let taken = error
            .as_service_error()
            .is_some_and(|error| error.is_already_exists_exception());
        let is_refused =
            (error.raw_response()).is_some_and(|response| response.status().is_client_error());
        if !is_refused {
            // The alias may be there all the same, and in use.
            tracing::warn!(
                key = id,
                alias = alias.as_str(),
                "a new key may have no alias"
            );
            return Err(self.session.fault(error).of_key(alias));
        }
        // Nobody would find it again.
        let gone = client
            .schedule_key_deletion()
            .key_id(&id)
            .pending_window_in_days(DELETION_DAYS);
        if let Err(error) = gone.send().await {
            let error = self.session.fault(error).of_key(alias);
            tracing::warn!(key = id, %error, "a new key without an alias could not be deleted");
        }
        match taken {
            true => Err(KmsError::key_exists(NAME, alias)),
            false => Err(self.session.fault(error).of_key(alias)),
        }
    }
}
