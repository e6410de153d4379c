//! AWS KMS: symmetric keys that stay there.
//!
//! The context is the service's own encryption context, pair by pair, so that policies and its log see
//! it. Data keys are made there, also without their plaintext; it re-encrypts without showing one. A
//! plaintext that fits is encrypted there too, and is then no more than the service's own ciphertext,
//! which every other client of AWS opens with the same context.
//!
//! - `session` finds region and credentials, once, at the first request;
//! - `fault` says what an error means;
//! - `versions` knows which key material encrypts now, and turns it over.
//!
//! # Keys and versions
//!
//! A key is named by its id, its ARN, or an alias. An alias may be pointed elsewhere, so what was
//! encrypted by it names the ARN of the key. The version is the identifier of the key material; the
//! service finds the material of an old ciphertext by itself.

pub(crate) mod config;
mod create;
mod fault;
mod session;
mod versions;

use self::fault::{CLOUD, Fault};
use self::session::Session;
use self::versions::{Known, Versions};
use crate::{
    EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KeyVersion, KmsError, Provider, Result,
    SuppliedBy, Traits, Wrapped,
};
use async_trait::async_trait;
use aws_sdk_kms::primitives::Blob;
use secretum_crypto::{SecretBytes, SecretString};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Its name in ciphertexts and configurations.
pub const NAME: &str = "aws";

/// How long one request may take, connecting and fetching credentials included, where nothing else is
/// said.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes that the service encrypts; more is encrypted here, under a data key.
const WRAP_BYTES_MAX: usize = 4096;

/// Keys on one page of the service's listing, and the most that it gives.
const LISTED_PAGE: i32 = 1000;

/// Pages that are looked at: of as many keys as an account may have in a region.
const LISTED_PAGES_MAX: usize = 100;

/// An account in a region, and as whom it is asked. What is not said comes from where every program of
/// AWS takes it: the environment, profiles, SSO, a web identity, the machine's or container's role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AwsSettings {
    /// The region.
    pub region: Option<String>,
    /// Where the service is, where that is not the region's public address.
    pub endpoint_url: Option<String>,
    /// The profile in the files of AWS.
    pub profile: Option<String>,
    /// Credentials that stand fast.
    pub credentials: Option<AwsCredentials>,
    /// Whether the service may be asked without TLS, as emulators are.
    pub without_tls: bool,
    /// How long one request may take. Default: [`TIMEOUT`].
    pub timeout: Option<Duration>,
}

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCredentials {
    /// Its identifier.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Arc<SecretString>,
    /// The token of credentials that end.
    pub session_token: Option<Arc<SecretString>>,
}

/// Keys of AWS KMS.
#[derive(Debug, Clone)]
pub struct AwsProvider {
    session: Arc<Session>,
    versions: Arc<Versions>,
}

impl AwsProvider {
    /// The keys of this account and region. Nothing is sent yet.
    ///
    /// The client tries nothing twice: that is left to [`crate::RetryKms`].
    pub fn new(settings: AwsSettings) -> Self {
        let session = Arc::new(Session::new(settings));
        let versions = Arc::new(Versions::new(Arc::clone(&session)));
        Self { session, versions }
    }

    /// Lets the service rotate a key by itself, every so many days: 90 to 2560, 365 where none are
    /// named.
    ///
    /// **Errors**: [`KmsError`].
    pub async fn rotate_every(&self, key: &KeyId, days: Option<u16>) -> Result<()> {
        let client = self.session.client_of(key).await?;
        // The service takes no alias here.
        let known = self.versions.look_up(key).await?;
        let request = client
            .enable_key_rotation()
            .key_id(known.arn.as_str())
            .set_rotation_period_in_days(days.map(i32::from));
        let done = request.send().await;
        done.map_err(|error| self.session.fault(error).of_key(key))?;
        Ok(())
    }

    /// The error of an operation with two keys, under the one that it is of.
    async fn of_two_keys(&self, fault: Fault, source: &KeyId, new: &KeyId) -> KmsError {
        match fault {
            // Of the two only the old one may fail to open.
            Fault::NotAuthentic => fault.of_key(source),
            Fault::Other(error) => error,
            _ if source == new => fault.of_key(new),
            // The service names the key in its words alone, so that the old one is looked at.
            _ => match self.versions.is_enabled(source).await {
                Ok(true) => fault.of_key(new),
                Ok(false) => Fault::Disabled.of_key(source),
                Err(KmsError::KeyNotFound { .. }) => Fault::NotFound.of_key(source),
                Err(_) => KmsError::Refused {
                    provider: NAME,
                    reason: format!(
                        "one of the keys `{source}` and `{new}` is not there or out of use; look at \
                         both"
                    ),
                },
            },
        }
    }
}

/// What the service gave.
struct Made {
    arn: Option<String>,
    material: Option<String>,
    blob: Option<Blob>,
}

impl Made {
    /// The same under the key that it names, with the version that it was given, or was known before it.
    fn wrapped(self, asked: &KeyId, known: Option<Known>) -> Result<Wrapped> {
        let blob = self.blob.ok_or_else(|| CLOUD.bad("it has no ciphertext"))?;
        let arn = self.arn.ok_or_else(|| CLOUD.bad("it names no key"))?;
        let arn = KeyId::new(arn).map_err(|_| CLOUD.bad("it names no valid key"))?;
        let named = self.material.and_then(KeyVersion::new);
        // What is known of an alias may be of the key that it was pointed at before.
        let known = known.filter(|known| known.arn == arn);
        let version = named.or_else(|| known.map(|known| known.version));
        Ok(Wrapped {
            key: if is_alias(asked) { arn } else { asked.clone() },
            version: version.unwrap_or_default(),
            bytes: blob.into_inner(),
        })
    }
}

/// Whether this names an alias, which may be pointed at another key.
fn is_alias(key: &KeyId) -> bool {
    let key = key.as_str();
    key.starts_with("alias/") || (key.starts_with("arn:") && key.contains(":alias/"))
}

/// The context as the service takes it.
fn pairs(context: &EncryptionContext) -> Option<HashMap<String, String>> {
    let pairs = context
        .pairs()
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    (!context.is_empty()).then(|| pairs.collect())
}

fn secret(plaintext: Option<Blob>) -> Result<SecretBytes> {
    let plaintext = plaintext.ok_or_else(|| CLOUD.bad("it has no plaintext"))?;
    Ok(SecretBytes::new(plaintext.into_inner()))
}

#[async_trait]
impl Provider for AwsProvider {
    fn traits(&self) -> Traits {
        Traits {
            name: NAME,
            binds_context: true,
            wrap_bytes_min: 1,
            wrap_bytes_max: WRAP_BYTES_MAX,
            data_keys: SuppliedBy::Provider,
            re_encryption: SuppliedBy::Provider,
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
        let client = self.session.client_of(key).await?;
        // Before it encrypts, so that the version that is told is never newer than the one it used.
        let known = self.versions.remember(key).await;
        let request = client
            .encrypt()
            .key_id(key.as_str())
            .plaintext(Blob::new(plaintext))
            .set_encryption_context(pairs(context));
        let made = request.send().await;
        let made = made.map_err(|error| self.session.fault(error).of_key(key))?;
        let made = Made {
            arn: made.key_id,
            material: None,
            blob: made.ciphertext_blob,
        };
        made.wrapped(key, known)
    }

    async fn unwrap(&self, wrapped: &Wrapped, context: &EncryptionContext) -> Result<SecretBytes> {
        let client = self.session.client_of(&wrapped.key).await?;
        // The key is named, or a ciphertext of another key would open by this one's name.
        let request = client
            .decrypt()
            .key_id(wrapped.key.as_str())
            .ciphertext_blob(Blob::new(wrapped.bytes.as_slice()))
            .set_encryption_context(pairs(context));
        let opened = request.send().await;
        let opened = opened.map_err(|error| self.session.fault(error).of_key(&wrapped.key))?;
        secret(opened.plaintext)
    }

    async fn generate(
        &self,
        key: &KeyId,
        len: usize,
        context: &EncryptionContext,
    ) -> Result<Option<(SecretBytes, Wrapped)>> {
        let client = self.session.client_of(key).await?;
        let known = self.versions.remember(key).await;
        let request = client
            .generate_data_key()
            .key_id(key.as_str())
            .set_number_of_bytes(i32::try_from(len).ok())
            .set_encryption_context(pairs(context));
        let made = request.send().await;
        let made = made.map_err(|error| self.session.fault(error).of_key(key))?;
        let plaintext = secret(made.plaintext)?;
        let made = Made {
            arn: made.key_id,
            material: made.key_material_id,
            blob: made.ciphertext_blob,
        };
        Ok(Some((plaintext, made.wrapped(key, known)?)))
    }

    async fn generate_wrapped(
        &self,
        key: &KeyId,
        len: usize,
        context: &EncryptionContext,
    ) -> Result<Option<Wrapped>> {
        let client = self.session.client_of(key).await?;
        let known = self.versions.remember(key).await;
        let request = client
            .generate_data_key_without_plaintext()
            .key_id(key.as_str())
            .set_number_of_bytes(i32::try_from(len).ok())
            .set_encryption_context(pairs(context));
        let made = request.send().await;
        let made = made.map_err(|error| self.session.fault(error).of_key(key))?;
        let made = Made {
            arn: made.key_id,
            material: made.key_material_id,
            blob: made.ciphertext_blob,
        };
        Ok(Some(made.wrapped(key, known)?))
    }

    async fn rewrap(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
        new_key: &KeyId,
        new_context: &EncryptionContext,
    ) -> Result<Option<Wrapped>> {
        self.session.client_of(&wrapped.key).await?;
        let client = self.session.client_of(new_key).await?;
        let known = self.versions.remember(new_key).await;
        let request = client
            .re_encrypt()
            .ciphertext_blob(Blob::new(wrapped.bytes.as_slice()))
            .source_key_id(wrapped.key.as_str())
            .set_source_encryption_context(pairs(context))
            .destination_key_id(new_key.as_str())
            .set_destination_encryption_context(pairs(new_context));
        let made = match request.send().await {
            Ok(made) => made,
            Err(error) => {
                let fault = self.session.fault(error);
                return Err(self.of_two_keys(fault, &wrapped.key, new_key).await);
            }
        };
        let made = Made {
            arn: made.key_id,
            material: made.destination_key_material_id,
            blob: made.ciphertext_blob,
        };
        Ok(Some(made.wrapped(new_key, known)?))
    }

    async fn create(&self, key: &KeyId) -> Result<KeyInfo> {
        self.make(key).await
    }

    async fn rotate(&self, key: &KeyId) -> Result<KeyInfo> {
        self.versions.rotate(key).await?;
        self.describe(key).await
    }

    async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        self.versions.describe(key).await
    }

    async fn list(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        let client = self.session.client().await?;
        let mut keys: Vec<KeyId> = Vec::new();
        let mut marker = None;
        for page in 0.. {
            if page == LISTED_PAGES_MAX {
                return Err(CLOUD.bad(format!("it lists more than {LISTED_PAGES_MAX} pages")));
            }
            let request = client.list_keys().limit(LISTED_PAGE).set_marker(marker);
            let found = request.send().await;
            let found = found.map_err(|error| self.session.fault(error).without_key())?;
            let arns = found.keys.unwrap_or_default().into_iter();
            keys.extend(arns.filter_map(|entry| KeyId::new(entry.key_arn?).ok()));
            marker = found.next_marker.filter(|_| found.truncated);
            if marker.is_none() {
                break;
            }
        }
        keys.sort();
        Ok(KeyPage::of_sorted(keys.iter(), after, limit))
    }

    async fn health(&self) -> Result<Health> {
        let client = self.session.client().await?;
        let region = client.config().region().map(ToString::to_string);
        let health = Health::of(NAME).note(format!("region {}", region.unwrap_or_default()));
        let answer = client.list_keys().limit(1).send().await;
        match answer.map_err(|error| self.session.fault(error).without_key()) {
            Ok(_) => Ok(health),
            // It knows who asks, and serves; that nobody may list keys is how most roles are made.
            Err(KmsError::AccessDenied { .. }) => Ok(health.note("its keys may not be listed")),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
