//! [`Timer`]: when an engine wants to be called, and with what; [`Writes`]: what it wants written
//! with the timers that it sets and cancels.

use crate::Fault;
use secretum_crypto::Timestamp;
use secretum_storage::Batch;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A call of [`crate::Engine::due`] that is to come. It is stored with what its request writes, and
/// outlives restarts; where the mount is gone by then, it is dropped.
pub struct Timer {
    /// When, and which one.
    pub place: TimerPlace,
    /// What the engine needs then, as JSON text. It is stored encrypted.
    pub data: Box<RawValue>,
}

/// When a timer is due, and how it is told from the mount's others of that time. Setting one in the
/// place of another replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerPlace {
    /// When; the call comes at this moment or somewhat later.
    pub at: Timestamp,
    /// Its name: a path, for example.
    pub name: String,
}

/// What an engine wants of its timers.
#[derive(Debug)]
pub enum TimerChange {
    /// To be called.
    Set(Timer),
    /// Not to be called; nothing where there is no such timer.
    Cancel(TimerPlace),
}

impl Timer {
    /// A timer.
    ///
    /// **Errors**: [`Fault::Internal`] where `data` cannot be written as JSON.
    pub fn of<T: Serialize>(place: TimerPlace, data: &T) -> Result<Self, Fault> {
        Ok(Self {
            place,
            data: to_raw_value(data).map_err(Fault::internal)?,
        })
    }
}

/// What becomes of the one timer of something named so, which was due at `before` and is due at `after`
/// now, both in nanoseconds since 1970; `None` for no timer.
///
/// **Errors**: [`Fault::Internal`] where `data` cannot be written as JSON.
pub fn rearm<T: Serialize>(
    name: &str,
    before: Option<i64>,
    after: Option<i64>,
    data: impl FnOnce() -> T,
) -> Result<Vec<TimerChange>, Fault> {
    if before == after {
        return Ok(Vec::new());
    }
    let place = |nanos| TimerPlace {
        at: Timestamp::from_unix_nanos(nanos),
        name: name.to_owned(),
    };
    let cancel = before.map(|nanos| TimerChange::Cancel(place(nanos)));
    let set = after.map(|nanos| Timer::of(place(nanos), &data()).map(TimerChange::Set));
    Ok(cancel.into_iter().chain(set.transpose()?).collect())
}

/// What it holds may be secret, and is not shown.
impl std::fmt::Debug for Timer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timer")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// What an engine wants written, and what it wants of its timers: all of it is committed at once.
#[derive(Debug, Default)]
pub struct Writes {
    /// What is to be written.
    pub batch: Batch,
    /// What becomes of timers.
    pub timers: Vec<TimerChange>,
}

impl From<Batch> for Writes {
    fn from(batch: Batch) -> Self {
        Self {
            batch,
            timers: Vec::new(),
        }
    }
}
