//! [`Trail`]: what is known of a request that may end before the key service is asked.
//!
//! What the key service is asked for is recorded by the library, however it ends. What is refused before, for
//! want of a right, of a place, of time, or for what was sent, and whose caller went away before, is recorded
//! from what was found out until then, by the guard around the request, which is [`Attended`].

use crate::callers::Caller;
use crate::recorder::{Begun, Recorder};
use crate::rights::Operation;
use http::Extensions;
use parking_lot::Mutex;
use secretum_kms::CANCELLED;
use std::sync::Arc;
use tracing::Instrument as _;

/// Goes with a request, from the guard to what does it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    operation: Option<Operation>,
    caller: Option<Arc<Caller>>,
    provider: Option<&'static str>,
    key: Option<String>,
    refusal: Option<&'static str>,
    is_over: bool,
}

impl Trail {
    /// That of a request; of one without a guard, one that leads nowhere.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// This is asked for.
    pub(crate) fn operation(&self, operation: Operation) {
        self.0.lock().operation = Some(operation);
    }

    /// This is who asks.
    pub(crate) fn caller(&self, caller: &Arc<Caller>) {
        self.0.lock().caller = Some(Arc::clone(caller));
    }

    /// The key service is of this provider.
    pub(crate) fn provider(&self, name: &'static str) {
        self.0.lock().provider = Some(name);
    }

    /// It is about this key.
    pub(crate) fn key(&self, key: &str) {
        self.0.lock().key = Some(key.to_owned());
    }

    /// It is refused for this, in a word.
    pub(crate) fn refusal(&self, word: &'static str) {
        self.0.lock().refusal = Some(word);
    }

    /// The key service is asked now: from here on others record.
    pub(crate) fn is_asked(&self) {
        self.0.lock().is_over = true;
    }
}

/// A request under way. Where it is dropped before its answer, its caller went away.
#[derive(Debug)]
pub(crate) struct Attended {
    trail: Trail,
    begun: Option<Begun>,
    provider: &'static str,
}

impl Attended {
    /// Gives a request its trail. Until more is known, the provider is this.
    pub(crate) fn begin(
        extensions: &mut Extensions,
        recorder: &Recorder,
        provider: &'static str,
    ) -> Self {
        let trail = Trail::default();
        extensions.insert(trail.clone());
        Self {
            trail,
            begun: Some(recorder.begin()),
            provider,
        }
    }

    pub(crate) fn trail(&self) -> &Trail {
        &self.trail
    }

    /// It is answered now. A refusal is recorded where the key service was not asked; its word is this, unless
    /// there is one already.
    pub(crate) async fn answered(mut self, refused: Option<&'static str>) {
        if let Some(record) = self.close(refused) {
            // It goes on where the caller goes away meanwhile.
            let _ = tokio::spawn(record.in_current_span()).await;
        }
    }

    fn close(&mut self, word: Option<&'static str>) -> Option<impl Future<Output = ()> + use<>> {
        let begun = self.begun.take()?;
        let known = std::mem::take(&mut *self.trail.0.lock());
        let operation = known.operation.filter(|_| !known.is_over)?;
        let word = known.refusal.or(word)?;
        let provider = known.provider.unwrap_or(self.provider);
        Some(async move {
            let caller = known.caller.as_ref().map(|caller| caller.name.as_str());
            let asked = (caller, operation.audited());
            let of = (provider, known.key.as_deref());
            if let Err(error) = begun.end(asked, of, word).await {
                // It came to nothing anyway.
                tracing::error!(%error, "the record of a refusal was not taken");
            }
        })
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let Some(record) = self.close(Some(CANCELLED)) else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use secretum_kms::{KmsAuditEvent, KmsAuditSink, SinkError};
    use tokio::sync::{Notify, mpsc};

    /// Takes records when it is let.
    #[derive(Debug)]
    struct Slow {
        let_go: Notify,
        took: mpsc::UnboundedSender<KmsAuditEvent>,
    }

    #[async_trait]
    impl KmsAuditSink for Slow {
        async fn record(&self, event: &KmsAuditEvent) -> Result<(), SinkError> {
            self.let_go.notified().await;
            let sent = self.took.send(event.clone());
            sent.map_err(|_| SinkError("nobody takes it".to_owned()))
        }
    }

    #[tokio::test]
    async fn whoever_goes_away_is_recorded_before_and_after_the_refusal() {
        let (took, mut taken) = mpsc::unbounded_channel();
        let let_go = Notify::new();
        let sink = Arc::new(Slow { let_go, took });
        let recorder = Recorder::to(vec![Arc::clone(&sink) as Arc<dyn KmsAuditSink>]);
        let attend = |operation| {
            let attended = Attended::begin(&mut Extensions::new(), &recorder, "local");
            attended.trail().operation(operation);
            attended
        };
        drop(attend(Operation::Encrypt));
        sink.let_go.notify_one();
        let gone = taken.recv().await.unwrap();
        assert_eq!((gone.outcome, gone.provider), (CANCELLED, "local"));

        let refused = attend(Operation::Decrypt).answered(Some("forbidden"));
        let refused = tokio::time::timeout(std::time::Duration::from_millis(1), refused);
        refused.await.unwrap_err();
        sink.let_go.notify_one();
        assert_eq!(taken.recv().await.unwrap().outcome, "forbidden");

        // Whoever was answered, and what others record, is not recorded here.
        attend(Operation::Encrypt).answered(None).await;
        let asked = attend(Operation::Encrypt);
        asked.trail().is_asked();
        drop(asked);
        tokio::task::yield_now().await;
        drop((recorder, sink));
        assert!(taken.recv().await.is_none());
    }
}
