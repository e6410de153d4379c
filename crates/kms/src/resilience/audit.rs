//! [`AuditedKms`]: a record of every call, and its numbers.

use super::{Call, KmsMetrics, Observers, Wrapper};
use crate::{
    EncryptionContext, KeyId, KeyInfo, KeyManagementService, KmsError, KmsOperation, Provider,
    Result,
};
use async_trait::async_trait;
use futures::future::BoxFuture;
use secretum_crypto::{ClockRef, Timestamp};
use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument;

/// The outcome of a call whose caller went away before it ended.
pub const CANCELLED: &str = "cancelled";

/// What stands in the place of an outcome before a call that cannot be taken back.
const BEGUN: &str = "begun";

/// One call: who, what, which key, how it ended. Never a plaintext, a ciphertext or the value of a
/// context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KmsAuditEvent {
    /// When it began.
    pub timestamp: Timestamp,
    /// Who asked, where that is known.
    pub caller: Option<String>,
    /// What was asked for.
    #[serde(serialize_with = "operation_name")]
    pub operation: KmsOperation,
    /// The provider.
    pub provider: &'static str,
    /// The key; where something is encrypted anew, the new one.
    pub key: Option<String>,
    /// The keys of the context; where something is encrypted anew, of the new one.
    pub context_keys: Vec<String>,
    /// What was opened in order to be encrypted anew.
    #[serde(flatten)]
    pub from: Option<AuditedOrigin>,
    /// `ok`, `cancelled`, the kind of the error ([`KmsError::kind`]), or the word of who refused the
    /// caller; `begun` in a record of its own before a key is made or rotated.
    pub outcome: &'static str,
    /// How long it took.
    #[serde(rename = "duration_us", serialize_with = "microseconds")]
    pub duration: Duration,
}

/// What was opened in order to be encrypted anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditedOrigin {
    /// The key that it was under.
    #[serde(rename = "from_key")]
    pub key: String,
    /// The keys of the context that it was bound to.
    #[serde(rename = "from_context_keys")]
    pub context_keys: Vec<String>,
}

impl KmsAuditEvent {
    /// Hands it to every sink; one of them must take it, where there is any.
    ///
    /// **Errors**: [`KmsError::Audit`].
    pub async fn hand_to(&self, sinks: &[Arc<dyn KmsAuditSink>]) -> Result<()> {
        let mut taken = sinks.is_empty();
        let mut reasons = Vec::new();
        for sink in sinks {
            match sink.record(self).await {
                Ok(()) => taken = true,
                Err(error) => reasons.push(error.to_string()),
            }
        }
        if taken {
            return Ok(());
        }
        Err(KmsError::Audit {
            reason: reasons.join("; "),
        })
    }
}

fn names(context: &EncryptionContext) -> Vec<String> {
    context.keys().map(str::to_owned).collect()
}

fn operation_name<S: Serializer>(
    operation: &KmsOperation,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(operation.name())
}

fn microseconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// Why a sink did not take a record.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// Takes audit records.
#[async_trait]
pub trait KmsAuditSink: Send + Sync + fmt::Debug {
    /// Takes a record; returns when it is as safe as the sink makes it.
    ///
    /// **Errors**: [`SinkError`]. Where no sink takes a record, the result of the call is withheld; a key is
    /// neither made nor rotated.
    async fn record(&self, event: &KmsAuditEvent) -> std::result::Result<(), SinkError>;
}

/// Records every call, counts it, and gives it a tracing span.
#[derive(Debug, Clone)]
pub struct AuditedKms {
    inner: Arc<dyn KeyManagementService>,
    sinks: Arc<[Arc<dyn KmsAuditSink>]>,
    metrics: Arc<KmsMetrics>,
    clock: ClockRef,
    caller: Option<Arc<str>>,
}

impl AuditedKms {
    /// Calls of this service are recorded. Without a sink they are counted only.
    pub fn new(
        inner: Arc<dyn KeyManagementService>,
        sinks: Vec<Arc<dyn KmsAuditSink>>,
        metrics: Arc<KmsMetrics>,
        clock: ClockRef,
    ) -> Self {
        Self {
            inner,
            sinks: sinks.into(),
            metrics,
            clock,
            caller: None,
        }
    }

    /// The same service, as this caller asks for it.
    #[must_use]
    pub fn for_caller(&self, caller: &str) -> Self {
        Self {
            caller: Some(Arc::from(caller)),
            ..self.clone()
        }
    }

    /// Has a provider make a key, which services do not do by themselves, and records that.
    ///
    /// **Errors**: as [`Provider::create`]; [`KmsError::Audit`].
    pub async fn create_key(&self, maker: &dyn Provider, key: &KeyId) -> Result<KeyInfo> {
        let call = Call::of(KmsOperation::CreateKey).key(key);
        self.around(call, || maker.create(key)).await
    }

    fn begin(&self, call: Call<'_>) -> Record {
        let event = KmsAuditEvent {
            timestamp: self.clock.now(),
            caller: self.caller.as_deref().map(str::to_owned),
            operation: call.operation,
            provider: self.inner.capabilities().provider,
            key: call.key.map(|key| key.as_str().to_owned()),
            context_keys: call.context.map(names).unwrap_or_default(),
            from: call.from.map(|(key, context)| AuditedOrigin {
                key: key.as_str().to_owned(),
                context_keys: names(context),
            }),
            outcome: CANCELLED,
            duration: Duration::ZERO,
        };
        Record {
            event: Some(event),
            began: Instant::now(),
            sinks: Arc::clone(&self.sinks),
            metrics: Arc::clone(&self.metrics),
        }
    }
}

/// Follows a call that no service makes by itself, as [`AuditedKms`] does those of a service.
pub(crate) async fn recorded<T>(
    observers: &Observers,
    provider: &'static str,
    (operation, key): (KmsOperation, Option<&KeyId>),
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let event = KmsAuditEvent {
        timestamp: observers.clock.now(),
        caller: observers.caller.clone(),
        operation,
        provider,
        key: key.map(|key| key.as_str().to_owned()),
        context_keys: Vec::new(),
        from: None,
        outcome: CANCELLED,
        duration: Duration::ZERO,
    };
    let record = Record {
        event: Some(event),
        began: Instant::now(),
        sinks: observers.sinks.clone().into(),
        metrics: Arc::clone(&observers.metrics),
    };
    record.follow(call).await
}

/// The record of a call under way. One that is dropped before its end is recorded as cancelled.
struct Record {
    event: Option<KmsAuditEvent>,
    began: Instant,
    sinks: Arc<[Arc<dyn KmsAuditSink>]>,
    metrics: Arc<KmsMetrics>,
}

impl Record {
    /// Waits for the end of the call, and records it.
    async fn follow<T>(mut self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.announce().await?;
        let outcome = call.await;
        let told = match &outcome {
            Ok(_) => "ok",
            Err(error) => error.kind(),
        };
        if let Some(event) = self.close(told) {
            event.hand_to(&self.sinks).await?;
        }
        outcome
    }

    /// Has it recorded that a call begins which cannot be taken back, so that none is made unrecorded.
    ///
    /// **Errors**: [`KmsError::Audit`]; the call is over then.
    async fn announce(&mut self) -> Result<()> {
        let lasting = self.event.as_ref();
        let Some(event) = lasting.filter(|event| !event.operation.is_repeatable()) else {
            return Ok(());
        };
        let begun = KmsAuditEvent {
            outcome: BEGUN,
            ..event.clone()
        };
        let taken = begun.hand_to(&self.sinks).await;
        if let Err(error) = &taken {
            self.close(error.kind());
        }
        taken
    }

    fn close(&mut self, outcome: &'static str) -> Option<KmsAuditEvent> {
        let mut event = self.event.take()?;
        event.outcome = outcome;
        event.duration = self.began.elapsed();
        self.metrics.count(event.operation, outcome, event.duration);
        Some(event)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(event) = self.close(CANCELLED) else {
            return;
        };
        let sinks = Arc::clone(&self.sinks);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = event.hand_to(&sinks).await {
                    tracing::error!(%error, "the record of a cancelled call was not taken");
                }
            });
        }
    }
}

impl Wrapper for AuditedKms {
    fn inner(&self) -> &dyn KeyManagementService {
        self.inner.as_ref()
    }

    async fn around<'a, T, A>(&self, call: Call<'_>, attempt: A) -> Result<T>
    where
        T: Send + 'a,
        A: Fn() -> BoxFuture<'a, Result<T>> + Send + Sync,
    {
        let span = tracing::info_span!(
            "kms",
            operation = call.operation.name(),
            provider = self.inner.capabilities().provider,
            key = call.key.map(|key| key.as_str()),
        );
        let attempt = attempt().instrument(span);
        self.begin(call).follow(attempt).await
    }
}
