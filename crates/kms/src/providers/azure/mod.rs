//! Azure Key Vault and Managed HSM: keys that stay there.
//!
//! A vault has RSA keys. Under one of those a plaintext that fits is encrypted by RSA-OAEP-256, which binds no
//! context; with a context, or a longer plaintext, it is a data key that goes there, and AES-256-GCM here
//! carries plaintext and context. A managed HSM has AES keys too, and binds the context as additional
//! authenticated data.
//!
//! - `name` knows how keys are named;
//! - `session` finds the credentials, once, at the first request;
//! - `fault` says what an error means.
//!
//! # Keys and versions
//!
//! A key is named by its name or its identifier; behind it may stand the version that encrypts, else the
//! newest one does. The service does not find the version of a ciphertext, so that each names its own.

mod fault;
mod name;
mod session;

use self::fault::{CLOUD, Fault};
use self::name::{Resource, Vault};
use self::session::Session;
use crate::{
    EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KeyVersion, KmsError, Provider, Result,
    SuppliedBy, Traits, Wrapped,
};
use async_trait::async_trait;
use azure_core::http::{RequestContent, Response};
use azure_security_keyvault_keys::models::{
    EncryptionAlgorithm, Key, KeyClientEncryptOptions, KeyClientGetKeyOptions,
    KeyOperationParameters, KeyOperationResult,
};
use futures::TryStreamExt as _;
use secretum_crypto::{SecretBytes, SecretString, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Its name in ciphertexts and configurations.
pub const NAME: &str = "azure";

/// How long one request may take, connecting and fetching credentials included, where nothing else is
/// said.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// What RSA-OAEP-256 takes under the shortest keys, those of 2048 bits.
const RSA_BYTES_MAX: usize = 2048 / 8 - 2 * 32 - 2;

/// The most bytes that go to an AES key.
const AES_BYTES_MAX: usize = 4096;

const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// The most keys of a vault that are looked at.
const LISTED_MAX: usize = 100_000;

/// A vault, and as whom it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AzureSettings {
    /// Where it is: `https://NAME.vault.azure.net`, `https://NAME.managedhsm.azure.net`.
    pub vault_url: String,
    /// How its keys encrypt.
    pub algorithm: AzureAlgorithm,
    /// As whom.
    pub credentials: AzureCredentials,
    /// Who gives out tokens, where that is not the public cloud's.
    pub authority_host: Option<String>,
    /// File with the certificates of the only authorities to trust (PEM); those of the system where
    /// there is none.
    pub ca: Option<PathBuf>,
    /// Whether the vault must ask for tokens of its own domain: all but emulators do.
    pub verify_challenge_resource: bool,
    /// How long one request may take. Default: [`TIMEOUT`].
    pub timeout: Option<Duration>,
}

impl AzureSettings {
    /// The keys of this vault, in the public cloud.
    pub fn new(vault_url: impl Into<String>, credentials: AzureCredentials) -> Self {
        let vault_url = vault_url.into();
        Self {
            algorithm: AzureAlgorithm::of_vault(&vault_url),
            vault_url,
            credentials,
            authority_host: None,
            ca: None,
            verify_challenge_resource: true,
            timeout: None,
        }
    }
}

/// How keys encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AzureAlgorithm {
    /// RSA-OAEP with SHA-256, under keys of RSA.
    RsaOaep256,
    /// AES-GCM with keys of 256 bits, in a managed HSM.
    A256Gcm,
}

impl AzureAlgorithm {
    /// That of a vault at this address.
    pub fn of_vault(url: &str) -> Self {
        if url.contains(".managedhsm.") {
            Self::A256Gcm
        } else {
            Self::RsaOaep256
        }
    }

    fn name(self) -> EncryptionAlgorithm {
        match self {
            Self::RsaOaep256 => EncryptionAlgorithm::RsaOaep256,
            Self::A256Gcm => EncryptionAlgorithm::A256Gcm,
        }
    }
}

/// As whom the service is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AzureCredentials {
    /// An application, by its secret.
    Secret {
        /// Its tenant.
        tenant_id: String,
        /// Its identifier.
        client_id: String,
        /// Its secret.
        client_secret: Arc<SecretString>,
    },
    /// A pod, by the token that Kubernetes gives it.
    WorkloadIdentity {
        /// The tenant; `AZURE_TENANT_ID` where it is not there.
        tenant_id: Option<String>,
        /// The application; `AZURE_CLIENT_ID` where it is not there.
        client_id: Option<String>,
    },
    /// A machine.
    ManagedIdentity {
        /// The identity, where the machine has several.
        client_id: Option<String>,
    },
    /// Who is logged in with `az` or `azd`.
    DeveloperTools,
}

/// Keys of a vault.
#[derive(Debug, Clone)]
pub struct AzureProvider {
    session: Arc<Session>,
    vault: Arc<Vault>,
    algorithm: AzureAlgorithm,
}

impl AzureProvider {
    /// The keys of this vault. Nothing is sent yet.
    ///
    /// The client tries nothing twice: that is left to [`crate::RetryKms`].
    pub fn new(settings: AzureSettings) -> Self {
        Self {
            vault: Arc::new(Vault::new(&settings.vault_url)),
            algorithm: settings.algorithm,
            session: Arc::new(Session::new(settings)),
        }
    }

    fn binds_context(&self) -> bool {
        self.algorithm == AzureAlgorithm::A256Gcm
    }

    fn associated_data(&self, context: &EncryptionContext) -> Option<Vec<u8>> {
        (self.binds_context() && !context.is_empty()).then(|| context.canonical_bytes())
    }

    async fn get(&self, key: &Resource) -> Result<Key> {
        let client = self.session.client().await?;
        let options = KeyClientGetKeyOptions {
            key_version: key.version.clone(),
            ..KeyClientGetKeyOptions::default()
        };
        let request = async { client.get_key(&key.name, Some(options)).await?.into_model() };
        let found = self.session.ask(request).await;
        found.map_err(|fault| fault.of_key(&key.asked))
    }

    /// The version that opens: the one of the ciphertext; where it was made elsewhere, the one that its
    /// key names, or the newest. Only for that one the key is looked at, which is a right of its own.
    async fn version_of(&self, key: &Resource, wrapped: &Wrapped) -> Result<KeyVersion> {
        let version = wrapped.version.as_str();
        if name::is_version(version) {
            return Ok(wrapped.version.clone());
        }
        if !version.is_empty() {
            // It would stand in the path of the request.
            return Err(Fault::NotFound.of_decryption(&key.asked, &wrapped.version));
        }
        if let Some(pinned) = key.version.as_deref().and_then(KeyVersion::new) {
            return Ok(pinned);
        }
        let found = self.get(key).await?;
        key.version_in(found.key.and_then(|key| key.kid).as_deref())
    }
}

/// What the service gave, as it is kept: with AES-GCM `iv (12) ‖ tag (16)` stand before it.
fn joined(algorithm: AzureAlgorithm, made: KeyOperationResult) -> Result<Vec<u8>> {
    let bytes = made
        .result
        .ok_or_else(|| CLOUD.bad("it has no ciphertext"))?;
    if algorithm == AzureAlgorithm::RsaOaep256 {
        return Ok(bytes);
    }
    let iv = made.iv.filter(|iv| iv.len() == IV_BYTES);
    let tag = made.authentication_tag;
    let tag = tag.filter(|tag| tag.len() == TAG_BYTES);
    let (Some(iv), Some(tag)) = (iv, tag) else {
        return Err(CLOUD.bad("its nonce or its tag is missing"));
    };
    Ok([iv, tag, bytes].concat())
}

/// The same taken apart; `None` where it is too short.
fn parted(
    algorithm: AzureAlgorithm,
    bytes: &[u8],
    aad: Option<Vec<u8>>,
) -> Option<KeyOperationParameters> {
    let mut parameters = KeyOperationParameters {
        algorithm: Some(algorithm.name()),
        additional_authenticated_data: aad,
        ..KeyOperationParameters::default()
    };
    let mut rest = bytes;
    if algorithm == AzureAlgorithm::A256Gcm {
        let (iv, behind) = bytes.split_at_checked(IV_BYTES)?;
        let (tag, behind) = behind.split_at_checked(TAG_BYTES)?;
        parameters.iv = Some(iv.to_vec());
        parameters.authentication_tag = Some(tag.to_vec());
        rest = behind;
    }
    parameters.value = Some(rest.to_vec());
    Some(parameters)
}

fn content(
    parameters: KeyOperationParameters,
) -> azure_core::Result<RequestContent<KeyOperationParameters>> {
    parameters.try_into()
}

fn model(answer: Response<KeyOperationResult>) -> azure_core::Result<KeyOperationResult> {
    answer.into_model()
}

fn info(resource: &Resource, found: Key) -> Result<KeyInfo> {
    let version = resource.version_in(found.key.and_then(|key| key.kid).as_deref())?;
    let attributes = found.attributes.unwrap_or_default();
    let made = attributes.created.map(|time| time.unix_timestamp());
    Ok(KeyInfo {
        key: resource.asked.clone(),
        version,
        enabled: attributes.enabled.unwrap_or(true),
        rotated_at: made.map(Timestamp::from_unix_seconds),
    })
}

#[async_trait]
impl Provider for AzureProvider {
    fn traits(&self) -> Traits {
        Traits {
            name: NAME,
            binds_context: self.binds_context(),
            wrap_bytes_min: 1,
            wrap_bytes_max: match self.algorithm {
                AzureAlgorithm::RsaOaep256 => RSA_BYTES_MAX,
                AzureAlgorithm::A256Gcm => AES_BYTES_MAX,
            },
            data_keys: SuppliedBy::Layer,
            re_encryption: SuppliedBy::Layer,
            rotation: true,
            listing: true,
        }
    }

    async fn wrap(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Wrapped> {
        let resource = self.vault.find(key)?;
        let client = self.session.client().await?;
        let parameters = KeyOperationParameters {
            algorithm: Some(self.algorithm.name()),
            additional_authenticated_data: self.associated_data(context),
            value: Some(plaintext.to_vec()),
            ..KeyOperationParameters::default()
        };
        let options = KeyClientEncryptOptions {
            key_version: resource.version.clone(),
            ..KeyClientEncryptOptions::default()
        };
        let request = async {
            let content = content(parameters)?;
            model(
                client
                    .encrypt(&resource.name, content, Some(options))
                    .await?,
            )
        };
        let made = self.session.ask(request).await;
        let made = made.map_err(|fault| fault.of_key(&resource.asked))?;
        Ok(Wrapped {
            version: resource.version_in(made.kid.as_deref())?,
            key: resource.asked,
            bytes: joined(self.algorithm, made)?,
        })
    }

    async fn unwrap(&self, wrapped: &Wrapped, context: &EncryptionContext) -> Result<SecretBytes> {
        let resource = self.vault.find(&wrapped.key)?;
        let aad = self.associated_data(context);
        let parameters = parted(self.algorithm, &wrapped.bytes, aad);
        let parameters = parameters.ok_or_else(|| KmsError::NotAuthentic {
            key: resource.asked.clone(),
        })?;
        let client = self.session.client().await?;
        let version = self.version_of(&resource, wrapped).await?;
        let request = async {
            let content = content(parameters)?;
            let version = version.as_str();
            model(
                client
                    .decrypt(&resource.name, version, content, None)
                    .await?,
            )
        };
        let opened = self.session.ask(request).await;
        let opened = opened.map_err(|fault| fault.of_decryption(&resource.asked, &version))?;
        let plaintext = opened
            .result
            .ok_or_else(|| CLOUD.bad("it has no plaintext"))?;
        Ok(SecretBytes::new(plaintext))
    }

    async fn rotate(&self, key: &KeyId) -> Result<KeyInfo> {
        let resource = self.vault.find(key)?;
        if resource.version.is_some() {
            // It would go on to encrypt under that version, and be rotated again and again.
            return Err(KmsError::Refused {
                provider: NAME,
                reason: format!(
                    "`{key}` names a version, and a rotation makes another one; leave the version out"
                ),
            });
        }
        let client = self.session.client().await?;
        let request = async { client.rotate_key(&resource.name, None).await?.into_model() };
        let made = self.session.ask(request).await;
        info(
            &resource,
            made.map_err(|fault| fault.of_key(&resource.asked))?,
        )
    }

    async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        let resource = self.vault.find(key)?;
        info(&resource, self.get(&resource).await?)
    }

    async fn list(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        let client = self.session.client().await?;
        let mut found = client
            .list_key_properties(None)
            .map_err(|error| self.session.fault(error).without_key())?;
        let mut keys: Vec<KeyId> = Vec::new();
        loop {
            let next = self.session.ask(found.try_next()).await;
            let Some(key) = next.map_err(Fault::without_key)? else {
                break;
            };
            if keys.len() == LISTED_MAX {
                return Err(CLOUD.bad(format!("it lists more than {LISTED_MAX} keys")));
            }
            keys.extend(key.kid.as_deref().and_then(name::name_in));
        }
        keys.sort();
        Ok(KeyPage::of_sorted(keys.iter(), after, limit))
    }

    async fn health(&self) -> Result<Health> {
        let client = self.session.client().await?;
        let health = Health::of(NAME).note(match self.algorithm {
            AzureAlgorithm::RsaOaep256 => "RSA-OAEP-256; contexts are bound here",
            AzureAlgorithm::A256Gcm => "A256GCM; contexts are bound there",
        });
        let mut found = client
            .list_key_properties(None)
            .map_err(|error| self.session.fault(error).without_key())?;
        match self
            .session
            .ask(found.try_next())
            .await
            .map_err(Fault::without_key)
        {
            Ok(_) => Ok(health),
            // It knows who asks, and serves; that nobody may list keys is how most roles are made.
            Err(KmsError::AccessDenied { .. }) => Ok(health.note("its keys may not be listed")),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
