//! Azure Key Vault and Managed HSM: keys that stay there.
//!
//! A vault has RSA keys. Under one of those a plaintext that fits is encrypted by RSA-OAEP-256, which binds no
//! context; with a context, or a longer plaintext, it is a data key that goes there, and AES-256-GCM here
//! carries plaintext and context. A managed HSM has AES keys too, and binds the context as additional
//! authenticated data.
//!
//! - `name` knows how keys are named;
//! - `create` makes them;
//! - `form` knows what stands in a ciphertext;
//! - `certificate` is one way to say who asks;
//! - `session` finds the credentials, once, at the first request;
//! - `fault` says what an error means.
//!
//! # Keys and versions
//!
//! A key is named by its name or its identifier; behind it may stand the version that encrypts, else the
//! newest one does. The service does not find the version of a ciphertext, so that each names its own; for
//! one that was made elsewhere and names none, the newest few are tried.

mod certificate;
pub(crate) mod config;
mod create;
mod fault;
mod form;
mod name;
mod session;

use self::fault::{CLOUD, Fault};
use self::form::{Forms, joined, parted};
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
use std::fmt;
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

/// The most versions of a key that are tried for a ciphertext that names none.
const VERSIONS_TRIED_MAX: usize = 20;

/// The most versions of a key that are looked at for the newest ones among them.
const VERSIONS_LISTED_MAX: usize = 1000;

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

    /// What the service itself gave, of the bytes of a ciphertext of [`AzureProvider`]: what other programs
    /// open. `None` where it is of another algorithm.
    pub fn bare(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.strip_prefix(&[self.mark()])
    }

    fn name(self) -> EncryptionAlgorithm {
        match self {
            Self::RsaOaep256 => EncryptionAlgorithm::RsaOaep256,
            Self::A256Gcm => EncryptionAlgorithm::A256Gcm,
        }
    }
}

impl fmt::Display for AzureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::A256Gcm => "A256GCM",
        })
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
    /// An application, by its certificate.
    Certificate {
        /// Its tenant.
        tenant_id: String,
        /// Its identifier.
        client_id: String,
        /// The file with its certificate and the RSA key of that, in PEM.
        path: PathBuf,
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

    /// Opens with one version, in each form that the ciphertext may have.
    async fn open(
        &self,
        resource: &Resource,
        version: &KeyVersion,
        (forms, aad): (&Forms<'_>, Option<Vec<u8>>),
    ) -> std::result::Result<SecretBytes, Fault> {
        let client = self.session.client().await.map_err(Fault::Other)?;
        let mut refused = Fault::Invalid("it is too short".to_owned());
        for form in forms.all() {
            let Some(parameters) = parted(self.algorithm, form, aad.clone()) else {
                continue;
            };
            let request = async {
                let content = content(parameters)?;
                let version = version.as_str();
                model(
                    client
                        .decrypt(&resource.name, version, content, None)
                        .await?,
                )
            };
            match self.session.ask(request).await {
                Ok(opened) => {
                    let plaintext = opened.result;
                    let missing = || Fault::Other(CLOUD.bad("it has no plaintext"));
                    return plaintext.map(SecretBytes::new).ok_or_else(missing);
                }
                Err(fault @ Fault::Invalid(_)) => refused = fault,
                Err(fault) => return Err(fault),
            }
        }
        Err(refused)
    }

    /// Opens what names no version: with the newest one, else with those before it.
    async fn open_with_any(
        &self,
        resource: &Resource,
        (forms, aad): (&Forms<'_>, Option<Vec<u8>>),
    ) -> Result<SecretBytes> {
        let found = self.get(resource).await?;
        let newest = resource.version_in(found.key.and_then(|key| key.kid).as_deref())?;
        let refused = match self.open(resource, &newest, (forms, aad.clone())).await {
            Ok(plaintext) => return Ok(plaintext),
            Err(fault @ (Fault::Invalid(_) | Fault::Disabled)) => fault,
            Err(fault) => return Err(fault.of_decryption(&resource.asked, &newest)),
        };
        let mut others = self.versions(resource).await?;
        others.retain(|version| *version != newest);
        for version in others.iter().take(VERSIONS_TRIED_MAX - 1) {
            match self.open(resource, version, (forms, aad.clone())).await {
                Ok(plaintext) => return Ok(plaintext),
                Err(Fault::Invalid(_) | Fault::Disabled | Fault::NotFound) => {}
                Err(fault) => return Err(fault.of_decryption(&resource.asked, version)),
            }
        }
        if others.len() < VERSIONS_TRIED_MAX {
            return Err(refused.of_decryption(&resource.asked, &newest));
        }
        Err(KmsError::Refused {
            provider: NAME,
            reason: format!(
                "none of the newest {VERSIONS_TRIED_MAX} versions of `{}` opens it; name the version \
                 that it was made with",
                resource.asked
            ),
        })
    }

    /// The versions of a key that are in use, the newest first.
    async fn versions(&self, resource: &Resource) -> Result<Vec<KeyVersion>> {
        let client = self.session.client().await?;
        let mut found = client
            .list_key_properties_versions(&resource.name, None)
            .map_err(|error| self.session.fault(error).of_key(&resource.asked))?;
        let mut versions = Vec::new();
        loop {
            let next = self.session.ask(found.try_next()).await;
            let Some(key) = next.map_err(|fault| fault.of_key(&resource.asked))? else {
                break;
            };
            if versions.len() == VERSIONS_LISTED_MAX {
                return Err(CLOUD.bad(format!(
                    "it lists more than {VERSIONS_LISTED_MAX} versions of a key"
                )));
            }
            let attributes = key.attributes.unwrap_or_default();
            if attributes.enabled != Some(false) {
                let version = resource.version_in(key.kid.as_deref())?;
                versions.push((attributes.created, version));
            }
        }
        versions.sort_by(|(left, _), (right, _)| right.cmp(left));
        Ok(versions.into_iter().map(|(_, version)| version).collect())
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
    /// key names. Where neither does, the key is looked at, which is a right of its own.
    fn version_of(key: &Resource, wrapped: &Wrapped) -> Result<Option<KeyVersion>> {
        let version = wrapped.version.as_str();
        if name::is_version(version) {
            return Ok(Some(wrapped.version.clone()));
        }
        if !version.is_empty() {
            // It would stand in the path of the request.
            return Err(Fault::NotFound.of_decryption(&key.asked, &wrapped.version));
        }
        Ok(key.version.as_deref().and_then(KeyVersion::new))
    }
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
        let forms = Forms::of(self.algorithm, &wrapped.bytes);
        let with = (&forms, self.associated_data(context));
        let opened = match Self::version_of(&resource, wrapped)? {
            Some(version) => {
                let opened = self.open(&resource, &version, with).await;
                opened.map_err(|fault| fault.of_decryption(&resource.asked, &version))
            }
            None => self.open_with_any(&resource, with).await,
        };
        match (opened, forms.other()) {
            (Err(KmsError::NotAuthentic { .. }), Some(other)) => Err(KmsError::Refused {
                provider: NAME,
                reason: format!(
                    "it was made with {other}, and [kms.azure] says {}; write algorithm = \"{other}\" \
                     to open it",
                    self.algorithm
                ),
            }),
            (opened, _) => opened,
        }
    }

    async fn create(&self, key: &KeyId) -> Result<KeyInfo> {
        self.make_key(key).await
    }

    async fn rotate(&self, key: &KeyId) -> Result<KeyInfo> {
        let resource = self.vault.find(key)?;
        if resource.version.is_some() {
            return Err(CLOUD.pinned(key));
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
