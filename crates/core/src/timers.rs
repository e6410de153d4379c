//! Timers: what engines want to be called for at a time.
//!
//! `sys/timer/<seconds, 16 hex digits>/<HMAC of the mount and the timer's name>` holds the mount and
//! what its engine gave: names of timers tell names of secrets, and who has a copy of the storage could
//! try some on a plain digest. It is committed with the request that set it, and goes with what the engine
//! writes when it is called: a crash in between calls the engine again. Finding what is due costs one
//! look at the first keys, however many there are; cancelling one costs no look.

use crate::active::Active;
use crate::mounts::{Mount, record_key};
use crate::{Core, CoreError};
use bytes::Bytes;
use secretum_crypto::{ClockRef, HmacKey, Timestamp};
use secretum_engine::{Fault, TimerChange, TimerPlace, to_json, unreadable};
use secretum_storage::{Batch, Key, PageOf, Precondition, StorageError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;

const PREFIX: &str = "sys/timer/";

/// How many timers one look at the storage brings.
const PAGE: usize = 256;

/// How many of these looks one round takes; the next follows at once where there is more.
const ROUND_PAGES: usize = 4;

/// How often a call is made anew because a request won the race for a key; then it waits a round.
const TRIES: usize = 4;

/// Where timers are kept.
#[derive(Debug)]
pub(crate) struct Timers {
    name_key: HmacKey,
}

/// Calls engines when their time has come.
#[derive(Debug)]
pub(crate) struct Rounds {
    clock: ClockRef,
    /// Where a round goes on: behind what could not be done in the one before.
    after: Option<Key>,
}

/// What a mount's engine wants of its timers: what is to stand at these keys, nothing where one is
/// cancelled.
#[derive(Default)]
struct Changes(BTreeMap<Key, Option<Bytes>>);

/// A timer as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    mount: String,
    data: Box<RawValue>,
}

impl Timers {
    /// The timers of an unsealed vault.
    pub(crate) fn new(core: &Core) -> Result<Self, CoreError> {
        let name_key = HmacKey::new(core.barrier.derived_key("timer")?.expose());
        Ok(Self { name_key })
    }

    /// The batch that sets and cancels timers of a mount's engine.
    ///
    /// **Errors**: [`Fault::Internal`], [`Fault::Storage`].
    pub(crate) fn changes(&self, mount: &Mount, wanted: Vec<TimerChange>) -> Result<Batch, Fault> {
        Ok(self.of_keys(mount, wanted)?.batch())
    }

    fn of_keys(&self, mount: &Mount, wanted: Vec<TimerChange>) -> Result<Changes, Fault> {
        let uuid = &mount.record.uuid;
        let mut of_key = BTreeMap::new();
        for change in wanted {
            match change {
                TimerChange::Set(timer) => {
                    let stored = Stored {
                        mount: uuid.clone(),
                        data: timer.data,
                    };
                    of_key.insert(self.key(uuid, &timer.place)?, Some(to_json(&stored)?));
                }
                // One that is set anew at its place stays.
                TimerChange::Cancel(place) => {
                    of_key.entry(self.key(uuid, &place)?).or_default();
                }
            }
        }
        Ok(Changes(of_key))
    }

    /// Where a timer of a mount is stored.
    fn key(&self, mount: &str, place: &TimerPlace) -> Result<Key, Fault> {
        // A part of a second counts whole: a call never comes before its time.
        let nanos = Duration::from_nanos(999_999_999);
        let seconds = place.at.plus(nanos).unix_seconds().max(0);
        // Of one length, whatever the length of the name.
        let id = (self.name_key).sign_hex(format!("{mount}/{}", place.name).as_bytes());
        Ok(Key::try_from(format!("{PREFIX}{seconds:016x}/{id}"))?)
    }
}

impl Changes {
    fn batch(self) -> Batch {
        let changes = self.0.into_iter();
        changes.fold(Batch::new(), |batch, (key, stored)| match stored {
            Some(stored) => batch.put(key, stored),
            None => batch.delete(key),
        })
    }
}

impl Rounds {
    pub(crate) fn new(clock: ClockRef) -> Self {
        Self { clock, after: None }
    }

    /// Calls the engines whose timers are due; whether there is more that can be done at once.
    ///
    /// **Errors**: [`CoreError`] where the storage cannot be read.
    pub(crate) async fn round(&mut self, active: &Active) -> Result<bool, CoreError> {
        let prefix = Key::try_from(PREFIX)?;
        let end = ends(self.clock.now())?;
        for _ in 0..ROUND_PAGES {
            let after = self.after.as_ref();
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
                self.after = Some(key.clone());
                if active.ending.is_cancelled() {
                    return Ok(false);
                }
                if let Err(error) = self.call(active, key).await {
                    tracing::warn!(%error, "a timer of an engine could not be served; it is tried again");
                }
            }
            if !all_due || !page.more {
                self.after = None;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Calls the engine of one timer, and removes it with what that writes.
    async fn call(&self, active: &Active, key: Key) -> Result<(), Fault> {
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
            let writes = mount.engine.due(&stored.data, self.clock.now()).await?;
            mount.check_writes(&writes.batch)?;
            let mut changes = active.timers.of_keys(&mount, writes.timers)?;
            let at = Precondition::At(entry.revision);
            let writes = match changes.0.remove(&key).flatten() {
                Some(again) => writes.batch.put_if(key.clone(), at, again),
                None => writes.batch.delete_if(key.clone(), at),
            };
            let writes = mount.fence(writes)?.and(changes.batch());
            match active.commit(writes).await {
                Err(StorageError::Conflict { .. }) => active.read_point().await?,
                committed => return Ok(committed.map(drop)?),
            }
        }
        Ok(())
    }
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
        let timers = Timers {
            name_key: HmacKey::new(b"key"),
        };
        for (at_nanos, now_nanos, is_due) in [
            (5_000_000_000, 4_999_999_999, false),
            (5_000_000_000, 5_000_000_000, true),
            (5_000_000_001, 5_999_999_999, false),
            (5_000_000_001, 6_000_000_000, true),
            (-1, 0, true),
            (i64::MAX, 5_000_000_000, false),
        ] {
            let place = TimerPlace {
                at: Timestamp::from_unix_nanos(at_nanos),
                name: "a".to_owned(),
            };
            let key = timers.key("mount", &place).unwrap();
            let end = ends(Timestamp::from_unix_nanos(now_nanos)).unwrap();
            assert_eq!(key < end, is_due, "{at_nanos} {now_nanos}");
        }
    }
}
