//! The janitor: what goes on behind the requests of an unsealed vault.
//!
//! Expired tokens are revoked, engines called when their timers are due, half-done revocations and
//! removals of mounts are finished, terms that are old enough rotate. Everything it does is written
//! down before it begins, so that a crash leaves it for the next start.

mod removals;

use crate::CoreError;
use crate::active::Active;
use crate::timers::Rounds;
use removals::Removals;
use std::sync::Arc;
use std::time::Duration;

/// How long it rests between rounds.
const REST: Duration = Duration::from_secs(1);

/// In how many rounds it looks once whether the keyring is due.
const ROTATION_ROUNDS: u64 = 60;

/// Works until the vault is sealed.
pub(crate) async fn run(active: Arc<Active>) {
    let mut rounds = 0_u64;
    let mut removals = Removals::default();
    let mut timers = Rounds::new(Arc::clone(&active.core.config.clock));
    let mut is_busy = false;
    loop {
        let rest = if is_busy { Duration::ZERO } else { REST };
        tokio::select! {
            biased;
            () = active.ending.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
        let now = active.core.config.clock.now();
        active.ceremonies.expire(now);
        // Each job goes on whatever the others meet.
        tried(active.tokens.expire(&active).await);
        tried(active.tokens.finish_revocations(&active).await);
        tried(active.activity.round(&active, rounds).await);
        // What is much takes turns with the rest: one step in a round, and the next round at once.
        let due = timers.round(&active).await;
        let more_due = tried(due).unwrap_or_default();
        is_busy = tried(removals.step(&active).await).unwrap_or_default() || more_due;
        rounds += 1;
        if rounds.is_multiple_of(ROTATION_ROUNDS)
            && let Err(error) = active.core.barrier.rotate_if_due().await
        {
            tracing::warn!(%error, "the keyring could not be rotated; it is tried again");
        }
    }
}

fn tried<T>(job: Result<T, CoreError>) -> Option<T> {
    job.inspect_err(|error| {
        tracing::warn!(%error, "the janitor could not finish a job; it tries again");
    })
    .ok()
}
