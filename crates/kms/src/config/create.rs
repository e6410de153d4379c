//! From a [`KmsConfig`] to the service that it describes.

use super::backend::Making;
use super::{Environment, KmsConfig};
use crate::resilience::recorded;
use crate::{
    KeyId, KeyInfo, KeyManagementService, KmsOperation, Observers, Provider, ProviderKms,
    ResilientKms, Result,
};
use std::sync::Arc;

/// The service of a configuration, without anything around it.
///
/// **Errors**: as [`create_provider`].
pub fn create_kms(
    config: &KmsConfig,
    environment: &Environment,
    observers: &Observers,
) -> Result<Arc<dyn KeyManagementService>> {
    let provider = create_provider(config, environment, observers)?;
    let rng = Arc::clone(&observers.rng);
    Ok(Arc::new(ProviderKms::with_rng(provider, rng)))
}

/// The provider of a configuration: for who has keys made.
///
/// **Errors**: [`crate::KmsError`], where its keys or credentials cannot be read.
pub fn create_provider(
    config: &KmsConfig,
    environment: &Environment,
    observers: &Observers,
) -> Result<Arc<dyn Provider>> {
    config
        .backend
        .provider(&making(config, environment, observers))
}

fn making<'a>(
    config: &'a KmsConfig,
    environment: &'a Environment,
    observers: &'a Observers,
) -> Making<'a> {
    Making {
        default_key: &config.default_key,
        environment,
        observers,
    }
}

/// Makes a key where a configuration has its keys: with age a key pair in the two files that it names,
/// with `local` an entry of its file, which is made where it is not there, else in the key service.
/// Where no key is named, it is the default key. age's keys have no names of their own. The sinks of the observers
/// have it recorded before it is done, and behind that.
///
/// **Errors**: [`crate::KmsError::KeyExists`]; [`crate::KmsError::File`] also where a file of age is
/// there; [`crate::KmsError::NotMade`] where the key service is told elsewhere to make one.
pub async fn create_key(
    config: &KmsConfig,
    environment: &Environment,
    observers: &Observers,
    named: Option<&KeyId>,
) -> Result<KeyInfo> {
    let key = named.unwrap_or(&config.default_key);
    let making = making(config, environment, observers);
    let is_made = config.backend.create_file(&making, named).await?;
    let provider = config.backend.provider(&making)?;
    if is_made {
        return provider.describe(key).await;
    }
    let what = (KmsOperation::CreateKey, Some(key));
    let name = provider.traits().name;
    recorded(observers, name, what, provider.create(key)).await
}

/// The service of a configuration, with everything around it that the configuration names.
///
/// **Errors**: as [`create_kms`].
pub fn create_resilient_kms(
    config: &KmsConfig,
    environment: &Environment,
    observers: Observers,
) -> Result<ResilientKms> {
    let inner = create_kms(config, environment, &observers)?;
    Ok(ResilientKms::new(
        inner,
        config.resilience.clone(),
        observers,
    ))
}
