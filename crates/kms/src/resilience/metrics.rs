//! [`KmsMetrics`]: how many calls, how they ended, how long they took.

use crate::KmsOperation;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The upper edges of the histogram of durations, in microseconds; behind them one without an end.
pub const DURATION_BUCKETS_US: [u64; 12] = [
    50, 200, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// Counts calls. Its labels are operations and kinds of errors, and never grow with keys or callers.
#[derive(Debug, Default)]
pub struct KmsMetrics {
    operations: Mutex<BTreeMap<KmsOperation, OperationMetrics>>,
}

/// The numbers of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationMetrics {
    /// Calls by how they ended: `ok`, `cancelled`, or the kind of the error.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Calls by their duration: up to each of [`DURATION_BUCKETS_US`], and above the last.
    pub durations: [u64; DURATION_BUCKETS_US.len() + 1],
    /// All durations together.
    pub duration_total: Duration,
}

/// The numbers of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KmsMetricsSnapshot {
    /// Of each operation that was called.
    pub operations: BTreeMap<KmsOperation, OperationMetrics>,
}

impl KmsMetrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a call.
    pub fn count(&self, operation: KmsOperation, outcome: &'static str, duration: Duration) {
        let mut operations = self.operations.lock();
        let metrics = operations.entry(operation).or_default();
        *metrics.outcomes.entry(outcome).or_default() += 1;
        metrics.duration_total = metrics.duration_total.saturating_add(duration);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = DURATION_BUCKETS_US.partition_point(|edge| *edge < micros);
        if let Some(count) = metrics.durations.get_mut(bucket) {
            *count += 1;
        }
    }

    /// What was counted so far.
    pub fn snapshot(&self) -> KmsMetricsSnapshot {
        KmsMetricsSnapshot {
            operations: self.operations.lock().clone(),
        }
    }
}

impl KmsMetricsSnapshot {
    /// Calls that ended so, of all operations.
    pub fn outcome(&self, outcome: &str) -> u64 {
        let counts = self.operations.values();
        let counts = counts.filter_map(|metrics| metrics.outcomes.get(outcome));
        counts.sum()
    }

    /// Calls of all operations.
    pub fn total(&self) -> u64 {
        let outcomes = self.operations.values().map(|own| own.outcomes.values());
        outcomes.flatten().sum()
    }

    /// In the text format of Prometheus.
    pub fn to_prometheus(&self, provider: &str) -> String {
        Self::all_to_prometheus(&[(provider, self)])
    }

    /// Those of several providers, each by its name, in the text format of Prometheus.
    pub fn all_to_prometheus(all: &[(&str, &Self)]) -> String {
        const CALLS: &str = "secretum_kms_operations_total";
        const SECONDS: &str = "secretum_kms_operation_duration_seconds";
        let mut text = format!(
            "# HELP {CALLS} Calls of the key management service, by how they ended.\n\
             # TYPE {CALLS} counter\n"
        );
        // Writing to a string cannot fail.
        let each = || {
            all.iter().flat_map(|(provider, own)| {
                let rows = own.operations.iter();
                rows.map(move |row| (*provider, row))
            })
        };
        for (provider, (operation, metrics)) in each() {
            let name = operation.name();
            for (outcome, count) in &metrics.outcomes {
                let _ = writeln!(
                    text,
                    "{CALLS}{{provider=\"{provider}\",operation=\"{name}\",outcome=\"{outcome}\"}} {count}"
                );
            }
        }
        let _ = writeln!(text, "# HELP {SECONDS} How long calls took.");
        let _ = writeln!(text, "# TYPE {SECONDS} histogram");
        for (provider, (operation, metrics)) in each() {
            let labels = format!("provider=\"{provider}\",operation=\"{}\"", operation.name());
            histogram(&mut text, SECONDS, &labels, metrics);
        }
        text
    }
}

fn histogram(text: &mut String, name: &str, labels: &str, metrics: &OperationMetrics) {
    let mut count = 0;
    for (edge, own) in DURATION_BUCKETS_US.iter().zip(metrics.durations) {
        count += own;
        let edge = Duration::from_micros(*edge).as_secs_f64();
        let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{edge}\"}} {count}");
    }
    count += metrics.durations.last().copied().unwrap_or_default();
    let total = metrics.duration_total.as_secs_f64();
    let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
    let _ = writeln!(text, "{name}_sum{{{labels}}} {total}");
    let _ = writeln!(text, "{name}_count{{{labels}}} {count}");
}
