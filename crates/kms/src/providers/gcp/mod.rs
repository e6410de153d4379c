//! Google Cloud KMS: symmetric keys that stay there.
//!
//! A plaintext that fits is encrypted there, with the canonical bytes of the context as the service's
//! additional authenticated data; without a context there are none, so that every other client opens it.
//! The bytes of data keys are made here and encrypted there. Both ways, what is sent carries the checksums
//! by which the service and this side find what was damaged.
//!
//! - `name` knows how keys are named;
//! - `create` makes them;
//! - `session` finds the credentials, once, at the first request;
//! - `fault` says what an error means;
//! - `checksum` is CRC-32C.
//!
//! # Keys and versions
//!
//! A key is named in whole, or by its last part where it is in the configured key ring; behind it may stand
//! the version that encrypts, else the primary one does. The service finds the version of a ciphertext by
//! itself.

mod checksum;
pub(crate) mod config;
mod create;
mod fault;
mod name;
mod session;

pub use self::name::KeyRing;

use self::fault::{CLOUD, Fault, damaged};
use self::name::Resource;
use self::session::Session;
use crate::{
    EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KeyVersion, KmsError, Provider, Result,
    SuppliedBy, Traits, Wrapped,
};
use async_trait::async_trait;
use google_cloud_kms_v1::model::crypto_key::CryptoKeyPurpose;
use google_cloud_kms_v1::model::crypto_key_version::CryptoKeyVersionState;
use google_cloud_kms_v1::model::{CryptoKey, CryptoKeyVersion, DecryptResponse};
use secretum_crypto::{ClockRef, SecretBytes, Timestamp};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Its name in ciphertexts and configurations.
pub const NAME: &str = "gcp";

/// How long one request may take, connecting and fetching credentials included, where nothing else is
/// said.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes that go to the service: what a key in an HSM takes together with a context of 4 KiB.
const WRAP_BYTES_MAX: usize = 4096;

/// Keys on one page of the service's listing, and the most that it gives.
const LISTED_PAGE: i32 = 1000;

/// Pages that are looked at.
const LISTED_PAGES_MAX: usize = 100;

/// How long a new version is waited for. In an HSM it is made behind the service's answer.
const ROTATION_WAIT: Duration = Duration::from_secs(8);

/// How old a version may be that a rotation takes up as its own. One that is older was left for a reason:
/// made for later, or stepped back from.
const BEGUN_MAX: Duration = Duration::from_secs(3600);

/// How often a ciphertext is sent that does not open.
const DECRYPTION_TRIES: usize = 2;

/// The shortest time between two looks at it.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(200);

/// A key ring, and as whom it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcpSettings {
    /// Where keys are that are named without it.
    pub ring: KeyRing,
    /// Where the service is, where that is not its public address.
    pub endpoint: Option<String>,
    /// As whom.
    pub credentials: GcpCredentials,
    /// How long one request may take. Default: [`TIMEOUT`].
    pub timeout: Option<Duration>,
}

impl GcpSettings {
    /// Whether tokens, and plaintexts with them, would go over a network as they are: an address without
    /// TLS is for an emulator on this machine, or for one that is asked as nobody.
    pub(crate) fn are_in_the_clear(&self) -> bool {
        let Some(endpoint) = &self.endpoint else {
            return false;
        };
        let is_secure = endpoint.starts_with("https://");
        let authority = endpoint.strip_prefix("http://");
        let authority = authority.and_then(|rest| rest.split(['/', '?', '#']).next());
        let is_local = authority.is_some_and(is_loopback);
        !is_secure && !is_local && self.credentials != GcpCredentials::Anonymous
    }

    /// The keys of this ring, at the public address, with the credentials that are found.
    pub fn new(ring: KeyRing) -> Self {
        Self {
            ring,
            endpoint: None,
            credentials: GcpCredentials::Found,
            timeout: None,
        }
    }
}

/// Whether a host, with its port or without, is this machine.
fn is_loopback(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, "0"),
    };
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = address.unwrap_or(host).parse::<IpAddr>();
    let is_local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    is_local && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// As whom the service is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GcpCredentials {
    /// Where every program of Google Cloud takes them: the file that `GOOGLE_APPLICATION_CREDENTIALS`
    /// names, the one that `gcloud auth application-default login` writes, the machine.
    Found,
    /// A file: of a service account, a user, a workload identity federation, an impersonation.
    File(PathBuf),
    /// As nobody, for emulators.
    Anonymous,
}

/// Keys of Google Cloud KMS.
#[derive(Debug, Clone)]
pub struct GcpProvider {
    session: Arc<Session>,
    clock: ClockRef,
    rotation_wait: Duration,
}

impl GcpProvider {
    /// The keys of this ring. Nothing is sent yet. By the clock it is told how old a version is.
    ///
    /// The client tries nothing twice: that is left to [`crate::RetryKms`].
    pub fn new(settings: GcpSettings, clock: ClockRef) -> Self {
        Self {
            session: Arc::new(Session::new(settings)),
            clock,
            rotation_wait: ROTATION_WAIT,
        }
    }

    fn find(&self, key: &KeyId) -> Result<Resource> {
        self.session.settings.ring.find(key)
    }

    /// The newest version above the primary one that was made a short time ago, or is being made: of a
    /// rotation that was cut off.
    async fn begun(
        &self,
        resource: &Resource,
        key: &CryptoKey,
    ) -> Result<Option<CryptoKeyVersion>> {
        let number = |name: &str| {
            let version = resource.version_in(name)?;
            version.as_str().parse::<u64>().ok()
        };
        let primary = key
            .primary
            .as_ref()
            .and_then(|primary| number(&primary.name));
        let client = self.session.client().await?;
        let mut newest: Option<(u64, CryptoKeyVersion)> = None;
        let mut token = String::new();
        for _ in 0..LISTED_PAGES_MAX {
            let request = client
                .list_crypto_key_versions()
                .set_parent(&resource.key)
                .set_page_size(LISTED_PAGE)
                .set_page_token(token);
            let page = match self.session.ask(request.send()).await {
                Ok(page) => page,
                // Who may make versions need not be allowed to list them.
                Err(Fault::Other(KmsError::AccessDenied { .. })) => return Ok(None),
                Err(fault) => return Err(fault.of_key(&resource.asked)),
            };
            for version in page.crypto_key_versions {
                let serves = version.state == CryptoKeyVersionState::PendingGeneration
                    || (version.state == CryptoKeyVersionState::Enabled && self.is_fresh(&version));
                let Some(number) = number(&version.name).filter(|_| serves) else {
                    continue;
                };
                let above = newest.as_ref().map(|(number, _)| *number).max(primary);
                if Some(number) > above {
                    newest = Some((number, version));
                }
            }
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(newest.map(|(_, version)| version));
            }
        }
        Err(CLOUD.bad(format!("it lists more than {LISTED_PAGES_MAX} pages")))
    }

    fn is_fresh(&self, version: &CryptoKeyVersion) -> bool {
        let made = version.create_time.as_ref();
        let made = made.map(|made| Timestamp::from_unix_seconds(made.seconds()));
        made.is_some_and(|made| self.clock.now().since(made) <= BEGUN_MAX)
    }

    async fn make(&self, resource: &Resource) -> Result<CryptoKeyVersion> {
        let client = self.session.client().await?;
        let request = client
            .create_crypto_key_version()
            .set_parent(&resource.key)
            .set_crypto_key_version(CryptoKeyVersion::new());
        let made = self.session.ask(request.send()).await;
        made.map_err(|fault| fault.of_key(&resource.asked))
    }

    async fn version(&self, resource: &Resource, name: String) -> Result<CryptoKeyVersion> {
        let client = self.session.client().await?;
        let request = client.get_crypto_key_version().set_name(name);
        let found = self.session.ask(request.send()).await;
        found.map_err(|fault| fault.of_version(resource))
    }

    /// Opens a ciphertext; of one that does not open, the service's words are those of one that was
    /// damaged on its way there.
    async fn open(
        &self,
        resource: &Resource,
        wrapped: &Wrapped,
        aad: Vec<u8>,
    ) -> std::result::Result<DecryptResponse, Fault> {
        let client = self.session.client().await.map_err(Fault::Other)?;
        let mut tries = 1..=DECRYPTION_TRIES;
        loop {
            let request = client
                .decrypt()
                .set_name(&resource.key)
                .set_ciphertext_crc32c(checksum::of(&wrapped.bytes))
                .set_ciphertext(wrapped.bytes.clone())
                .set_additional_authenticated_data_crc32c(checksum::of(&aad))
                .set_additional_authenticated_data(aad.clone());
            let opened = self.session.ask(request.send()).await;
            let last = tries.next() == Some(DECRYPTION_TRIES);
            match opened {
                Err(Fault::Invalid(_)) if !last => {}
                opened => return opened,
            }
        }
    }

    async fn key(&self, key: &Resource) -> Result<CryptoKey> {
        let client = self.session.client().await?;
        let request = client.get_crypto_key().set_name(&key.key).send();
        let found = self.session.ask(request).await;
        let found = found.map_err(|fault| fault.of_key(&key.asked))?;
        if found.purpose == CryptoKeyPurpose::EncryptDecrypt {
            return Ok(found);
        }
        Err(KmsError::Refused {
            provider: NAME,
            reason: format!(
                "`{}` does not encrypt; take a key of the purpose ENCRYPT_DECRYPT",
                key.asked
            ),
        })
    }

    /// Waits until a version encrypts.
    async fn wait_for(&self, key: &Resource, mut version: CryptoKeyVersion) -> Result<()> {
        let deadline = Instant::now() + self.rotation_wait;
        let mut pause = LOOK_EVERY_MIN;
        while version.state == CryptoKeyVersionState::PendingGeneration {
            if Instant::now() >= deadline {
                return Err(KmsError::Unavailable {
                    provider: NAME,
                    reason: format!(
                        "`{}` is being made, and is not the primary version yet; make it that in a \
                         minute",
                        version.name
                    ),
                    source: None,
                });
            }
            sleep(pause).await;
            pause *= 2;
            version = self.version(key, version.name).await?;
        }
        if version.state == CryptoKeyVersionState::Enabled {
            return Ok(());
        }
        Err(Fault::Disabled.of_key(&key.asked))
    }
}

/// The context as the service takes it.
fn associated_data(context: &EncryptionContext) -> Vec<u8> {
    if context.is_empty() {
        return Vec::new();
    }
    context.canonical_bytes()
}

fn info(resource: &Resource, encrypting: Option<CryptoKeyVersion>) -> Result<KeyInfo> {
    let asked = resource.asked.clone();
    let Some(encrypting) = encrypting else {
        return Ok(KeyInfo {
            key: asked,
            version: KeyVersion::default(),
            enabled: false,
            rotated_at: None,
        });
    };
    let version = resource.version_in(&encrypting.name);
    let made = encrypting.create_time.map(|time| time.seconds());
    Ok(KeyInfo {
        key: asked,
        version: version.ok_or_else(|| CLOUD.bad("its version has no number"))?,
        enabled: encrypting.state == CryptoKeyVersionState::Enabled,
        rotated_at: made.map(Timestamp::from_unix_seconds),
    })
}

#[async_trait]
impl Provider for GcpProvider {
    fn traits(&self) -> Traits {
        Traits {
            name: NAME,
            binds_context: true,
            wrap_bytes_min: 1,
            wrap_bytes_max: WRAP_BYTES_MAX,
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
        let resource = self.find(key)?;
        let client = self.session.client().await?;
        let aad = associated_data(context);
        let request = client
            .encrypt()
            .set_name(resource.encrypting())
            .set_plaintext_crc32c(checksum::of(plaintext))
            .set_plaintext(plaintext.to_vec())
            .set_additional_authenticated_data_crc32c(checksum::of(&aad))
            .set_additional_authenticated_data(aad);
        let made = self.session.ask(request.send()).await;
        let made = made.map_err(|fault| fault.of_key(&resource.asked))?;
        // What it encrypted is what was sent, or what it gave would never open to that.
        if !made.verified_plaintext_crc32c || !made.verified_additional_authenticated_data_crc32c {
            return Err(damaged());
        }
        checksum::check(&made.ciphertext, made.ciphertext_crc32c)?;
        let version = resource.version_in(&made.name);
        Ok(Wrapped {
            version: version.ok_or_else(|| CLOUD.bad("it names no version of the key"))?,
            key: resource.asked,
            bytes: made.ciphertext.to_vec(),
        })
    }

    async fn unwrap(&self, wrapped: &Wrapped, context: &EncryptionContext) -> Result<SecretBytes> {
        let resource = self.find(&wrapped.key)?;
        let opened = self.open(&resource, wrapped, associated_data(context));
        let opened = opened.await;
        let opened = opened.map_err(|fault| fault.of_decryption(&resource.asked))?;
        let plaintext = SecretBytes::new(opened.plaintext.to_vec());
        checksum::check(plaintext.expose(), opened.plaintext_crc32c)?;
        Ok(plaintext)
    }

    async fn create(&self, key: &KeyId) -> Result<KeyInfo> {
        self.make_key(key).await
    }

    /// Adds a version, or takes up one that is newer than the primary one, and makes it that.
    async fn rotate(&self, key: &KeyId) -> Result<KeyInfo> {
        let resource = self.find(key)?;
        if resource.version.is_some() {
            return Err(CLOUD.pinned(key));
        }
        // A version of a key for signatures would be made, too.
        let found = self.key(&resource).await?;
        let made = match self.begun(&resource, &found).await? {
            Some(begun) => begun,
            None => self.make(&resource).await?,
        };
        let client = self.session.client().await?;
        let version = resource.version_in(&made.name);
        let version = version.ok_or_else(|| CLOUD.bad("its new version has no number"))?;
        self.wait_for(&resource, made).await?;
        let request = client
            .update_crypto_key_primary_version()
            .set_name(&resource.key)
            .set_crypto_key_version_id(version.as_str());
        let changed = self.session.ask(request.send()).await;
        let changed = changed.map_err(|fault| fault.of_key(&resource.asked))?;
        info(&resource, changed.primary)
    }

    async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        let resource = self.find(key)?;
        let found = self.key(&resource).await?;
        let encrypting = match resource.version {
            Some(_) => Some(self.version(&resource, resource.encrypting()).await?),
            None => found.primary,
        };
        info(&resource, encrypting)
    }

    async fn list(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        let client = self.session.client().await?;
        let ring = self.session.settings.ring.resource();
        let mut keys: Vec<KeyId> = Vec::new();
        let mut token = String::new();
        for _ in 0..LISTED_PAGES_MAX {
            let request = client
                .list_crypto_keys()
                .set_parent(&ring)
                .set_page_size(LISTED_PAGE)
                .set_page_token(token);
            let page = self.session.ask(request.send()).await;
            let page = page.map_err(Fault::of_ring)?;
            let encrypting = page.crypto_keys.iter();
            let encrypting =
                encrypting.filter(|key| key.purpose == CryptoKeyPurpose::EncryptDecrypt);
            keys.extend(encrypting.filter_map(|key| name::short(&key.name)));
            token = page.next_page_token;
            if token.is_empty() {
                keys.sort();
                return Ok(KeyPage::of_sorted(keys.iter(), after, limit));
            }
        }
        Err(CLOUD.bad(format!("it lists more than {LISTED_PAGES_MAX} pages")))
    }

    async fn health(&self) -> Result<Health> {
        let client = self.session.client().await?;
        let ring = self.session.settings.ring.resource();
        let health = Health::of(NAME).note(format!("key ring {ring}"));
        let request = client.list_crypto_keys().set_parent(ring).set_page_size(1);
        let answer = self.session.ask(request.send()).await;
        match answer.map_err(Fault::of_ring) {
            Ok(_) => Ok(health),
            // It knows who asks, and serves; that nobody may list keys is how most roles are made.
            Err(KmsError::AccessDenied { .. }) => Ok(health.note("its keys may not be listed")),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
