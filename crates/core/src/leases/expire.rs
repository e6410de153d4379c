//! Ending leases whose time has come, and trying again where that fails.
//!
//! What cannot be ended waits longer each time, and its mount's other leases wait with it, so that a
//! database that is down is asked seldom and holds up no other. After some failures a lease is given to
//! an operator: it is listed as irrevocable and not tried again by itself.

use super::place::DUE;
use super::revoke::left;
use super::{ENDED_AT_ONCE, Force, LeaseRecord, Leases, PAGE, Place, Stored};
use crate::active::Active;
use futures::StreamExt;
use parking_lot::Mutex;
use secretum_engine::Fault;
use secretum_storage::{Batch, Key, PageOf, Pages, Precondition, StorageError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long it rests between rounds, unless something becomes due before.
const REST: Duration = Duration::from_secs(1);

/// After so many failures a lease is not tried again by itself.
const FAILURES_MAX: u32 = 6;

/// How long to wait after the first failure, in seconds; twice as long after each more.
const WAIT_SECONDS: i64 = 10;

/// The longest wait, in seconds.
const WAIT_SECONDS_MAX: i64 = 600;

/// Mounts whose leases could not be ended lately.
#[derive(Debug, Default)]
pub(super) struct Failing(Mutex<HashMap<String, Failure>>);

#[derive(Debug, Clone, Copy)]
struct Failure {
    failures: u32,
    /// Not to be asked before, in seconds since 1970.
    until: i64,
}

impl Failing {
    /// Until when a mount is to be left alone, where it is.
    fn until(&self, mount: &str, now: i64) -> Option<i64> {
        let failing = self.0.lock();
        failing
            .get(mount)
            .map(|failure| failure.until)
            .filter(|until| *until > now)
    }

    fn failed(&self, mount: &str, now: i64) {
        let mut failing = self.0.lock();
        let failure = failing.entry(mount.to_owned()).or_insert(Failure {
            failures: 0,
            until: 0,
        });
        // Those that were under way together count once.
        if failure.until <= now {
            failure.failures += 1;
            failure.until = now.saturating_add(wait(failure.failures));
        }
    }

    fn ended(&self, mount: &str) {
        self.0.lock().remove(mount);
    }
}

/// How long to wait after so many failures, in seconds.
fn wait(failures: u32) -> i64 {
    let doubled = WAIT_SECONDS.checked_shl(failures.saturating_sub(1));
    doubled.map_or(WAIT_SECONDS_MAX, |wait| wait.clamp(1, WAIT_SECONDS_MAX))
}

/// Ends leases until the vault is sealed.
pub(crate) async fn run(active: Arc<Active>) {
    let leases = &active.leases;
    loop {
        tokio::select! {
            biased;
            () = active.ending.cancelled() => return,
            () = leases.due.notified() => {}
            () = tokio::time::sleep(REST) => {}
        }
        // Also those that could not be counted the last time.
        active.quotas.count_leases(&active);
        let round = tokio::select! {
            biased;
            // What an engine was about to end is due again after the next unseal.
            () = active.ending.cancelled() => return,
            round = leases.end_due(&active) => round,
        };
        if let Err(error) = round {
            tracing::warn!(%error, "leases whose time is over could not be ended; it is tried again");
        }
    }
}

impl Leases {
    /// Ends leases whose time has come.
    pub(crate) async fn end_due(&self, active: &Active) -> Result<(), Fault> {
        let now = self.clock.now().unix_seconds();
        let prefix = Key::try_from(DUE)?;
        let mut pages = Pages::new(&*self.storage, prefix.clone(), PageOf::Entries, PAGE);
        while let Some(rows) = pages.next().await? {
            let count = rows.len();
            let due: Vec<_> = (rows.into_iter())
                .take_while(|row| is_due(&row.key, &prefix, now))
                .filter_map(|row| Some((row.key, row.entry?.value)))
                .collect();
            let all_due = due.len() == count;
            futures::stream::iter(due)
                .for_each_concurrent(ENDED_AT_ONCE, |(entry, value)| async move {
                    if let Err(error) = self.end_one(active, entry, &value).await {
                        tracing::warn!(%error, "a lease whose time is over stays for now");
                    }
                })
                .await;
            if !all_due {
                break;
            }
        }
        Ok(())
    }

    async fn end_one(&self, active: &Active, entry: Key, value: &[u8]) -> Result<(), Fault> {
        let place = Place::read(value)?;
        let now = self.clock.now().unix_seconds();
        let found = self.read(&place).await?;
        let is_due = match &found {
            Some((Stored::Secret(record), _)) => record.due.is_some_and(|due| due <= now),
            _ => false,
        };
        if !is_due {
            // It went or was renewed a moment ago: this entry is not its time any more.
            let current = found.and_then(|(stored, _)| match stored {
                Stored::Secret(record) => record.due,
                Stored::Token => None,
            });
            if current.is_none_or(|due| self.index(&place).due(due).is_ok_and(|key| key != entry)) {
                active.commit(Batch::new().delete(entry)).await?;
            }
            return Ok(());
        }
        if let Some(until) = self.failing.until(&place.mount, now) {
            return self
                .put_off(active, &place, |record| record.due = Some(until))
                .await;
        }
        match self.revoke(active, &place, Force::No).await {
            Ok(_) => {
                self.failing.ended(&place.mount);
                Ok(())
            }
            Err(Fault::Storage(error)) => Err(error.into()),
            Err(fault) => {
                // It may have taken long to fail.
                let now = self.clock.now().unix_seconds();
                self.failing.failed(&place.mount, now);
                self.put_off(active, &place, |record| failed(record, &fault, now))
                    .await
            }
        }
    }

    /// Changes when something is to be done with a lease.
    async fn put_off(
        &self,
        active: &Active,
        place: &Place,
        change: impl FnOnce(&mut LeaseRecord) + Send,
    ) -> Result<(), Fault> {
        let Some((Stored::Secret(mut record), revision)) = self.read(place).await? else {
            return Ok(());
        };
        let index = self.index(place);
        let batch = left(&index, &record)?;
        change(&mut record);
        let entry = match record.due {
            Some(due) => index.due(due)?,
            None => {
                tracing::error!(
                    failures = record.failures,
                    "a lease could not be ended and is not tried again: list it with \
                     `sys/leases?type=irrevocable`"
                );
                index.irrevocable()?
            }
        };
        let batch = batch.put(entry, place.to_bytes()?).put_if(
            place.key()?,
            Precondition::At(revision),
            Stored::Secret(record).to_bytes()?,
        );
        match active.commit(batch).await {
            // Others did something about it meanwhile.
            Ok(_) | Err(StorageError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Notes that a lease could not be ended.
fn failed(record: &mut LeaseRecord, fault: &Fault, now: i64) {
    record.failures = record.failures.saturating_add(1);
    record.failure = fault.to_string();
    record.due =
        (record.failures < FAILURES_MAX).then(|| now.saturating_add(wait(record.failures)));
}

fn is_due(entry: &Key, prefix: &Key, now: i64) -> bool {
    let name = entry.strip_prefix(prefix).unwrap_or_default();
    let time = name.split(|byte| *byte == b'/').next().unwrap_or_default();
    let time = std::str::from_utf8(time).ok();
    let time = time.and_then(|time| i64::from_str_radix(time, 16).ok());
    time.is_none_or(|time| time <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<i64> = (1..=8).map(wait).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(wait(0), 10);
        assert_eq!(wait(u32::MAX), WAIT_SECONDS_MAX);
    }

    #[test]
    fn failures_that_were_under_way_together_count_once() {
        let failing = Failing::default();
        for _ in 0..64 {
            failing.failed("m", 100);
        }
        assert_eq!(failing.until("m", 100), Some(110));
        assert_eq!(failing.until("m", 110), None);
        failing.failed("m", 110);
        assert_eq!(failing.until("m", 110), Some(130));
        assert_eq!(failing.until("other", 110), None);
        failing.ended("m");
        assert_eq!(failing.until("m", 110), None);
    }
}
