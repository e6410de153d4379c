//! [`Tidying`]: whether a round of tidying goes on, and how far it is.

use crate::active::Active;
use secretum_engine::{Fault, Reply};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tracing::Instrument;

/// After so many records the log tells how far it is.
const TOLD_EACH: u64 = 100_000;

/// Tidying of one kind of records; one round at a time. What happens is told in the log.
#[derive(Debug)]
pub(crate) struct Tidying {
    /// The records, as people call them.
    kind: &'static str,
    goes_on: AtomicBool,
    looked_at: AtomicU64,
    mended: AtomicU64,
}

impl Tidying {
    pub(crate) fn new(kind: &'static str) -> Self {
        Self {
            kind,
            goes_on: AtomicBool::new(false),
            looked_at: AtomicU64::new(0),
            mended: AtomicU64::new(0),
        }
    }

    /// Begins a round, unless one goes on; whether it was begun. Who begins one ends it.
    pub(crate) fn begin(&self) -> bool {
        if self.goes_on.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.looked_at.store(0, Ordering::Relaxed);
        self.mended.store(0, Ordering::Relaxed);
        tracing::info!("tidying of {} begins", self.kind);
        true
    }

    /// Answers a request that asks for a round: begins it behind the answer, or tells how far the one is
    /// that goes on.
    pub(crate) fn begin_behind(
        &self,
        active: &Active,
        round: impl Future<Output = ()> + Send + 'static,
    ) -> Reply<()> {
        if !self.begin() {
            let (looked_at, mended) = self.progress();
            return Reply::empty().accepted().warn(format!(
                "Tidy operation already in progress. So far it looked at {looked_at} records and mended \
                 {mended}."
            ));
        }
        active.spawn(round.in_current_span());
        Reply::empty().accepted().warn(
            "Tidy operation successfully started. Any information from the operation will be \
             printed to the server's log.",
        )
    }

    /// A record was looked at, and mended or not.
    pub(crate) fn count(&self, mended: bool) {
        self.mended.fetch_add(u64::from(mended), Ordering::Relaxed);
        let looked_at = self.looked_at.fetch_add(1, Ordering::Relaxed) + 1;
        if looked_at.is_multiple_of(TOLD_EACH) {
            let (_, mended) = self.progress();
            tracing::info!(looked_at, mended, "tidying of {} goes on", self.kind);
        }
    }

    pub(crate) fn end(&self, outcome: Result<(), Fault>) {
        let (looked_at, mended) = self.progress();
        match outcome {
            Ok(()) => tracing::info!(looked_at, mended, "tidying of {} is done", self.kind),
            Err(error) => {
                tracing::warn!(%error, looked_at, mended, "tidying of {} was given up", self.kind);
            }
        }
        self.goes_on.store(false, Ordering::Release);
    }

    /// How many records were looked at, and how many of them mended.
    fn progress(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.looked_at), read(&self.mended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_counted_from_its_beginning() {
        let tidying = Tidying::new("things");
        for mended in [3, 1] {
            assert!(tidying.begin());
            assert!(!tidying.begin());
            for number in 0..5 {
                tidying.count(number < mended);
            }
            assert_eq!(tidying.progress(), (5, mended));
            tidying.end(Ok(()));
        }
    }
}
