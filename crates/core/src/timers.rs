//! Timers: what engines want to be called for at a time.
//!
//! `sys/timer/<seconds, 16 hex digits>/<id>` holds the mount and what its engine gave. It is
//! committed with the request that set it, and goes with what the engine writes when it is called: a
//! crash in between calls the engine again. Finding what is due costs one look at the first keys,
//! however many there are.

use crate::active::Active;
use crate::mounts::{Mount, record_key};
use crate::{Core, CoreError};
use secretum_crypto::{ClockRef, RngRef, Timestamp, random_uuid};
use secretum_engine::{Fault, Timer, to_json, unreadable};
use secretum_storage::{Batch, Key, PageOf, Precondition, StorageError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

const PREFIX: &str = "sys/timer/";

/// How many timers one look at the storage brings.
const PAGE: usize = 256;

/// How many of these looks one round takes; the next follows at once where there is more.
const ROUND_PAGES: usize = 4;

/// How often a call is made anew because a request won the race for a key; then it waits a round.
const TRIES: usize = 4;

/// Sets timers, and calls engines when their time has come.
#[derive(Debug)]
pub(crate) struct Timers {
    clock: ClockRef,
    rng: RngRef,
}

/// Where a round goes on: behind what could not be done in the one before.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    after: Option<Key>,
}

/// A timer as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    mount: String,
    data: Box<RawValue>,
}

impl Timers {
    pub(crate) fn new(core: &Core) -> Self {
        Self {
            clock: core.config.clock.clone(),
            rng: core.config.rng.clone(),
        }
    }

    /// The batch that sets the timers of a mount's engine.
    ///
    /// **Errors**: [`Fault::Internal`], [`Fault::Storage`].
    pub(crate) fn set(&self, mount: &Mount, timers: Vec<Timer>) -> Result<Batch, Fault> {
        let mut batch = Batch::new();
        for timer in timers {
            let stored = Stored {
                mount: mount.record.uuid.clone(),
                data: timer.data,
            };
            let id = random_uuid(&*self.rng).map_err(Fault::internal)?;
            batch = batch.put(key(timer.at, &id)?, to_json(&stored)?);
        }
        Ok(batch)
    }

    /// Calls the engines whose timers are due; whether there is more that can be done at once.
    ///
    /// **Errors**: [`CoreError`] where the storage cannot be read.
    pub(crate) async fn round(
        &self,
        active: &Active,
        rounds: &mut Rounds,
    ) -> Result<bool, CoreError> {
        let prefix = Key::try_from(PREFIX)?;
        let end = ends(self.clock.now())?;
        for _ in 0..ROUND_PAGES {
            let after = rounds.after.as_ref();
            let page = (active.storage)
                .page(&prefix, after, PAGE, PageOf::Keys)
                .await?;
            let rows = page.rows.len();
            let due: Vec<Key> = (page.rows.into_iter())
                .map(|row| row.key)
                .take_while(|key| *key < end)
                .collect();
            let all_due = due.len() == rows;
            for key in due {
                // Before it is tried: one that fails keeps none behind it from its turn.
                rounds.after = Some(key.clone());
                if active.ending.is_cancelled() {
                    return Ok(false);
                }
                if let Err(error) = call(active, key).await {
                    tracing::warn!(%error, "a timer of an engine could not be served; it is tried again");
                }
            }
            if !all_due || !page.more {
                rounds.after = None;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Calls the engine of one timer, and removes it with what that writes.
async fn call(active: &Active, key: Key) -> Result<(), Fault> {
    let Some(entry) = active.storage.get(&key).await? else {
        return Ok(());
    };
    let stored: Stored =
        serde_json::from_slice(&entry.value).map_err(|error| unreadable("timer", &error))?;
    for _ in 0..TRIES {
        let Some(mount) = active.mounts.of(&stored.mount) else {
            // Its data go with it. A mount that is there and could not be opened keeps its timers.
            let gone = record_key(&stored.mount)?;
            let writes = Batch::new().delete(key);
            active
                .commit(writes.require(gone, Precondition::Absent))
                .await?;
            return Ok(());
        };
        let writes = mount.engine.due(&stored.data).await?;
        mount.check_writes(&writes)?;
        let at = Precondition::At(entry.revision);
        let writes = mount.fence(writes)?.delete_if(key.clone(), at);
        match active.commit(writes).await {
            Err(StorageError::Conflict { .. }) => active.read_point().await?,
            committed => return Ok(committed.map(drop)?),
        }
    }
    Ok(())
}

fn key(at: Timestamp, id: &str) -> Result<Key, Fault> {
    // A part of a second counts whole: a call never comes before its time.
    let nanos = Duration::from_nanos(999_999_999);
    let seconds = at.plus(nanos).unix_seconds().max(0);
    Ok(Key::try_from(format!("{PREFIX}{seconds:016x}/{id}"))?)
}

/// The key before which every timer is due.
fn ends(now: Timestamp) -> Result<Key, CoreError> {
    let next = now.unix_seconds().max(0).saturating_add(1);
    Ok(Key::try_from(format!("{PREFIX}{next:016x}/"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_due_at_its_time_and_not_before() {
        for (at_nanos, now_nanos, is_due) in [
            (5_000_000_000, 4_999_999_999, false),
            (5_000_000_000, 5_000_000_000, true),
            (5_000_000_001, 5_999_999_999, false),
            (5_000_000_001, 6_000_000_000, true),
            (-1, 0, true),
            (i64::MAX, 5_000_000_000, false),
        ] {
            let key = key(Timestamp::from_unix_nanos(at_nanos), "id").unwrap();
            let end = ends(Timestamp::from_unix_nanos(now_nanos)).unwrap();
            assert_eq!(key < end, is_due, "{at_nanos} {now_nanos}");
        }
    }
}
