//! Rotation by schedule: `[kms.rotation]`.
//!
//! Every server looks each minute whether a key is due, by what is written down in the storage. One
//! that finds so takes a lease there, and the others leave it alone until it is given up or old. Should
//! two rotate nevertheless, since one of them slept for longer than its lease, no data key is lost: each
//! is replaced only where what was read still stands there, and of two that write down how far they
//! came, one is told and stops.

pub(crate) mod lease;

use crate::data_keys::kept::KeptKeys;
use crate::data_keys::storage::{Storage, StorageError};
use crate::recorder::Recorder;
use lease::Lease;
use secretum_crypto::{ClockRef, SystemClock};
use secretum_kms::rotation::{RotationError, RotationProgress};
use secretum_kms::{KeyId, KeyManagementService, KeyRotationManager, KmsAuditSink};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Who rotates by schedule, in audit records.
pub(crate) const CALLER: &str = "scheduled rotation";

/// How often it is looked whether a rotation is due.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// How long the storage is waited for when a lease is given up.
const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// What is rotated, and how often.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) kms: Arc<dyn KeyManagementService>,
    pub(crate) sinks: Vec<Arc<dyn KmsAuditSink>>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) keys: Vec<KeyId>,
    pub(crate) every: Duration,
}

impl Schedule {
    /// Rotates until it is told to stop. What stopped half way is gone on with, by whichever server.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let clock: ClockRef = Arc::new(SystemClock);
        let mut lease = Lease::new(Arc::clone(&self.storage), Arc::clone(&clock));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.round(&clock, &mut lease) => {}
            }
            give_up(&mut lease).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(CHECK_EVERY.min(self.every)) => {}
            }
        }
        give_up(&mut lease).await;
    }

    async fn round(&self, clock: &ClockRef, lease: &mut Lease) {
        let recorder = Recorder::by(Arc::clone(clock), self.sinks.clone());
        let kept = KeptKeys::new(Arc::clone(&self.storage), recorder, CALLER);
        let kms = Arc::clone(&self.kms);
        let manager = KeyRotationManager::new(kms, Arc::new(kept), Arc::clone(clock));
        for key in &self.keys {
            match manager.is_due(key, self.every).await {
                Ok(false) => continue,
                Ok(true) => {}
                Err(error) => {
                    tracing::error!(%error, "whether a rotation is due is not known");
                    continue;
                }
            }
            match lease.take().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return tracing::error!(%error, "a scheduled rotation did not begin"),
            }
            tokio::select! {
                lost = lease.keep() => return tell_lost(&lost),
                outcome = self.rotate(&manager, key) => {
                    if let Err(error) = outcome {
                        error.tell();
                    }
                }
            }
        }
    }

    async fn rotate(&self, manager: &KeyRotationManager, key: &KeyId) -> Result<(), RotationError> {
        let progress = |progress: &RotationProgress| {
            let (rewrapped, failed) = (progress.rewrapped, progress.failed);
            tracing::info!(%key, rewrapped, failed, "data keys are wrapped anew");
        };
        // Whether it is due is looked at once more: another may have done it before the lease was taken.
        let done = manager.rotate_if_due(key, self.every, &progress).await?;
        if let Some(done) = done {
            let (from, version) = (&done.from, &done.version);
            let (rewrapped, failed) = (done.rewrapped, done.failed);
            tracing::info!(%key, from, version, rewrapped, failed, "rotated by schedule");
            for name in &done.failures {
                tracing::error!(%key, name, "a data key does not open, and stays as it is");
            }
        }
        Ok(())
    }
}

/// Waits for no storage that is away: a lease ends by itself.
pub(crate) async fn give_up(lease: &mut Lease) {
    let _ = tokio::time::timeout(GIVE_UP_TIMEOUT, lease.give_up()).await;
}

fn tell_lost(error: &StorageError) {
    tracing::error!(%error, "the lease of a rotation was lost; it goes on later, or elsewhere");
}
