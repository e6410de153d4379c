//! [`Histogram`]: how long something took, in buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the buckets: as numbers, and in microseconds.
const BOUNDS: [(f64, u64); 15] = [
    (0.000_1, 100),
    (0.000_25, 250),
    (0.000_5, 500),
    (0.001, 1_000),
    (0.002_5, 2_500),
    (0.005, 5_000),
    (0.01, 10_000),
    (0.025, 25_000),
    (0.05, 50_000),
    (0.1, 100_000),
    (0.25, 250_000),
    (0.5, 500_000),
    (1.0, 1_000_000),
    (5.0, 5_000_000),
    (30.0, 30_000_000),
];

/// How long something took.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// The last one is for all that is beyond.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// A histogram as it stood at a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    /// Upper ends, and how many lie below.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) count: u64,
    pub(super) sum_seconds: f64,
}

impl Histogram {
    pub(super) fn observe(&self, took: Duration) {
        // What is above an end by less than a microsecond is above it.
        let micros = u64::try_from(took.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|(_, end)| micros <= *end);
        if let Some(bucket) = self.buckets.get(bucket.unwrap_or(BOUNDS.len())) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Reading {
        let mut count = 0_u64;
        let mut below = |bucket: &AtomicU64| {
            count = count.saturating_add(bucket.load(Ordering::Relaxed));
            count
        };
        let ends = BOUNDS.iter().zip(&self.buckets);
        let buckets = ends
            .map(|((end, _), bucket)| (*end, below(bucket)))
            .collect();
        if let Some(beyond) = self.buckets.last() {
            below(beyond);
        }
        let sum = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
        Reading {
            buckets,
            count,
            sum_seconds: sum.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_belongs_to_its_bucket() {
        let histogram = Histogram::default();
        for nanos in [0, 100_000, 100_001, 30_000_000_000, 30_000_000_001] {
            histogram.observe(Duration::from_nanos(nanos));
        }
        let read = histogram.read();
        assert_eq!(read.buckets[0], (0.000_1, 2));
        assert_eq!(read.buckets[1], (0.000_25, 3));
        assert_eq!(read.buckets.last(), Some(&(30.0, 4)));
        assert_eq!(read.count, 5);
        assert!((read.sum_seconds - 60.000_200_002).abs() < 1e-9);
    }

    #[test]
    fn ends_are_the_same_in_both_units() {
        for (seconds, micros) in BOUNDS {
            assert_eq!(
                Duration::from_secs_f64(seconds),
                Duration::from_micros(micros)
            );
        }
    }
}
