//! Ceremonies: what holders of shares do together while the vault is open. [`rekey`] gives the seal
//! new shares, [`root`] makes a root token.
//!
//! There is one of each kind at a time, begun with a nonce that every share must name. They live in
//! memory alone: sealing ends them, as does resting for [`IDLE_MAX`]. Steps of one kind come one by
//! one, each in a task that no caller can cut off.
//!
//! What a ceremony brings about, only its caller can know: new shares, a token. So it is taken back
//! where its answer does not reach the record of it ([`confirm`]).

mod confirm;
pub(crate) mod rekey;
pub(crate) mod root;

pub(crate) use confirm::Confirmation;

use crate::active::Active;
use confirm::Unconfirmed;
use rekey::Rekey;
use root::RootGeneration;
use secretum_barrier::BarrierError;
use secretum_crypto::{SecretBytes, Timestamp, random_uuid};
use secretum_engine::Fault;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tracing::Instrument;

/// How long a ceremony waits for its next share.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(6 * 3600);

/// The fewest bytes that can be a share.
const SHARE_BYTES_MIN: usize = 16;

/// The most bytes of a share.
const SHARE_BYTES_MAX: usize = 33;

/// The ceremonies of an unsealed vault.
#[derive(Debug, Default)]
pub(crate) struct Ceremonies {
    rekey: Place<Rekey>,
    root: Place<RootGeneration>,
    unconfirmed: Unconfirmed,
}

impl Ceremonies {
    /// Forgets what has rested for too long; one that somebody works on does not rest.
    pub(crate) fn expire(&self, now: Timestamp) {
        if let Ok(mut place) = self.rekey.0.try_lock() {
            drop_idle(&mut place, now);
        }
        if let Ok(mut place) = self.root.0.try_lock() {
            drop_idle(&mut place, now);
        }
    }
}

/// Where the one ceremony of a kind stands.
#[derive(Debug)]
struct Place<T>(Mutex<Option<Begun<T>>>);

impl<T> Default for Place<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Place<T> {
    /// The ceremony, for one step; none that has rested for too long.
    async fn enter(&self, active: &Active) -> MutexGuard<'_, Option<Begun<T>>> {
        let mut place = self.0.lock().await;
        drop_idle(&mut place, active.core.config.clock.now());
        place
    }
}

/// A ceremony that was begun.
#[derive(Debug)]
struct Begun<T> {
    nonce: String,
    /// When it was begun or last got a share.
    touched: Timestamp,
    /// The shares of the seal in force that were given so far.
    shares: Vec<SecretBytes>,
    what: T,
}

impl<T> Begun<T> {
    fn new(active: &Active, what: T) -> Result<Self, Fault> {
        Ok(Self {
            nonce: nonce(active)?,
            touched: active.core.config.clock.now(),
            shares: Vec::new(),
            what,
        })
    }

    fn check_nonce(&self, given: &str, operation: &str) -> Result<(), Fault> {
        check_nonce(given, &self.nonce, operation)
    }

    /// Takes a share, and gives all of them, which are then forgotten, once there are enough.
    ///
    /// **Errors**: [`Fault::Invalid`] for a share that was given before.
    fn collect(
        &mut self,
        active: &Active,
        share: SecretBytes,
        threshold: usize,
    ) -> Result<Option<Vec<SecretBytes>>, Fault> {
        self.touched = active.core.config.clock.now();
        collect(&mut self.shares, share, threshold, "generation")
    }
}

fn check_nonce(given: &str, own: &str, operation: &str) -> Result<(), Fault> {
    if given == own {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "incorrect nonce supplied; nonce for this {operation} operation is \"{own}\""
    )))
}

/// Adds a share; gives all of them, and forgets them, once there are enough.
fn collect(
    shares: &mut Vec<SecretBytes>,
    share: SecretBytes,
    threshold: usize,
    operation: &str,
) -> Result<Option<Vec<SecretBytes>>, Fault> {
    if shares.contains(&share) {
        return Err(Fault::invalid(format!(
            "given key has already been provided during this {operation} operation"
        )));
    }
    shares.push(share);
    if shares.len() < threshold {
        return Ok(None);
    }
    Ok(Some(std::mem::take(shares)))
}

fn drop_idle<T>(place: &mut Option<Begun<T>>, now: Timestamp) {
    if place
        .take_if(|begun| now.since(begun.touched) >= IDLE_MAX)
        .is_some()
    {
        tracing::warn!("a ceremony is forgotten: nobody gave a share for too long");
    }
}

fn nonce(active: &Active) -> Result<String, Fault> {
    random_uuid(&*active.core.config.rng).map_err(Fault::internal)
}

/// Refuses what cannot be a share of any vault.
fn check_length(share: &SecretBytes) -> Result<(), Fault> {
    if share.len() < SHARE_BYTES_MIN {
        return Err(Fault::invalid(format!(
            "key is shorter than minimum {SHARE_BYTES_MIN} bytes"
        )));
    }
    if share.len() > SHARE_BYTES_MAX {
        return Err(Fault::invalid(format!(
            "key is longer than maximum {SHARE_BYTES_MAX} bytes"
        )));
    }
    Ok(())
}

/// Whether a text in hex is to be read as such: one in base64 can look like hex, too.
pub(crate) fn is_share_length(bytes: usize) -> bool {
    (SHARE_BYTES_MIN..=SHARE_BYTES_MAX).contains(&bytes)
}

/// How many shares open the vault.
pub(crate) async fn required(active: &Active) -> Result<usize, Fault> {
    let config = active.core.barrier.seal_config().await;
    let config = config.map_err(crate::error::barrier)?;
    let config = config.ok_or_else(|| crate::error::barrier(BarrierError::NotInitialized))?;
    Ok(usize::from(config.threshold))
}

/// Runs a step to its end, also where its caller is cut off; sealing waits for it.
async fn whole<T, F>(active: &Arc<Active>, step: impl FnOnce(Arc<Active>) -> F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Fault>> + Send + 'static,
{
    let step = active
        .tasks
        .spawn(step(Arc::clone(active)).in_current_span());
    step.await.map_err(Fault::internal)?
}
