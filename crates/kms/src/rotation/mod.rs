//! [`KeyRotationManager`]: a new version of a key, and every data key wrapped under it.
//!
//! The data keys stand in a store of the caller ([`DataKeyStore`]), beside what they encrypted. A
//! rotation goes through it in batches:
//!
//! 1. what is meant is written down: the key, where it is named by an alias, and the version that is
//!    there now;
//! 2. the key is rotated;
//! 3. each data key of an older version is wrapped anew, the new form opened and compared with the
//!    old one, and put in its place only if the old one still stands there, and the new form names the
//!    new version;
//! 4. behind each batch it is written down how far it came.
//!
//! A service may go on to encrypt under the old version for a while, Cloud KMS for up to three hours.
//! What it would wrap so is left as it is, the rotation stops at the end, and goes through all of it
//! again when it is asked for again. Before that it looks, by one plaintext, under which version the
//! service encrypts by now.
//!
//! Stopped anywhere, it goes on from what is written down: the key is not rotated a second time, and no
//! data key is lost, since the old form is replaced by one that was opened, or by none.

mod batch;
mod moving;
mod state;
mod store;

pub use self::batch::BATCH_MAX;
pub use self::moving::{DataKeyMove, MoveError, MoveProgress};
pub use self::state::{KeyRotationResult, RotationProgress, RotationState};
pub use self::store::{DataKeyStore, StoreError, StoredDataKey};

use self::batch::Batch;
use crate::{EncryptionContext, KeyId, KeyManagementService, KeyVersion, KmsError};
use secretum_crypto::ClockRef;
use std::sync::Arc;
use std::time::Duration;

/// The most ids of data keys that a report names.
pub const FAILURES_TOLD_MAX: usize = 100;

/// How often it is looked whether a rotation is due.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// What is encrypted to look under which version that is done.
const LOOK: [u8; 32] = [0; 32];

/// Why a rotation stopped. It goes on when it is asked for again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// The key service failed.
    #[error("the rotation of `{key}` stopped, and goes on when it is started again: {source}")]
    Kms {
        /// The key.
        key: KeyId,
        /// Why.
        #[source]
        source: KmsError,
    },
    /// The store failed.
    #[error("the rotation of `{key}` stopped, and goes on when it is started again: {source}")]
    Store {
        /// The key.
        key: KeyId,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A schedule without a time between two rotations.
    #[error("a schedule of rotations every 0 s would make versions without end; give it a time")]
    NoTimeBetween,
    /// The key service does not encrypt under the new version everywhere yet.
    #[error(
        "the rotation of `{key}` left {left} data keys, for the key service still encrypts under an older \
         version than `{version}`; start it again later, with some services in a few hours"
    )]
    NewVersionPending {
        /// The key.
        key: KeyId,
        /// Its new version.
        version: String,
        /// How many data keys are still under an older one.
        left: u64,
    },
}

impl RotationError {
    /// Tells the log of a rotation by schedule that stopped. That a service is waited for is no fault.
    pub fn tell(&self) {
        match self {
            Self::NewVersionPending { .. } => {
                tracing::info!(waiting = %self, "a scheduled rotation waits");
            }
            _ => tracing::error!(error = %self, "a scheduled rotation stopped"),
        }
    }
}

/// Rotates keys, on demand and by schedule, and wraps stored data keys anew.
#[derive(Debug, Clone)]
pub struct KeyRotationManager {
    kms: Arc<dyn KeyManagementService>,
    store: Arc<dyn DataKeyStore>,
    clock: ClockRef,
    batch: Batch,
}

/// What became of one data key.
enum Rewrapped {
    Done,
    /// It was under the newest version already, or somebody else replaced it.
    Untouched,
    /// It cannot be wrapped anew: it does not open.
    Failed,
    /// The service still encrypts under an older version.
    Left,
}

impl KeyRotationManager {
    /// Rotates keys of this service, whose data keys stand in this store.
    pub fn new(
        kms: Arc<dyn KeyManagementService>,
        store: Arc<dyn DataKeyStore>,
        clock: ClockRef,
    ) -> Self {
        Self {
            kms,
            store,
            clock,
            batch: Batch::default(),
        }
    }

    /// The same, with so many data keys in a batch: 1 to [`BATCH_MAX`]. Default: 100.
    #[must_use]
    pub fn with_batch(self, batch: usize) -> Self {
        Self {
            batch: Batch::of(batch),
            ..self
        }
    }

    /// Rotates a key and wraps its data keys anew, or goes on where such a rotation stopped; tells of
    /// its progress behind each batch. Where a [`Self::rewrap`] stopped, the rotation takes its place.
    ///
    /// **Errors**: [`RotationError`], where the service or the store fails.
    pub async fn rotate(
        &self,
        key: &KeyId,
        progress: &(dyn Fn(&RotationProgress) + Sync),
    ) -> Result<KeyRotationResult, RotationError> {
        let mut state = self.load(key).await?;
        let mut under_way = match state.under_way.take() {
            Some(under_way) if !under_way.rewraps_only => under_way,
            // The new version takes every data key along, those too that the re-wrapping did not come to.
            _ => {
                let before = self.kms.key_info(key).await.map_err(of_kms(key))?;
                RotationProgress::rotating(&before)
            }
        };
        if under_way.version.is_none() {
            state.under_way = Some(under_way.clone());
            self.save(key, &state).await?;
            let meant = under_way.meant(key);
            under_way.version = Some(self.new_version(&meant, &under_way.from).await?);
        } else {
            // Another server may have rotated it: asked, a service with keys in a file reads that anew.
            let meant = under_way.meant(key);
            self.kms.key_info(&meant).await.map_err(of_kms(key))?;
            self.look_first(key, &under_way).await?;
        }
        self.rewrap_all(key, state, under_way, progress).await
    }

    /// Wraps the data keys of older versions under the newest one, without a rotation: what another
    /// program, or the service itself, has rotated.
    ///
    /// **Errors**: [`RotationError`], where the service or the store fails.
    pub async fn rewrap(
        &self,
        key: &KeyId,
        progress: &(dyn Fn(&RotationProgress) + Sync),
    ) -> Result<KeyRotationResult, RotationError> {
        let mut state = self.load(key).await?;
        let stopped = state.under_way.take();
        if stopped.as_ref().is_some_and(|one| !one.rewraps_only) {
            return self.rotate(key, progress).await;
        }
        let now = self.kms.key_info(key).await.map_err(of_kms(key))?;
        // Where there is a newer version by now, those under the one that was meant are old, too.
        let stopped = stopped.filter(|one| one.is_about(&now));
        let under_way = stopped.unwrap_or_else(|| RotationProgress::rewrapping(&now));
        self.look_first(key, &under_way).await?;
        self.rewrap_all(key, state, under_way, progress).await
    }

    /// Rotates a key where its last rotation is so long ago, or stopped. A key that is seen for the
    /// first time begins to age now.
    ///
    /// **Errors**: [`RotationError`], where the service or the store fails.
    pub async fn rotate_if_due(
        &self,
        key: &KeyId,
        every: Duration,
        progress: &(dyn Fn(&RotationProgress) + Sync),
    ) -> Result<Option<KeyRotationResult>, RotationError> {
        let mut state = self.load(key).await?;
        let now = self.clock.now();
        let due = match (&state.under_way, state.rotated_at) {
            (Some(rotation), _) if !rotation.rewraps_only => true,
            (_, Some(rotated_at)) => now.since(rotated_at) >= every,
            (_, None) => {
                // One that is not there is told of now, not when it would be due.
                self.kms.key_info(key).await.map_err(of_kms(key))?;
                state.rotated_at = Some(now);
                self.save(key, &state).await?;
                false
            }
        };
        if !due {
            return Ok(None);
        }
        self.rotate(key, progress).await.map(Some)
    }

    /// Whether [`Self::rotate_if_due`] has something to do: to rotate, or to write down that the key begins
    /// to age.
    ///
    /// **Errors**: [`RotationError::Store`].
    pub async fn is_due(&self, key: &KeyId, every: Duration) -> Result<bool, RotationError> {
        let state = self.load(key).await?;
        let stopped = state.under_way.is_some_and(|one| !one.rewraps_only);
        let is_old = |rotated_at| self.clock.now().since(rotated_at) >= every;
        Ok(stopped || state.rotated_at.is_none_or(is_old))
    }

    /// Rotates these keys by schedule until `stop` is done. A rotation that fails is logged, and gone on
    /// with a minute later.
    ///
    /// **Errors**: [`RotationError::NoTimeBetween`], where `every` is zero; nothing is rotated.
    pub async fn run(
        &self,
        keys: &[KeyId],
        every: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<(), RotationError> {
        if every.is_zero() {
            return Err(RotationError::NoTimeBetween);
        }
        let mut stop = std::pin::pin!(stop);
        loop {
            let round = async {
                for key in keys {
                    if let Err(error) = self.rotate_if_due(key, every, &|_| ()).await {
                        error.tell();
                    }
                }
                tokio::time::sleep(CHECK_EVERY.min(every)).await;
            };
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = round => {}
            }
        }
    }

    /// Rotates, unless a run that stopped did so already.
    async fn new_version(&self, key: &KeyId, from: &str) -> Result<String, RotationError> {
        match self.kms.key_info(key).await {
            Ok(now) if now.version.as_str() != from => {
                return Ok(now.version.as_str().to_owned());
            }
            // The run that stopped may have made a version that is not in use yet: a service that has it
            // so finishes that when it is asked to rotate.
            Ok(_) | Err(KmsError::KeyDisabled { .. }) => {}
            Err(error) => return Err(of_kms(key)(error)),
        }
        let rotated = self.kms.rotate_key(key).await.map_err(of_kms(key))?;
        Ok(rotated.version.as_str().to_owned())
    }

    /// Where data keys were left the last time, since the service went on to encrypt under an older version:
    /// whether it still does, by one plaintext, before all of them are opened and wrapped again for nothing.
    ///
    /// **Errors**: [`RotationError::NewVersionPending`].
    async fn look_first(
        &self,
        key: &KeyId,
        under_way: &RotationProgress,
    ) -> Result<(), RotationError> {
        if under_way.waiting == 0 {
            return Ok(());
        }
        let (meant, none) = (under_way.meant(key), EncryptionContext::NONE);
        let made = self.kms.encrypt(&meant, &LOOK, &none).await;
        let made = made.map_err(of_kms(key))?;
        let from = KeyVersion::new(under_way.from.as_str()).unwrap_or_default();
        let standing = self.standing(&from, made.key_version(), under_way, &meant);
        match standing.await.map_err(of_kms(key))? {
            Some(Rewrapped::Left) => Err(under_way.pending(key, under_way.waiting)),
            _ => Ok(()),
        }
    }

    async fn rewrap_all(
        &self,
        key: &KeyId,
        mut state: RotationState,
        mut under_way: RotationProgress,
        progress: &(dyn Fn(&RotationProgress) + Sync),
    ) -> Result<KeyRotationResult, RotationError> {
        loop {
            state.under_way = Some(under_way.clone());
            self.save(key, &state).await?;
            let after = under_way.after.as_deref();
            let page = self.store.page(after, self.batch.len()).await;
            let page = page.map_err(of_store(key))?;
            let Some(last) = page.last() else {
                break;
            };
            let after = last.id.clone();
            for stored in &page {
                let outcome = self.rewrap_one(key, &under_way, stored).await?;
                under_way.count(&outcome, &stored.id);
            }
            under_way.after = Some(after);
            progress(&under_way);
        }
        if under_way.left > 0 {
            let error = under_way.pending(key, under_way.left);
            under_way.begin_again();
            state.under_way = Some(under_way);
            self.save(key, &state).await?;
            return Err(error);
        }
        state.under_way = None;
        if !under_way.rewraps_only {
            state.rotated_at = Some(self.clock.now());
        }
        self.save(key, &state).await?;
        Ok(under_way.into_result(key))
    }

    async fn rewrap_one(
        &self,
        key: &KeyId,
        under_way: &RotationProgress,
        stored: &StoredDataKey,
    ) -> Result<Rewrapped, RotationError> {
        let (old, context) = (&stored.wrapped, &stored.context);
        let newest = under_way.version.clone().and_then(KeyVersion::new);
        // What was wrapped by an alias names the key that it stood for.
        let meant = under_way.meant(key);
        let is_of_key = old.key() == key || *old.key() == meant;
        if !is_of_key || Some(old.key_version()) == newest.as_ref() {
            return Ok(Rewrapped::Untouched);
        }
        let anew = async {
            let new = self.kms.re_encrypt(old, context, &meant, context).await?;
            // Whatever the service answered: what replaces the old form must open, and to the same.
            let one = self.kms.decrypt(old, context).await?;
            let other = self.kms.decrypt(&new, context).await?;
            Ok((one == other).then_some(new))
        };
        let new = match anew.await {
            Ok(Some(new)) => new,
            Ok(None) => return Ok(Rewrapped::Failed),
            Err(error) if concerns_one_data_key(&error) => return Ok(Rewrapped::Failed),
            Err(error) => return Err(of_kms(key)(error)),
        };
        let standing = self.standing(old.key_version(), new.key_version(), under_way, &meant);
        if let Some(outcome) = standing.await.map_err(of_kms(key))? {
            return Ok(outcome);
        }
        let replaced = self.store.replace(&stored.id, old, &new).await;
        Ok(match replaced.map_err(of_store(key))? {
            true => Rewrapped::Done,
            false => Rewrapped::Untouched,
        })
    }

    /// Why a new form does not take the place of the old one: it has to be under the version that is
    /// meant, or one that the key was given since. A service that tells no versions cannot be asked.
    async fn standing(
        &self,
        old: &KeyVersion,
        new: &KeyVersion,
        under_way: &RotationProgress,
        key: &KeyId,
    ) -> crate::Result<Option<Rewrapped>> {
        if new.as_str().is_empty() || Some(new.as_str()) == under_way.version.as_deref() {
            return Ok(None);
        }
        // Who has not heard of the rotation takes this one for the newest.
        if !under_way.rewraps_only && new.as_str() == under_way.from {
            return Ok(Some(Rewrapped::Left));
        }
        let is_newest = self.kms.key_info(key).await?.version == *new;
        Ok(match (is_newest, new == old) {
            (false, _) => Some(Rewrapped::Left),
            (true, true) => Some(Rewrapped::Untouched),
            (true, false) => None,
        })
    }

    async fn load(&self, key: &KeyId) -> Result<RotationState, RotationError> {
        let state = self.store.load(key).await.map_err(of_store(key))?;
        Ok(state.unwrap_or_default())
    }

    async fn save(&self, key: &KeyId, state: &RotationState) -> Result<(), RotationError> {
        self.store.save(key, state).await.map_err(of_store(key))
    }
}

/// Whether an error says something of this data key, and nothing of the others.
fn concerns_one_data_key(error: &KmsError) -> bool {
    matches!(
        error,
        KmsError::NotAuthentic { .. }
            | KmsError::KeyVersionNotFound { .. }
            | KmsError::OtherProvider { .. }
            | KmsError::Format(_)
    )
}

fn of_kms(key: &KeyId) -> impl Fn(KmsError) -> RotationError + use<> {
    let key = key.clone();
    move |source| RotationError::Kms {
        key: key.clone(),
        source,
    }
}

fn of_store(key: &KeyId) -> impl Fn(StoreError) -> RotationError + use<> {
    let key = key.clone();
    move |source| RotationError::Store {
        key: key.clone(),
        source,
    }
}

#[cfg(feature = "local")]
#[cfg(test)]
pub(crate) mod tests;
