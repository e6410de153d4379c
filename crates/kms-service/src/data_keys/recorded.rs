//! [`Recorder`]: audit records of data keys by their identifiers, beside those of the wrapping.

use secretum_crypto::{ClockRef, Timestamp};
use secretum_kms::{KmsAuditEvent, KmsAuditSink, KmsError, KmsOperation};
use std::sync::Arc;
use std::time::Instant;

/// Where the records go, and the clock that they are written by.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    pub(crate) sinks: Vec<Arc<dyn KmsAuditSink>>,
    pub(crate) clock: ClockRef,
}

/// What is under way, and is recorded at its end.
#[derive(Debug)]
pub(crate) struct Begun<'r> {
    recorder: &'r Recorder,
    timestamp: Timestamp,
    began: Instant,
}

impl Recorder {
    pub(crate) fn begin(&self) -> Begun<'_> {
        Begun {
            recorder: self,
            timestamp: self.clock.now(),
            began: Instant::now(),
        }
    }
}

impl Begun<'_> {
    /// Records what a caller had done with the data key of an identifier, and how it ended.
    ///
    /// **Errors**: [`KmsError::Audit`].
    pub(crate) async fn end(
        self,
        (caller, operation): (&str, KmsOperation),
        (provider, id): (&'static str, &str),
        outcome: &'static str,
    ) -> Result<(), KmsError> {
        let event = KmsAuditEvent {
            timestamp: self.timestamp,
            caller: Some(caller.to_owned()),
            operation,
            provider,
            key: Some(id.to_owned()),
            context_keys: Vec::new(),
            from: None,
            outcome,
            duration: self.began.elapsed(),
        };
        event.hand_to(&self.recorder.sinks).await
    }
}
