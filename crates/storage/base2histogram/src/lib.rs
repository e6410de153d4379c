//! A small stand-in for the crate of this name, which openraft keeps its statistics in.
//!
//! That crate computes tables for sixteen resolutions at first use and holds 27 MiB of them for
//! good; openraft uses one resolution, for numbers that are only shown. This one has a bucket for
//! each eighth of a power of two and no table. It has the items that openraft names, no more.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::fmt;
use std::marker::PhantomData;

/// Buckets of a power of two.
const STEPS: u64 = 8;
const BUCKETS: usize = 64 * 8;

/// Counts of numbers, by size.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: Box<[u64]>,
    slot: PhantomData<T>,
}

/// Numbers below which a share of all is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many were counted.
    pub samples: u64,
    /// 0.1 percent are below.
    pub p0_1: u64,
    /// 1 percent.
    pub p1: u64,
    /// 5 percent.
    pub p5: u64,
    /// 10 percent.
    pub p10: u64,
    /// Half of them.
    pub p50: u64,
    /// 90 percent.
    pub p90: u64,
    /// 99 percent.
    pub p99: u64,
    /// 99.9 percent.
    pub p99_9: u64,
}

/// Histograms by name, to be shown.
#[derive(Debug, Default)]
pub struct AsciiChart(Vec<(String, Histogram)>);

fn bucket(value: u64) -> usize {
    let power = u64::from(value.max(1).ilog2());
    let step = match power {
        0..3 => 0,
        _ => (value >> (power - 3)) & (STEPS - 1),
    };
    let bucket = if power < 3 { value } else { power * STEPS + step };
    usize::try_from(bucket).unwrap_or(BUCKETS - 1).min(BUCKETS - 1)
}

/// The smallest number of a bucket.
fn smallest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let (power, step) = (bucket / STEPS, bucket % STEPS);
    match power {
        0..3 => bucket,
        _ => (STEPS + step) << (power - 3),
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Histogram<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histogram").field(&self.percentile_stats()).finish()
    }
}

impl<T> Histogram<T> {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS].into(), slot: PhantomData }
    }

    /// Counts a number.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a number some times.
    pub fn record_n(&mut self, value: u64, times: u64) {
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count += times;
        }
    }

    /// The usual percentiles.
    pub fn percentile_stats(&self) -> PercentileStats {
        let samples = self.counts.iter().sum();
        let at = |per_mille: u64| self.at(samples, per_mille);
        PercentileStats {
            samples,
            p0_1: at(1),
            p1: at(10),
            p5: at(50),
            p10: at(100),
            p50: at(500),
            p90: at(900),
            p99: at(990),
            p99_9: at(999),
        }
    }

    fn at(&self, samples: u64, per_mille: u64) -> u64 {
        let rank = (samples.saturating_mul(per_mille) / 1_000).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.map_or(0, smallest)
    }
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p50, p90, p99, p99_9, .. } = self;
        write!(f, "samples: {samples}, p50: {p50}, p90: {p90}, p99: {p99}, p99.9: {p99_9}")
    }
}

impl AsciiChart {
    /// An empty chart.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a histogram.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "openraft calls it by this name")]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.0.push((name.into(), histogram));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, histogram)| {
            writeln!(f, "{name}: {}", histogram.percentile_stats())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_at_least_the_smallest_of_its_bucket_and_below_the_next() {
        let powers = (0..64).flat_map(|power| [1_u64 << power, (1 << power) | 1, (1 << power) - 1]);
        for value in powers.chain(0..5_000) {
            let smallest_here = smallest(bucket(value));
            assert!(smallest_here <= value, "{value}: {smallest_here}");
            assert!(value - smallest_here <= value / 8, "{value}: {smallest_here}");
        }
    }

    #[test]
    fn percentiles_are_found() {
        let mut histogram = Histogram::<()>::new();
        (1..=1_000).for_each(|value| histogram.record(value));
        let stats = histogram.percentile_stats();
        assert_eq!(stats.samples, 1_000);
        assert_eq!((stats.p1, stats.p50), (10, 480));
        assert_eq!(Histogram::<()>::new().percentile_stats(), PercentileStats::default());
    }
}
