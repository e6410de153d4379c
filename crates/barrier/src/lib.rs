//! Encryption at rest: what stands below this crate is ciphertext, what stands above it is not.
//!
//! Keys, outermost first: the seal (Shamir shares) opens the root key; the root key opens the
//! keyring; the keyring's terms encrypt records, and its name key encrypts the names of what is
//! inside a mount. [`Barrier`] is itself a [`Storage`]: it maps keys and values on the way.
//!
//! Owns: [`Barrier`], its initialization, its unsealing, the form of a record. Must not know: what is
//! stored.
//!
//! What an onlooker of the storage learns: how many records there are, how long they are, when they
//! change, and which mount they belong to. What one who writes the storage can do: set a record back
//! to an older version of itself, or remove it. Moving a record to another key, another vault or
//! another term is noticed.

mod error;
mod folders;
mod keyring;
mod names;
mod record;
mod rekey;
mod seal;
mod view;

pub use error::BarrierError;
pub use keyring::{KeyStatus, ROTATE_AFTER_ENCRYPTIONS, RotationConfig};
pub use rekey::{NewSeal, Rekeyed};
pub use seal::{Initialized, SealConfig, SealStatus};

use keyring::Keyring;
use parking_lot::{Mutex, RwLock};
use seal::Progress;
use secretum_crypto::{ClockRef, Key256, RngRef, SecretBytes, hkdf_sha256};
use secretum_storage::{Revision, Storage};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Result of a barrier call.
pub type Result<T, E = BarrierError> = std::result::Result<T, E>;

/// The encrypted view of a storage, sealed until its root key is known.
#[derive(Debug)]
pub struct Barrier {
    inner: Arc<dyn Storage>,
    clock: ClockRef,
    rng: RngRef,
    open: RwLock<Option<Arc<Open>>>,
    progress: Mutex<Progress>,
}

/// What an unsealed barrier holds in memory. Replaced whole when the keyring changes.
#[derive(Debug)]
struct Open {
    root: Key256,
    keyring: Keyring,
    /// The revision of the stored keyring.
    revision: Revision,
    /// Encryptions under the active term that the stored keyring does not count yet.
    used: AtomicU64,
}

impl Barrier {
    /// A sealed barrier over a storage.
    pub fn new(inner: Arc<dyn Storage>, clock: ClockRef, rng: RngRef) -> Self {
        Self {
            inner,
            clock,
            rng,
            open: RwLock::default(),
            progress: Mutex::default(),
        }
    }

    /// Whether the keys are gone from memory.
    pub fn is_sealed(&self) -> bool {
        self.open.read().is_none()
    }

    /// Forgets every key. The caller has ended all requests before.
    pub fn seal(&self) {
        *self.open.write() = None;
        *self.progress.lock() = Progress::default();
    }

    /// A key for one purpose, derived from what init made and no rotation changes.
    ///
    /// **Errors**: [`BarrierError::Sealed`].
    pub fn derived_key(&self, purpose: &str) -> Result<SecretBytes> {
        let open = self.keys()?;
        Ok(hkdf_sha256(
            open.keyring.name_key(),
            b"secretum",
            purpose.as_bytes(),
            32,
        )?)
    }

    /// The active term.
    ///
    /// **Errors**: [`BarrierError::Sealed`].
    pub fn key_status(&self) -> Result<KeyStatus> {
        let open = self.keys()?;
        let mut status = open.keyring.status();
        // The stored count holds a reservation; what is left of it was not encrypted.
        status.encryptions = status
            .encryptions
            .saturating_sub(keyring::RESERVATION)
            .saturating_add(open.used.load(Ordering::Relaxed).min(keyring::RESERVATION));
        Ok(status)
    }

    /// Adds a term and makes it the active one.
    ///
    /// **Errors**: [`BarrierError::Sealed`], [`BarrierError::Storage`].
    pub async fn rotate(&self) -> Result<KeyStatus> {
        self.change_keyring(|keyring| {
            keyring.add_term(self.clock.now(), &*self.rng)?;
            Ok(true)
        })
        .await?;
        self.key_status()
    }

    /// Rotates where the active term is as old as the configuration allows. Called now and then.
    ///
    /// **Errors**: [`BarrierError::Sealed`], [`BarrierError::Storage`].
    pub async fn rotate_if_due(&self) -> Result<bool> {
        let now = self.clock.now();
        if !self.keys()?.keyring.is_due(now) {
            return Ok(false);
        }
        self.change_keyring(|keyring| {
            // Another node may have rotated meanwhile.
            let due = keyring.is_due(now);
            if due {
                keyring.add_term(now, &*self.rng)?;
            }
            Ok(due)
        })
        .await
    }

    /// When terms rotate by themselves.
    ///
    /// **Errors**: [`BarrierError::Sealed`].
    pub fn rotation_config(&self) -> Result<RotationConfig> {
        Ok(self.keys()?.keyring.rotation())
    }

    /// Changes when terms rotate by themselves.
    ///
    /// **Errors**: [`BarrierError::Sealed`], [`BarrierError::Storage`],
    /// [`BarrierError::RotationRange`].
    pub async fn set_rotation_config(&self, config: RotationConfig) -> Result<()> {
        config.check()?;
        self.change_keyring(|keyring| {
            keyring.set_rotation(config);
            Ok(true)
        })
        .await?;
        Ok(())
    }

    /// Drops what is held of the keyring and reads it again; for a node that did not write it.
    ///
    /// **Errors**: [`BarrierError::Sealed`], [`BarrierError::Storage`],
    /// [`BarrierError::Damaged`].
    pub async fn reload_keyring(&self) -> Result<()> {
        let held = self.keys()?;
        let fresh = self.read_keyring(&held.root).await?;
        self.replace(&held, fresh);
        Ok(())
    }

    fn keys(&self) -> Result<Arc<Open>> {
        self.open.read().clone().ok_or(BarrierError::Sealed)
    }

    /// Counts encryptions that are about to happen; reserves more of them where the stored count
    /// would fall behind, and rotates before a term has had too many.
    async fn count_encryptions(&self, mut open: Arc<Open>, number: u64) -> Result<Arc<Open>> {
        for look in 0..RESERVATION_LOOKS {
            let before = open.used.fetch_add(number, Ordering::Relaxed);
            if before.saturating_add(number) <= keyring::RESERVATION {
                return Ok(open);
            }
            let known = open.keyring.counted();
            // All who come meanwhile find the same: one reserves for them. Who reserved may have been
            // cut off before it told, so they do not wait for ever.
            let is_last = look + 1 == RESERVATION_LOOKS;
            let reserved = self
                .change_keyring(|keyring| {
                    if keyring.counted() != known && !is_last {
                        return Ok(false);
                    }
                    if keyring.reserve() {
                        keyring.add_term(self.clock.now(), &*self.rng)?;
                    }
                    Ok(true)
                })
                .await?;
            if !reserved {
                tokio::task::yield_now().await;
            }
            open = self.keys()?;
        }
        open.used.fetch_add(number, Ordering::Relaxed);
        Ok(open)
    }
}

/// How often a writer looks whether another's reservation has come, before it makes one of its own.
const RESERVATION_LOOKS: usize = 32;
