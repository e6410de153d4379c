//! [`Recorder`]: audit records of what the library does not record itself: data keys by their identifiers, and
//! requests that end before a key service is asked.

use secretum_crypto::{ClockRef, SystemClock, Timestamp};
use secretum_kms::{KmsAuditEvent, KmsAuditSink, KmsError, KmsOperation};
use std::sync::Arc;
use std::time::Instant;

/// Where the records go, and the clock that they are written by.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    sinks: Arc<[Arc<dyn KmsAuditSink>]>,
    clock: ClockRef,
}

/// What is under way, and is recorded at its end.
#[derive(Debug)]
pub(crate) struct Begun {
    recorder: Recorder,
    timestamp: Timestamp,
    began: Instant,
}

impl Recorder {
    /// Records go to these, with the time of the system.
    pub(crate) fn to(sinks: Vec<Arc<dyn KmsAuditSink>>) -> Self {
        Self::by(Arc::new(SystemClock), sinks)
    }

    /// Records go to these, with the time of this clock.
    pub(crate) fn by(clock: ClockRef, sinks: Vec<Arc<dyn KmsAuditSink>>) -> Self {
        Self {
            sinks: sinks.into(),
            clock,
        }
    }

    pub(crate) fn begin(&self) -> Begun {
        Begun {
            recorder: self.clone(),
            timestamp: self.clock.now(),
            began: Instant::now(),
        }
    }
}

impl Begun {
    /// Records who asked for what, of which provider and with which key or data key, and how it ended.
    ///
    /// **Errors**: [`KmsError::Audit`].
    pub(crate) async fn end(
        self,
        (caller, operation): (Option<&str>, KmsOperation),
        (provider, key): (&'static str, Option<&str>),
        outcome: &'static str,
    ) -> Result<(), KmsError> {
        let event = KmsAuditEvent {
            timestamp: self.timestamp,
            caller: caller.map(str::to_owned),
            operation,
            provider,
            key: key.map(str::to_owned),
            context_keys: Vec::new(),
            from: None,
            outcome,
            duration: self.began.elapsed(),
        };
        event.hand_to(&self.recorder.sinks).await
    }
}
