//! [`DataKeyMove`]: every stored data key, wrapped by another key service.
//!
//! Each is opened by the old service, wrapped by the new one, opened there and compared, and put in the
//! place of the old form only if that still stands there. What the new service opens already is left as
//! it is; so a move that was stopped is gone on with by starting it again.

use super::batch::Batch;
use super::concerns_one_data_key;
use super::{DataKeyStore, StoreError, StoredDataKey};
use super::{FAILURES_TOLD_MAX, Rewrapped};
use crate::{KeyId, KeyManagementService, KmsError};
use std::sync::Arc;

/// Why a move stopped. It goes on when it is started again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// The service that opens them failed.
    #[error("the key service that the data keys come from failed: {0}")]
    From(#[source] KmsError),
    /// The service that wraps them failed.
    #[error("the key service that the data keys go to failed: {0}")]
    To(#[source] KmsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far a move came; at its end, what it did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MoveProgress {
    /// Data keys that were wrapped by the new service.
    pub moved: u64,
    /// Data keys that were so already, or that somebody else replaced.
    pub untouched: u64,
    /// Data keys that do not open, and stay as they are.
    pub failed: u64,
    /// The ids of the first [`FAILURES_TOLD_MAX`] of those.
    pub failures: Vec<String>,
}

/// From one key service to another.
#[derive(Debug, Clone)]
pub struct DataKeyMove {
    from: Arc<dyn KeyManagementService>,
    to: Arc<dyn KeyManagementService>,
    key: KeyId,
    store: Arc<dyn DataKeyStore>,
    batch: Batch,
}

impl DataKeyMove {
    /// Moves what `from` opens to this key of `to`.
    pub fn new(
        from: Arc<dyn KeyManagementService>,
        to: (Arc<dyn KeyManagementService>, KeyId),
        store: Arc<dyn DataKeyStore>,
    ) -> Self {
        let (to, key) = to;
        Self {
            from,
            to,
            key,
            store,
            batch: Batch::default(),
        }
    }

    /// The same, with so many data keys in a batch: 1 to [`super::BATCH_MAX`]. Default: 100.
    #[must_use]
    pub fn with_batch(self, batch: usize) -> Self {
        Self {
            batch: Batch::of(batch),
            ..self
        }
    }

    /// Moves all of them; tells of its progress behind each batch.
    ///
    /// **Errors**: [`MoveError`].
    pub async fn run(
        &self,
        progress: &(dyn Fn(&MoveProgress) + Sync),
    ) -> Result<MoveProgress, MoveError> {
        // What the key is called by its service may be more than its name.
        let meant = self
            .to
            .key_info(&self.key)
            .await
            .map_err(MoveError::To)?
            .key;
        let mut done = MoveProgress::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.page(after.as_deref(), self.batch.len()).await?;
            let Some(last) = page.last() else {
                return Ok(done);
            };
            after = Some(last.id.clone());
            for stored in &page {
                let outcome = self.one(&meant, stored).await?;
                done.count(&outcome, &stored.id);
            }
            progress(&done);
        }
    }

    async fn one(&self, meant: &KeyId, stored: &StoredDataKey) -> Result<Rewrapped, MoveError> {
        let (old, context) = (&stored.wrapped, &stored.context);
        if self.is_there(meant, stored).await? {
            return Ok(Rewrapped::Untouched);
        }
        let opened = match self.from.decrypt(old, context).await {
            Ok(opened) => opened,
            Err(KmsError::KeyNotFound { .. }) => return Ok(Rewrapped::Failed),
            Err(error) if concerns_one_data_key(&error) => return Ok(Rewrapped::Failed),
            Err(error) => return Err(MoveError::From(error)),
        };
        let new = self.to.encrypt(&self.key, opened.expose(), context).await;
        let new = new.map_err(MoveError::To)?;
        // Whatever the service answered: what replaces the old form must open, and to the same.
        let again = self.to.decrypt_data_key(&new, context).await;
        if again.map_err(MoveError::To)? != opened {
            return Ok(Rewrapped::Failed);
        }
        Ok(match self.store.replace(&stored.id, old, &new).await? {
            true => Rewrapped::Done,
            false => Rewrapped::Untouched,
        })
    }

    /// Whether the new service opens it already, under the key that is meant. Two services of one kind
    /// may have keys of one name.
    async fn is_there(&self, meant: &KeyId, stored: &StoredDataKey) -> Result<bool, MoveError> {
        let (old, context) = (&stored.wrapped, &stored.context);
        let is_like = old.provider() == self.to.capabilities().provider
            && (*old.key() == self.key || old.key() == meant);
        if !is_like {
            return Ok(false);
        }
        match self.to.decrypt(old, context).await {
            Ok(_) => Ok(true),
            Err(error) if concerns_one_data_key(&error) => Ok(false),
            Err(error) => Err(MoveError::To(error)),
        }
    }
}

impl MoveProgress {
    fn count(&mut self, outcome: &Rewrapped, id: &str) {
        match outcome {
            Rewrapped::Done => self.moved += 1,
            Rewrapped::Untouched | Rewrapped::Left => self.untouched += 1,
            Rewrapped::Failed => {
                self.failed += 1;
                if self.failures.len() < FAILURES_TOLD_MAX {
                    self.failures.push(id.to_owned());
                }
            }
        }
    }
}
