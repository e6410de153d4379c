//! [`Key`]: what is known of a key, and where its bytes stand.

use super::{Transit, TransitError};
use schemars::JsonSchema;
use secretum_crypto::{AeadAlgorithm, SecretBytes, Timestamp, random_secret, random_uuid};
use secretum_engine::{Fault, Record, TimerChange, expect, to_json};
use secretum_storage::{Batch, Precondition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest name of a key.
const NAME_BYTES_MAX: usize = 256;

/// The most versions of a key: what is known of them is read with each request, and they go in one write.
const VERSIONS_MAX: usize = 10_000;

/// The kinds of keys that Vault has and this engine does not.
const NOT_SERVED: [&str; 11] = [
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "ed25519",
    "hmac",
    "aes128-cmac",
    "aes256-cmac",
    "rsa-2048",
    "rsa-3072",
    "rsa-4096",
    "xchacha20-poly1305",
];

/// The name of a key: letters, digits, `_`, and within it `-` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(super) struct KeyName(String);

impl TryFrom<String> for KeyName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let bytes = text.as_bytes();
        let has_ends = [bytes.first(), bytes.last()]
            .iter()
            .all(|end| end.is_some_and(|byte| is_word(*byte)));
        let inside = |byte: &u8| is_word(*byte) || matches!(byte, b'-' | b'.');
        if !has_ends || !bytes.iter().all(inside) {
            return Err(
                "the name of a key has letters, digits and `_`, and within it also `-` and `.`",
            );
        }
        if bytes.len() > NAME_BYTES_MAX {
            return Err("the name of a key has at most 256 letters");
        }
        Ok(Self(text))
    }
}

impl KeyName {
    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn place(&self) -> String {
        format!("key/{}", self.0)
    }
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum KeyKind {
    /// AES-128-GCM with a nonce of 96 bits.
    #[serde(rename = "aes128-gcm96")]
    Aes128Gcm,
    /// AES-256-GCM with a nonce of 96 bits.
    #[default]
    #[serde(rename = "aes256-gcm96")]
    Aes256Gcm,
    /// ChaCha20-Poly1305.
    #[serde(rename = "chacha20-poly1305")]
    ChaCha20Poly1305,
}

impl KeyKind {
    /// The kind of this name; the default where it is empty.
    ///
    /// **Errors**: [`Fault::Invalid`].
    pub(super) fn named(name: &str) -> Result<Self, Fault> {
        Ok(match name {
            "" | "aes256-gcm96" => Self::Aes256Gcm,
            "aes128-gcm96" => Self::Aes128Gcm,
            "chacha20-poly1305" => Self::ChaCha20Poly1305,
            known if NOT_SERVED.contains(&known) => {
                return Err(Fault::invalid(format!(
                    "keys of type `{known}` are not served: use `aes256-gcm96`, `aes128-gcm96` or \
                     `chacha20-poly1305`"
                )));
            }
            other => {
                let start: String = other.chars().take(64).collect();
                return Err(Fault::invalid(format!("unknown key type `{start}`")));
            }
        })
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "aes128-gcm96",
            Self::Aes256Gcm => "aes256-gcm96",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
        }
    }

    pub(super) fn algorithm(self) -> AeadAlgorithm {
        match self {
            Self::Aes128Gcm => AeadAlgorithm::Aes128Gcm,
            Self::Aes256Gcm => AeadAlgorithm::Aes256Gcm,
            Self::ChaCha20Poly1305 => AeadAlgorithm::ChaCha20Poly1305,
        }
    }
}

/// What is known of a key, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// A UUID: versions of another key of this name are others.
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: KeyKind,
    /// Whether each request names a context, from which its own key is derived.
    pub(super) derived: bool,
    pub(super) exportable: bool,
    pub(super) allow_plaintext_backup: bool,
    pub(super) deletion_allowed: bool,
    pub(super) min_decryption_version: u32,
    /// 0 for any that decrypts.
    pub(super) min_encryption_version: u32,
    /// Versions below it are gone; 0 where none is.
    pub(super) min_available_version: u32,
    /// 0 where it is rotated by hand only.
    pub(super) auto_rotate_seconds: u64,
    /// When each version was made, in nanoseconds since 1970.
    pub(super) versions: BTreeMap<u32, i64>,
}

impl Known {
    /// A key of a kind, as it is where nothing is said of it.
    pub(super) fn of(kind: KeyKind, id: String) -> Self {
        Self {
            id,
            kind,
            derived: false,
            exportable: false,
            allow_plaintext_backup: false,
            deletion_allowed: false,
            min_decryption_version: 1,
            min_encryption_version: 0,
            min_available_version: 0,
            auto_rotate_seconds: 0,
            versions: BTreeMap::new(),
        }
    }

    /// The versions that still decrypt, and when each was made.
    pub(super) fn alive(&self) -> impl Iterator<Item = (&u32, &i64)> {
        self.versions.range(self.min_decryption_version..)
    }

    fn place_of(&self, version: u32) -> String {
        format!("version/{}/{version}", self.id)
    }
}

/// What is known of a key, and where it was read.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: KeyName,
    pub(super) known: Known,
    /// `None` where it is new.
    record: Option<Record>,
    /// When its timer is due, where it has one, in nanoseconds since 1970.
    timer: Option<i64>,
}

impl Key {
    /// A key that is not stored yet, without a version.
    pub(super) fn new(name: KeyName, known: Known) -> Self {
        Self {
            name,
            known,
            record: None,
            timer: None,
        }
    }

    /// The newest version.
    pub(super) fn latest(&self) -> u32 {
        let newest = self.known.versions.last_key_value();
        newest.map_or(0, |(version, _)| *version)
    }

    /// When it is rotated by itself, in nanoseconds since 1970.
    fn next_rotation(&self) -> Option<i64> {
        let seconds = Some(self.known.auto_rotate_seconds).filter(|seconds| *seconds > 0)?;
        let (_, newest) = self.known.versions.last_key_value()?;
        let period = std::time::Duration::from_secs(seconds);
        Some(
            Timestamp::from_unix_nanos(*newest)
                .plus(period)
                .unix_nanos(),
        )
    }

    /// Whether the time of its next rotation has come.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.next_rotation()
            .is_some_and(|due| due <= now.unix_nanos())
    }

    /// What becomes of the timer of its rotation.
    pub(super) fn timers(&self) -> Result<Vec<TimerChange>, Fault> {
        super::rotation::rearm(&self.name, self.timer, self.next_rotation())
    }

    /// The same where the key goes.
    pub(super) fn timers_of_the_end(&self) -> Result<Vec<TimerChange>, Fault> {
        super::rotation::rearm(&self.name, self.timer, None)
    }
}

impl Transit {
    /// The id of a new key.
    pub(super) fn new_id(&self) -> Result<String, Fault> {
        let id = random_uuid(&*self.rng).map_err(Fault::internal)?;
        Ok(id.to_string())
    }

    /// What is known of a key; `None` where there is none.
    pub(super) async fn find(&self, name: &KeyName) -> Result<Option<Key>, Fault> {
        let Some(record) = self.store.get(&name.place()).await? else {
            return Ok(None);
        };
        let mut key = Key::new(name.clone(), record.json()?);
        key.timer = key.next_rotation();
        key.record = Some(record);
        Ok(Some(key))
    }

    /// A batch that puts what is known of a key in the place of what was read, and fails where it is no
    /// longer that.
    pub(super) fn put(&self, key: &Key) -> Result<Batch, Fault> {
        let place = self.store.key(&key.name.place())?;
        let expected = expect(key.record.as_ref());
        Ok(Batch::new().put_if(place, expected, to_json(&key.known)?))
    }

    /// A batch that adds a version to a key, and the bytes of that version.
    pub(super) fn put_version(
        &self,
        key: &mut Key,
        now: Timestamp,
    ) -> Result<(Batch, SecretBytes), TransitError> {
        if key.known.versions.len() >= VERSIONS_MAX {
            return Err(TransitError::Invalid(
                "the key has as many versions as it may, 10,000: trim those that nobody needs",
            ));
        }
        let version = key.latest().checked_add(1);
        let version = version.ok_or(TransitError::Invalid("the key has no room for a version"))?;
        let bytes = key.known.kind.algorithm().key_bytes();
        let made = random_secret(&*self.rng, bytes).map_err(Fault::internal)?;
        key.known.versions.insert(version, now.unix_nanos());
        let place = self.store.key(&key.known.place_of(version))?;
        let bytes = made.expose().to_vec();
        let batch = self.put(key)?.put_if(place, Precondition::Absent, bytes);
        Ok((batch, made))
    }

    /// The bytes of a version.
    ///
    /// **Errors**: [`TransitError::NoVersion`].
    pub(super) async fn version(
        &self,
        key: &Key,
        version: u32,
    ) -> Result<SecretBytes, TransitError> {
        if !key.known.versions.contains_key(&version) {
            return Err(TransitError::NoVersion);
        }
        let record = self.store.get(&key.known.place_of(version)).await?;
        let record = record.ok_or(TransitError::NoVersion)?;
        Ok(SecretBytes::new(record.value.into()))
    }

    /// Adds the end of versions to a batch.
    pub(super) fn drop_versions(
        &self,
        mut batch: Batch,
        key: &Key,
        versions: impl IntoIterator<Item = u32>,
    ) -> Result<Batch, Fault> {
        for version in versions {
            batch = batch.delete(self.store.key(&key.known.place_of(version))?);
        }
        Ok(batch)
    }

    /// A batch that ends a key.
    pub(super) fn remove(&self, key: &Key) -> Result<Batch, Fault> {
        let place = self.store.key(&key.name.place())?;
        let batch = Batch::new().delete_if(place, expect(key.record.as_ref()));
        self.drop_versions(batch, key, key.known.versions.keys().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_crypto::{SystemRng, TestClock};
    use secretum_engine::{MountStorage, Setup};
    use secretum_storage::memory::MemoryStorage;

    #[test]
    fn names_are_as_vault_has_them() {
        for name in ["k", "a-b", "a.b_C9", "_", &"x".repeat(256)] {
            assert!(KeyName::try_from(name.to_owned()).is_ok(), "{name}");
        }
        for name in ["", "-a", "a-", "a b", "a/b", "ä", &"x".repeat(257)] {
            assert!(KeyName::try_from(name.to_owned()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_kind_that_is_not_served_is_told_from_a_word() {
        assert_eq!(KeyKind::named("").unwrap(), KeyKind::default());
        let told = |name| KeyKind::named(name).unwrap_err().to_string();
        assert!(told("rsa-4096").contains("use `aes256-gcm96`"));
        assert_eq!(told("nonsense"), "unknown key type `nonsense`");
        assert!(told(&"x".repeat(100_000)).len() < 100);
    }

    #[test]
    fn versions_have_their_limit() {
        let setup = Setup {
            store: MountStorage::new(MemoryStorage::new(), "mount/".try_into().unwrap()),
            options: BTreeMap::new(),
            default_lease_ttl: std::time::Duration::ZERO,
            clock: std::sync::Arc::new(TestClock::default()),
            rng: std::sync::Arc::new(SystemRng),
        };
        let transit = Transit::build(setup).unwrap();
        let name = KeyName::try_from("x".repeat(NAME_BYTES_MAX)).unwrap();
        let id = transit.new_id().unwrap();
        let mut key = Key::new(name, Known::of(KeyKind::default(), id));
        let now = Timestamp::from_unix_seconds(0);
        for _ in 0..VERSIONS_MAX {
            key.known
                .versions
                .insert(key.latest() + 1, now.unix_nanos());
        }
        let refused = transit.put_version(&mut key, now).unwrap_err();
        assert!(refused.to_string().contains("trim"), "{refused}");
        // All of it goes in one write.
        transit.remove(&key).unwrap().check_size().unwrap();
        key.known.versions.remove(&1);
        let (batch, _) = transit.put_version(&mut key, now).unwrap();
        batch.check_size().unwrap();
    }
}
