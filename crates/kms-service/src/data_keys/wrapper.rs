//! [`Wrapper`]: the key service that wraps data keys, and the key that it does it with.

use super::{KeySource, Wrapping};
use crate::ServiceError;
use secretum_kms::config::create_provider;
use secretum_kms::{
    DataEncryptionKey, DataKeySpec, EncryptionContext, Environment, KeyId, KeyManagementService,
    KmsConfig, KmsError, Observers, Provider, ResilientKms, create_resilient_kms,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long the start waits for the key service.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// A key service, and its key-encryption key.
#[derive(Debug)]
pub(crate) struct Wrapper {
    kms: ResilientKms,
    key: KeyId,
    /// Whether it is that of `[kms]`.
    is_configured: bool,
    /// Makes the key where it is missing, if that is asked for.
    maker: Option<Arc<dyn Provider>>,
    /// Held while it is made, so that many who miss it make one.
    making: Mutex<()>,
}

impl Wrapper {
    /// Opens the key service. `own` is that of `[kms]`, with its configuration; `observers` gives those
    /// of another provider.
    ///
    /// **Errors**: [`ServiceError::Kms`].
    pub(crate) fn open(
        wrapping: &Wrapping,
        own: (&ResilientKms, &KmsConfig),
        observers: impl FnOnce(&'static str) -> Observers,
    ) -> Result<Self, ServiceError> {
        let environment = Environment::process();
        let (kms, key, config) = match &wrapping.source {
            KeySource::Configured(key) => {
                let key = key.as_ref().unwrap_or(&own.1.default_key);
                (own.0.clone(), key.clone(), own.1.clone())
            }
            KeySource::Other { provider, config } => {
                let mut config = config.as_ref().clone();
                config.resilience.clone_from(&own.1.resilience);
                let kms = create_resilient_kms(&config, &environment, observers(provider))?;
                (kms, config.default_key.clone(), config)
            }
        };
        let maker = match wrapping.creates {
            true => Some(create_provider(
                &config,
                &environment,
                &Observers::default(),
            )?),
            false => None,
        };
        Ok(Self {
            kms,
            key,
            is_configured: matches!(wrapping.source, KeySource::Configured(_)),
            maker,
            making: Mutex::new(()),
        })
    }

    /// The key-encryption key.
    pub(crate) fn key(&self) -> &KeyId {
        &self.key
    }

    /// The key service, where it is another one than that of `[kms]`.
    pub(crate) fn other(&self) -> Option<&ResilientKms> {
        (!self.is_configured).then_some(&self.kms)
    }

    /// The key service, asked for a caller.
    pub(crate) fn for_caller(&self, caller: &str) -> ResilientKms {
        self.kms.for_caller(caller)
    }

    /// Whether the key-encryption key is there, or could be made. A key service that does not answer yet
    /// is no fault: it is asked again with the first data key.
    ///
    /// **Errors**: [`KmsError::KeyNotFound`]; where it is to be made [`KmsError::NotMade`],
    /// [`KmsError::NotConfigured`] and [`KmsError::Refused`].
    pub(crate) async fn check(&self, caller: &str) -> Result<(), KmsError> {
        let kms = self.for_caller(caller);
        let asked = async {
            match kms.key_info(&self.key).await {
                Err(missing @ KmsError::KeyNotFound { .. }) => {
                    let made = self.make(&kms, missing).await;
                    made.map_err(|error| (is_lasting(&error), error))
                }
                outcome => outcome.map(drop).map_err(|error| (false, error)),
            }
        };
        match tokio::time::timeout(CHECK_TIMEOUT, asked).await {
            Ok(Ok(())) => {}
            Ok(Err((true, error))) => return Err(error),
            Ok(Err((false, error))) => {
                tracing::warn!(code = error.kind(), %error, "the key-encryption key was not seen yet");
            }
            Err(_) => {
                tracing::warn!("the key-encryption key was not seen yet, for want of an answer")
            }
        }
        Ok(())
    }

    /// Makes a data key.
    pub(super) async fn generate(
        &self,
        kms: &ResilientKms,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<DataEncryptionKey, KmsError> {
        match kms.generate_data_key(&self.key, spec, context).await {
            Err(error @ KmsError::KeyNotFound { .. }) => self.make(kms, error).await?,
            outcome => return outcome,
        }
        kms.generate_data_key(&self.key, spec, context).await
    }

    /// Makes the key-encryption key where that is asked for, unless it is there by now. Where two servers
    /// make one at once, each data key names the one that it is wrapped by.
    async fn make(&self, kms: &ResilientKms, missing: KmsError) -> Result<(), KmsError> {
        let Some(maker) = &self.maker else {
            return Err(missing);
        };
        let _one = self.making.lock().await;
        match kms.key_info(&self.key).await {
            Err(KmsError::KeyNotFound { .. }) => {}
            outcome => return outcome.map(drop),
        }
        match kms.create_key(maker.as_ref(), &self.key).await {
            Ok(made) => {
                tracing::info!(key = %self.key, version = %made.version, "made the key-encryption key");
                Ok(())
            }
            Err(KmsError::KeyExists { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether the key will not be there later either, unless somebody does something.
fn is_lasting(error: &KmsError) -> bool {
    matches!(
        error,
        KmsError::KeyNotFound { .. }
            | KmsError::NotMade { .. }
            | KmsError::NotConfigured { .. }
            | KmsError::Refused { .. }
    )
}
