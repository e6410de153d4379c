//! `keys`: making, reading, listing, configuring and deleting keys.

use super::key::{Key, KeyKind, KeyName, Known};
use super::{Transit, TransitError};
use schemars::JsonSchema;
use secretum_api::fields::{Count, Seconds};
use secretum_crypto::{SecretBytes, Timestamp};
use secretum_engine::{Context, Fault, Handle, ListPage, Listing, Reply, Writes, listing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The shortest time after which a key is rotated by itself, in seconds.
const AUTO_ROTATE_SECONDS_MIN: u64 = 3_600;

/// The longest: a hundred years.
const AUTO_ROTATE_SECONDS_MAX: u64 = 100 * 365 * 24 * 3_600;

pub(super) const NOT_CONVERGENT: &str =
    "convergent encryption is not served: leave `convergent_encryption` out";

/// Reads what is known of a key.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadKey {
    /// Name of the key.
    name: KeyName,
}

/// Makes a key; one that is there stays as it is.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct MakeKey {
    /// Name of the key.
    name: KeyName,
    /// `aes256-gcm96`, `aes128-gcm96` or `chacha20-poly1305`.
    #[serde(default)]
    r#type: String,
    /// Whether each request names a context, from which its own key is derived.
    #[serde(default)]
    derived: bool,
    /// Whether a plaintext has one ciphertext; not served.
    #[serde(default)]
    convergent_encryption: bool,
    /// Whether its bytes may be read; this cannot be taken back.
    #[serde(default)]
    exportable: bool,
    /// Whether it may be backed up in plaintext; this cannot be taken back.
    #[serde(default)]
    allow_plaintext_backup: bool,
    /// After what time it is rotated by itself: an hour or more; 0 for never.
    #[serde(default)]
    auto_rotate_period: Seconds,
}

/// Deletes a key and all its versions, where its settings allow that.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeleteKey {
    /// Name of the key.
    name: KeyName,
}

/// Lists the keys.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListKeys {
    /// The name behind which a page begins.
    #[serde(default)]
    after: Option<String>,
    /// How many names a page has; all of them, sorted, where it is missing.
    #[serde(default)]
    limit: Option<i64>,
}

/// Changes the settings of a key; what is not named stays.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ConfigureKey {
    /// Name of the key.
    name: KeyName,
    /// The oldest version that still decrypts.
    #[serde(default)]
    min_decryption_version: Option<Count>,
    /// The oldest version that may be asked to encrypt; 0 for any that still decrypts.
    #[serde(default)]
    min_encryption_version: Option<Count>,
    /// Whether the key may be deleted.
    #[serde(default)]
    deletion_allowed: Option<bool>,
    /// Whether its bytes may be read; this cannot be taken back.
    #[serde(default)]
    exportable: Option<bool>,
    /// Whether it may be backed up in plaintext; this cannot be taken back.
    #[serde(default)]
    allow_plaintext_backup: Option<bool>,
    /// After what time it is rotated by itself: an hour or more; 0 for never.
    #[serde(default)]
    auto_rotate_period: Option<Seconds>,
}

/// What a client is told of a key.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeyFacts {
    name: String,
    r#type: &'static str,
    /// When each version that still decrypts was made, in seconds since 1970.
    keys: BTreeMap<u32, i64>,
    latest_version: u32,
    min_available_version: u32,
    min_decryption_version: u32,
    min_encryption_version: u32,
    deletion_allowed: bool,
    derived: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    kdf: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    convergent_encryption: Option<bool>,
    exportable: bool,
    allow_plaintext_backup: bool,
    imported_key: bool,
    auto_rotate_period: u64,
    supports_encryption: bool,
    supports_decryption: bool,
    supports_derivation: bool,
    supports_signing: bool,
}

impl Key {
    /// What a client is told of it.
    pub(super) fn facts(&self) -> KeyFacts {
        let known = &self.known;
        let seconds = |nanos| Timestamp::from_unix_nanos(nanos).unix_seconds();
        KeyFacts {
            name: self.name.as_str().to_owned(),
            r#type: known.kind.name(),
            keys: known
                .alive()
                .map(|(version, made)| (*version, seconds(*made)))
                .collect(),
            latest_version: self.latest(),
            min_available_version: known.min_available_version,
            min_decryption_version: known.min_decryption_version,
            min_encryption_version: known.min_encryption_version,
            deletion_allowed: known.deletion_allowed,
            derived: known.derived,
            kdf: known.derived.then_some("hkdf_sha256"),
            convergent_encryption: known.derived.then_some(false),
            exportable: known.exportable,
            allow_plaintext_backup: known.allow_plaintext_backup,
            imported_key: false,
            auto_rotate_period: known.auto_rotate_seconds,
            supports_encryption: true,
            supports_decryption: true,
            supports_derivation: true,
            supports_signing: false,
        }
    }
}

/// The period of a rotation, in seconds.
///
/// **Errors**: [`TransitError::Invalid`] for one that is too short or too long.
fn checked_period(period: Seconds) -> Result<u64, TransitError> {
    match period.0 {
        0 | AUTO_ROTATE_SECONDS_MIN..=AUTO_ROTATE_SECONDS_MAX => Ok(period.0),
        _ => Err(TransitError::Invalid(
            "auto rotate period must be 0 to disable or at least an hour, and at most a hundred years",
        )),
    }
}

impl MakeKey {
    fn known(&self, id: String) -> Result<Known, TransitError> {
        let kind = KeyKind::named(&self.r#type)?;
        if self.convergent_encryption {
            return Err(TransitError::Invalid(NOT_CONVERGENT));
        }
        Ok(Known {
            derived: self.derived,
            exportable: self.exportable,
            allow_plaintext_backup: self.allow_plaintext_backup,
            auto_rotate_seconds: checked_period(self.auto_rotate_period)?,
            ..Known::of(kind, id)
        })
    }
}

/// A key that is not written yet.
pub(super) struct Made {
    pub(super) key: Key,
    /// The bytes of its first version.
    pub(super) first: SecretBytes,
    pub(super) writes: Writes,
}

impl Transit {
    /// Makes a key with its first version.
    pub(super) fn make(
        &self,
        name: KeyName,
        known: Known,
        now: Timestamp,
    ) -> Result<Made, TransitError> {
        let mut key = Key::new(name, known);
        let (batch, first) = self.put_version(&mut key, now)?;
        let timers = key.timers()?;
        let writes = Writes { batch, timers };
        Ok(Made { key, first, writes })
    }
}

impl Handle<ReadKey> for Transit {
    type Data = KeyFacts;
    type Error = TransitError;

    async fn handle(&self, ask: ReadKey, _: &Context) -> Result<Reply<KeyFacts>, TransitError> {
        let key = self.find(&ask.name).await?.ok_or(Fault::NotFound)?;
        Ok(Reply::data(key.facts()))
    }
}

impl Handle<MakeKey> for Transit {
    type Data = KeyFacts;
    type Error = TransitError;

    async fn handle(
        &self,
        ask: MakeKey,
        context: &Context,
    ) -> Result<Reply<KeyFacts>, TransitError> {
        let known = ask.known(self.new_id()?)?;
        if let Some(key) = self.find(&ask.name).await? {
            let told = format!("key {} already existed", key.name.as_str());
            return Ok(Reply::data(key.facts()).warn(told));
        }
        let made = self.make(ask.name, known, context.clock.now())?;
        Ok(Reply::data(made.key.facts()).with_writes(made.writes))
    }
}

impl Handle<DeleteKey> for Transit {
    type Data = ();
    type Error = TransitError;

    async fn handle(&self, ask: DeleteKey, _: &Context) -> Result<Reply<()>, TransitError> {
        let key = self.find(&ask.name).await?;
        let key = key.ok_or(TransitError::Invalid("could not delete key; not found"))?;
        if !key.known.deletion_allowed {
            return Err(TransitError::Invalid(
                "deletion is not allowed for this key: set `deletion_allowed` in its config first",
            ));
        }
        Ok(Reply::wrote(Writes {
            batch: self.remove(&key)?,
            timers: key.timers_of_the_end()?,
        }))
    }
}

impl Handle<ListKeys> for Transit {
    type Data = Listing;
    type Error = TransitError;

    async fn handle(&self, ask: ListKeys, _: &Context) -> Result<Reply<Listing>, TransitError> {
        let page = ListPage::of(ask.after, ask.limit);
        let names = self.store.children("key/", page.after(), page.limit);
        Ok(listing(names.await?)?)
    }
}

impl ConfigureKey {
    /// Changes what it names.
    fn change(&self, key: &mut Key) -> Result<(), TransitError> {
        let latest = key.latest();
        let known = &mut key.known;
        if let Some(Count(version)) = self.min_decryption_version {
            // Vault takes 0 for the first.
            known.min_decryption_version = within(version.max(1), latest, "decryption")?;
        }
        if let Some(Count(version)) = self.min_encryption_version {
            known.min_encryption_version = within(version, latest, "encryption")?;
        }
        let (decryption, encryption) = (known.min_decryption_version, known.min_encryption_version);
        if encryption > 0 && encryption < decryption {
            let told = format!(
                "cannot set min encryption/decryption values; min encryption version of {encryption} \
                 must be greater than or equal to min decryption version of {decryption}"
            );
            return Err(Fault::invalid(told).into());
        }
        if decryption < known.min_available_version {
            return Err(TransitError::Invalid(
                "cannot set min decryption version: that version was trimmed",
            ));
        }
        known.deletion_allowed = self.deletion_allowed.unwrap_or(known.deletion_allowed);
        known.exportable |= self.exportable.unwrap_or(false);
        known.allow_plaintext_backup |= self.allow_plaintext_backup.unwrap_or(false);
        if let Some(period) = self.auto_rotate_period {
            known.auto_rotate_seconds = checked_period(period)?;
        }
        Ok(())
    }
}

/// A version that the key has.
fn within(version: u64, latest: u32, what: &str) -> Result<u32, TransitError> {
    let found = u32::try_from(version)
        .ok()
        .filter(|version| *version <= latest);
    found.ok_or_else(|| {
        let told =
            format!("cannot set min {what} version of {version}, latest key version is {latest}");
        Fault::invalid(told).into()
    })
}

impl Handle<ConfigureKey> for Transit {
    type Data = KeyFacts;
    type Error = TransitError;

    async fn handle(
        &self,
        ask: ConfigureKey,
        _: &Context,
    ) -> Result<Reply<KeyFacts>, TransitError> {
        let mut key = self.key(&ask.name).await?;
        let before = key.known.clone();
        ask.change(&mut key)?;
        if key.known == before {
            return Ok(Reply::data(key.facts()));
        }
        Ok(Reply::data(key.facts()).with_writes(Writes {
            batch: self.put(&key)?,
            timers: key.timers()?,
        }))
    }
}
