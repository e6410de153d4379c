//! [`Timer`]: when an engine wants to be called, and with what.

use crate::Fault;
use secretum_crypto::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A call of [`crate::Engine::due`] that is to come. It is stored with what its request writes, and
/// outlives restarts; where the mount is gone by then, it is dropped.
pub struct Timer {
    /// When; the call comes at this moment or somewhat later.
    pub at: Timestamp,
    /// What the engine needs then, as JSON text. It is stored encrypted.
    pub data: Box<RawValue>,
}

impl Timer {
    /// A timer.
    ///
    /// **Errors**: [`Fault::Internal`] where `data` cannot be written as JSON.
    pub fn of<T: Serialize>(at: Timestamp, data: &T) -> Result<Self, Fault> {
        Ok(Self {
            at,
            data: to_raw_value(data).map_err(Fault::internal)?,
        })
    }
}

/// What it holds may be secret, and is not shown.
impl std::fmt::Debug for Timer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timer")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
