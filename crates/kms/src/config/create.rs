//! From a [`KmsConfig`] to the service that it describes.

use super::{Backend, Environment, KmsConfig};
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
#[cfg_attr(
    not(feature = "local"),
    expect(
        unused_variables,
        reason = "the one provider with keys in variables is left out"
    )
)]
pub fn create_provider(
    config: &KmsConfig,
    environment: &Environment,
    observers: &Observers,
) -> Result<Arc<dyn Provider>> {
    let rng = Arc::clone(&observers.rng);
    Ok(match &config.backend {
        #[cfg(feature = "age")]
        Backend::Age { files, armor } => {
            let clock = Arc::clone(&observers.clock);
            let key = config.default_key.clone();
            Arc::new(crate::AgeProvider::open(key, files.clone(), *armor, clock)?)
        }
        #[cfg(feature = "aws")]
        Backend::Aws(settings) => Arc::new(crate::AwsProvider::new(settings.as_ref().clone())),
        #[cfg(feature = "azure")]
        Backend::Azure(settings) => Arc::new(crate::AzureProvider::new(settings.as_ref().clone())),
        #[cfg(feature = "local")]
        Backend::Local(super::LocalKeys::File(path)) => {
            Arc::new(crate::EnvKeyProvider::from_file(path, Arc::clone(&rng))?)
        }
        #[cfg(feature = "local")]
        Backend::Local(super::LocalKeys::Variable(name)) => {
            Arc::new(local_of_variable(name, environment, Arc::clone(&rng))?)
        }
        #[cfg(feature = "cosmian")]
        Backend::Cosmian(server) => {
            Arc::new(crate::CosmianProvider::new(server, Arc::clone(&rng))?)
        }
        #[cfg(feature = "gcp")]
        Backend::Gcp(settings) => {
            let clock = Arc::clone(&observers.clock);
            Arc::new(crate::GcpProvider::new(settings.as_ref().clone(), clock))
        }
        #[cfg(feature = "kmip")]
        Backend::Kmip(server) => {
            let server = server.as_ref().clone();
            Arc::new(crate::KmipProvider::new(server, Arc::clone(&rng))?)
        }
        #[cfg(feature = "rustyvault")]
        Backend::RustyVault(settings) => {
            let clock = Arc::clone(&observers.clock);
            Arc::new(settings.provider(&config.default_key, Arc::clone(&rng), clock)?)
        }
        #[cfg(feature = "vault")]
        Backend::Vault(settings) => Arc::new(settings.provider()?),
    })
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
    let is_made = created_in_file(config, observers, named).await?;
    let provider = create_provider(config, environment, observers)?;
    if is_made {
        return provider.describe(key).await;
    }
    let what = (KmsOperation::CreateKey, Some(key));
    let name = provider.traits().name;
    recorded(observers, name, what, provider.create(key)).await
}

/// Makes a key whose file must be there before its provider is; whether that is so.
#[cfg_attr(
    not(any(feature = "age", feature = "local")),
    allow(unused_variables, reason = "no provider here has such a file")
)]
async fn created_in_file(
    config: &KmsConfig,
    observers: &Observers,
    named: Option<&KeyId>,
) -> Result<bool> {
    match &config.backend {
        #[cfg(feature = "age")]
        Backend::Age { files, .. } => {
            if named.is_some() {
                return Err(crate::KmsError::Refused {
                    provider: crate::providers::age::NAME,
                    reason: "a key pair has no name but its public key; leave the name out"
                        .to_owned(),
                });
            }
            let made = async { files.generate(observers.clock.now()) };
            let what = (KmsOperation::CreateKey, None);
            recorded(observers, crate::providers::age::NAME, what, made).await?;
            Ok(true)
        }
        #[cfg(feature = "local")]
        Backend::Local(super::LocalKeys::File(path)) if !path.exists() => {
            let key = named.unwrap_or(&config.default_key);
            let rng = Arc::clone(&observers.rng);
            let made = async { crate::EnvKeyProvider::create_file(path, key, rng) };
            let what = (KmsOperation::CreateKey, Some(key));
            recorded(observers, crate::providers::local::NAME, what, made).await?;
            Ok(true)
        }
        #[allow(unreachable_patterns, reason = "a provider may stand alone")]
        _ => Ok(false),
    }
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

/// The provider whose keys stand in an environment variable.
#[cfg(feature = "local")]
fn local_of_variable(
    name: &str,
    environment: &Environment,
    rng: secretum_crypto::RngRef,
) -> Result<crate::EnvKeyProvider> {
    let keys = environment.get(name);
    let keys = keys.ok_or(crate::KmsError::NotConfigured {
        provider: crate::providers::local::NAME,
        what: "its keys in the environment",
        remedy: "set the variable that keys_variable names, SECRETUM_KMS_KEYS where it names none, to \
                 name:version:key",
    })?;
    crate::EnvKeyProvider::from_text(&secretum_crypto::SecretString::new(keys), rng)
}
