//! [`CircuitBreakerKms`]: a rest for a service that fails.

use super::{Call, Wrapper};
use crate::{KeyManagementService, KmsError, Result};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// When who asks for a place among the probes comes back: they are few, and soon over.
const PROBE_WAIT: Duration = Duration::from_millis(100);

/// When to rest, and how to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitBreakerConfig {
    /// Faults in a row that open the circuit. Default: 5.
    pub failures_to_open: u32,
    /// How long it stays open. Default: 30 s.
    pub open_for: Duration,
    /// Successes in a row that close it again. Default: 3.
    pub successes_to_close: u32,
    /// Calls at once while it is tried whether the service is back. Default: 1.
    pub probes_max: u32,
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Self {
            failures_to_open: 5,
            open_for: Duration::from_secs(30),
            successes_to_close: 3,
            probes_max: 1,
        }
    }
}

/// Whether calls go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// All of them.
    Closed,
    /// None.
    Open,
    /// A few, to see whether the service is back.
    HalfOpen,
}

/// Keeps calls from a service that failed several times in a row.
///
/// Only faults of the service count: not reached, no answer in time, an answer that makes no sense. A
/// refusal is an answer of a service in good health, and counts as a success.
#[derive(Debug)]
pub struct CircuitBreakerKms {
    inner: Arc<dyn KeyManagementService>,
    config: CircuitBreakerConfig,
    circuit: Mutex<Circuit>,
}

#[derive(Debug)]
struct Circuit {
    phase: Phase,
    /// Counts the changes of phase: a call that began in an earlier one does not judge this one.
    turn: u64,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { probes: u32, successes: u32 },
}

impl Circuit {
    fn turn_to(&mut self, phase: Phase) {
        self.phase = phase;
        self.turn += 1;
    }
}

/// What a call that ended tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Success,
    Fault,
    /// It was cancelled, or asked to slow down.
    Nothing,
}

impl CircuitBreakerKms {
    /// Calls of this service go through while the circuit is closed.
    pub fn new(inner: Arc<dyn KeyManagementService>, config: CircuitBreakerConfig) -> Self {
        let circuit = Mutex::new(Circuit {
            phase: Phase::Closed { failures: 0 },
            turn: 0,
        });
        Self {
            inner,
            config,
            circuit,
        }
    }

    /// Whether calls go through now.
    pub fn state(&self) -> CircuitState {
        match self.circuit.lock().phase {
            Phase::Closed { .. } => CircuitState::Closed,
            Phase::Open { .. } => CircuitState::Open,
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    fn admit(&self) -> Result<Admission<'_>> {
        let refused = |retry_in| KmsError::CircuitOpen {
            provider: self.inner.capabilities().provider,
            retry_in,
        };
        let mut circuit = self.circuit.lock();
        match &mut circuit.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until } => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Err(refused(left));
                }
                circuit.turn_to(Phase::HalfOpen {
                    probes: 1,
                    successes: 0,
                });
            }
            Phase::HalfOpen { probes, .. } if *probes < self.config.probes_max.max(1) => {
                *probes += 1;
            }
            Phase::HalfOpen { .. } => return Err(refused(PROBE_WAIT)),
        }
        Ok(Admission {
            breaker: self,
            turn: circuit.turn,
            verdict: Verdict::Nothing,
        })
    }

    fn judge(&self, turn: u64, verdict: Verdict) {
        let mut circuit = self.circuit.lock();
        if circuit.turn != turn {
            return;
        }
        let open = Phase::Open {
            until: Instant::now() + self.config.open_for,
        };
        match (&mut circuit.phase, verdict) {
            (Phase::Closed { failures }, Verdict::Success) => *failures = 0,
            (Phase::Closed { failures }, Verdict::Fault) => {
                *failures += 1;
                if *failures >= self.config.failures_to_open {
                    circuit.turn_to(open);
                }
            }
            (Phase::HalfOpen { probes, successes }, Verdict::Success) => {
                *probes = probes.saturating_sub(1);
                *successes += 1;
                if *successes >= self.config.successes_to_close {
                    circuit.turn_to(Phase::Closed { failures: 0 });
                }
            }
            (Phase::HalfOpen { .. }, Verdict::Fault) => circuit.turn_to(open),
            (Phase::HalfOpen { probes, .. }, Verdict::Nothing) => {
                *probes = probes.saturating_sub(1);
            }
            (Phase::Closed { .. }, Verdict::Nothing) | (Phase::Open { .. }, _) => {}
        }
    }
}

/// A call's place. One that is dropped unjudged, because its caller went away, is given back.
struct Admission<'a> {
    breaker: &'a CircuitBreakerKms,
    turn: u64,
    verdict: Verdict,
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        self.breaker.judge(self.turn, self.verdict);
    }
}

impl Wrapper for CircuitBreakerKms {
    fn inner(&self) -> &dyn KeyManagementService {
        self.inner.as_ref()
    }

    async fn around<'a, T, A>(&self, _: Call<'_>, attempt: A) -> Result<T>
    where
        T: Send + 'a,
        A: Fn() -> BoxFuture<'a, Result<T>> + Send + Sync,
    {
        let mut admission = self.admit()?;
        let outcome = attempt().await;
        admission.verdict = match &outcome {
            Err(error) if error.is_service_fault() => Verdict::Fault,
            Err(KmsError::Throttled { .. }) => Verdict::Nothing,
            _ => Verdict::Success,
        };
        outcome
    }
}
