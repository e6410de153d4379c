//! [`Keyring`]: the numbered terms, and the key of names.

use crate::names::Names;
use crate::{Barrier, BarrierError, Open, Result, record};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_crypto::{Aead, Key256, NameKey, Rng, SecretBytes, SecretKey, Timestamp, siv};
use secretum_storage::{Batch, Key, Precondition, StorageError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use zeroize::Zeroize;

/// Where the keyring stands in the storage.
pub(crate) const KEYRING_KEY: &str = "core/keyring";

/// So many encryptions of one term are allowed before it is replaced, below 2^32 as NIST SP 800-38D
/// asks for random nonces.
pub const ROTATE_AFTER_ENCRYPTIONS: u64 = 3_865_470_566;

/// The fewest encryptions that a rotation may be set to.
const ROTATE_AFTER_ENCRYPTIONS_MIN: u64 = 1_000_000;

/// The shortest age that a rotation may be set to.
const ROTATE_AFTER_MIN: Duration = Duration::from_secs(24 * 3600);

/// So many encryptions are counted in the stored keyring before they happen: a crash can make the
/// count too high by this, and never too low.
pub(crate) const RESERVATION: u64 = 1 << 18;

/// Tries to change the keyring when others change it too.
const CHANGE_TRIES: usize = 16;

/// When terms rotate by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationConfig {
    /// Encryptions of one term.
    pub max_operations: u64,
    /// Age of a term, in seconds; 0 for no limit.
    pub interval_seconds: u64,
    /// Whether the age counts.
    pub enabled: bool,
}

impl Default for RotationConfig {
    fn default() -> Self {
        Self {
            max_operations: ROTATE_AFTER_ENCRYPTIONS,
            interval_seconds: 0,
            enabled: true,
        }
    }
}

impl RotationConfig {
    /// Checks the ranges.
    ///
    /// **Errors**: [`BarrierError::RotationRange`].
    pub fn check(&self) -> Result<()> {
        if !(ROTATE_AFTER_ENCRYPTIONS_MIN..=ROTATE_AFTER_ENCRYPTIONS).contains(&self.max_operations)
        {
            return Err(BarrierError::RotationRange(
                "max_operations must be between 1000000 and 3865470566",
            ));
        }
        if self.interval_seconds != 0 && self.interval_seconds < ROTATE_AFTER_MIN.as_secs() {
            return Err(BarrierError::RotationRange(
                "interval must be 0 or at least 24 hours",
            ));
        }
        Ok(())
    }
}

/// What may be told of the active term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// Its number.
    pub term: u32,
    /// Since when it is there, RFC 3339.
    pub install_time: String,
    /// Values encrypted under it.
    pub encryptions: u64,
}

/// The keyring as it is stored, below the root key.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    terms: Vec<Term>,
    name_key: String,
    rotation: RotationConfig,
}

#[derive(Serialize, Deserialize)]
struct Term {
    term: u32,
    key: String,
    install_time: String,
    encryptions: u64,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.name_key.zeroize();
        self.terms.iter_mut().for_each(|term| term.key.zeroize());
    }
}

const FORMAT: u32 = 1;

/// The terms, prepared, and the key of names.
pub(crate) struct Keyring {
    terms: BTreeMap<u32, Prepared>,
    active: u32,
    names: Names,
    name_key: SecretKey<{ siv::KEY_BYTES }>,
    rotation: RotationConfig,
}

struct Prepared {
    key: Key256,
    cipher: Aead,
    install_time: Timestamp,
    encryptions: u64,
}

impl Keyring {
    /// A keyring with a first term.
    pub(crate) fn generate(now: Timestamp, rng: &dyn Rng) -> Result<Self> {
        let name_key = SecretKey::random(rng)?;
        let mut keyring = Self {
            terms: BTreeMap::new(),
            active: 0,
            names: Names::new(NameKey::new(&name_key)),
            name_key,
            rotation: RotationConfig::default(),
        };
        keyring.add_term(now, rng)?;
        Ok(keyring)
    }

    /// Adds a term and makes it the active one.
    pub(crate) fn add_term(&mut self, now: Timestamp, rng: &dyn Rng) -> Result<()> {
        let key = Key256::random(rng)?;
        let prepared = Prepared {
            cipher: Aead::aes_256_gcm(&key)?,
            key,
            install_time: now,
            encryptions: RESERVATION,
        };
        self.active = self.active.checked_add(1).ok_or_else(damaged)?;
        self.terms.insert(self.active, prepared);
        Ok(())
    }

    /// Counts one more reservation of the active term; whether it has then had too many.
    pub(crate) fn reserve(&mut self) -> bool {
        let limit = self.rotation.max_operations;
        match self.terms.get_mut(&self.active) {
            Some(term) => {
                term.encryptions = term.encryptions.saturating_add(RESERVATION);
                term.encryptions > limit
            }
            None => true,
        }
    }

    /// The active term, and the encryptions that are counted of it.
    pub(crate) fn counted(&self) -> (u32, u64) {
        let term = self.terms.get(&self.active);
        (self.active, term.map_or(0, |term| term.encryptions))
    }

    /// Whether the active term is as old as it may get.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let limit = Duration::from_secs(self.rotation.interval_seconds);
        self.rotation.enabled
            && !limit.is_zero()
            && self
                .terms
                .get(&self.active)
                .is_some_and(|term| now.since(term.install_time) >= limit)
    }

    pub(crate) fn status(&self) -> KeyStatus {
        let active = self.terms.get(&self.active);
        KeyStatus {
            term: self.active,
            install_time: active
                .map(|term| term.install_time.to_rfc3339())
                .unwrap_or_default(),
            encryptions: active.map_or(0, |term| term.encryptions),
        }
    }

    pub(crate) fn rotation(&self) -> RotationConfig {
        self.rotation
    }

    pub(crate) fn set_rotation(&mut self, rotation: RotationConfig) {
        self.rotation = rotation;
    }

    /// The active term and its cipher.
    pub(crate) fn active(&self) -> Option<(u32, &Aead)> {
        self.terms
            .get(&self.active)
            .map(|term| (self.active, &term.cipher))
    }

    /// The cipher of a term.
    pub(crate) fn cipher(&self, term: u32) -> Option<&Aead> {
        self.terms.get(&term).map(|term| &term.cipher)
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn name_key(&self) -> &[u8] {
        self.name_key.expose()
    }

    /// The keyring encrypted under the root key.
    pub(crate) fn seal(&self, root: &Key256, rng: &dyn Rng) -> Result<Vec<u8>> {
        let stored = Stored {
            format: FORMAT,
            terms: self
                .terms
                .iter()
                .map(|(number, term)| Term {
                    term: *number,
                    key: STANDARD.encode(term.key.expose()),
                    install_time: term.install_time.to_rfc3339(),
                    encryptions: term.encryptions,
                })
                .collect(),
            name_key: STANDARD.encode(self.name_key.expose()),
            rotation: self.rotation,
        };
        let text = serde_json::to_vec(&stored).map_err(|_| damaged())?;
        let text = SecretBytes::new(text);
        Ok(record::seal(
            &Aead::aes_256_gcm(root)?,
            0,
            KEYRING_KEY.as_bytes(),
            text.expose(),
            rng,
        )?)
    }

    /// Opens a stored keyring with the root key.
    pub(crate) fn open(root: &Key256, sealed: &[u8]) -> Result<Self> {
        let text = record::open(&Aead::aes_256_gcm(root)?, KEYRING_KEY.as_bytes(), sealed)?;
        let text = SecretBytes::new(text);
        let stored: Stored = serde_json::from_slice(text.expose()).map_err(|_| damaged())?;
        if stored.format != FORMAT {
            return Err(damaged());
        }
        let name_key = SecretKey::from_slice(decode(&stored.name_key)?.expose())?;
        let mut terms = BTreeMap::new();
        for term in &stored.terms {
            let key = Key256::from_slice(decode(&term.key)?.expose())?;
            let prepared = Prepared {
                cipher: Aead::aes_256_gcm(&key)?,
                key,
                install_time: Timestamp::parse_rfc3339(&term.install_time)?,
                encryptions: term.encryptions,
            };
            terms.insert(term.term, prepared);
        }
        let active = terms.keys().next_back().copied().ok_or_else(damaged)?;
        let names = Names::new(NameKey::new(&name_key));
        Ok(Self {
            terms,
            active,
            names,
            name_key,
            rotation: stored.rotation,
        })
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring")
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

fn damaged() -> BarrierError {
    BarrierError::Damaged { key: KEYRING_KEY }
}

fn decode(text: &str) -> Result<SecretBytes> {
    STANDARD
        .decode(text)
        .map(SecretBytes::new)
        .map_err(|_| damaged())
}

impl Barrier {
    /// Reads the stored keyring.
    pub(crate) async fn read_keyring(&self, root: &Key256) -> Result<Open> {
        let key = Key::try_from(KEYRING_KEY)?;
        let entry = self.inner.get(&key).await?.ok_or_else(damaged)?;
        let keyring = Keyring::open(root, &entry.value).map_err(|error| match error {
            BarrierError::Crypto(_) => damaged(),
            other => other,
        })?;
        // Nothing is known of what was encrypted since the last reservation: count all of it.
        let used = AtomicU64::new(RESERVATION);
        Ok(Open {
            root: root.duplicate(),
            keyring,
            revision: entry.revision,
            used,
        })
    }

    /// Changes the stored keyring and then the one in memory; says whether anything was changed.
    pub(crate) async fn change_keyring(
        &self,
        change: impl Fn(&mut Keyring) -> Result<bool> + Send,
    ) -> Result<bool> {
        let key = Key::try_from(KEYRING_KEY)?;
        for _ in 0..CHANGE_TRIES {
            let held = self.keys()?;
            let mut fresh = self.read_keyring(&held.root).await?;
            let counted = fresh.keyring.counted();
            if !change(&mut fresh.keyring)? {
                return Ok(false);
            }
            let value = fresh.keyring.seal(&held.root, &*self.rng)?;
            let expect = Precondition::At(fresh.revision);
            match self
                .inner
                .commit(Batch::new().put_if(key.clone(), expect, value))
                .await
            {
                Ok(revision) => {
                    fresh.revision = revision;
                    // Without a new reservation, nothing is known of what is left of the old one.
                    if fresh.keyring.counted() != counted {
                        fresh.used = AtomicU64::new(0);
                    }
                    self.replace(&held, fresh);
                    return Ok(true);
                }
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StorageError::Conflict { key }.into())
    }

    /// Puts a newer keyring in the place of the one held, unless the barrier was sealed meanwhile.
    pub(crate) fn replace(&self, held: &Arc<Open>, fresh: Open) {
        let mut open = self.open.write();
        if let Some(current) = &*open
            && current.root == held.root
            && current.revision <= fresh.revision
        {
            *open = Some(Arc::new(fresh));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_crypto::TestRng;

    #[test]
    fn no_term_follows_the_last_number() {
        let (now, rng) = (Timestamp::UNIX_EPOCH, TestRng::new(1));
        let mut keyring = Keyring::generate(now, &rng).unwrap();
        keyring.active = u32::MAX - 1;
        keyring.add_term(now, &rng).unwrap();
        let refused = keyring.add_term(now, &rng);
        assert!(matches!(refused, Err(BarrierError::Damaged { .. })));
        assert_eq!(keyring.active().map(|(term, _)| term), Some(u32::MAX));
    }
}
