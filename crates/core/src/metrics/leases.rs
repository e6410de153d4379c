//! How many leases there are, and when they end: counted behind the requests.

use super::report::{Family, Kind, Sample};
use crate::active::Active;
use crate::leases::DUE;
use secretum_storage::{Key, PageOf, Pages, StorageError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How many leases one look brings.
const PAGE: usize = 1_000;

/// The shortest rest between two counts, and how much longer than the count itself it is: counting
/// takes a hundredth of a core at most.
const REST_MIN: Duration = Duration::from_secs(10);
const REST_FACTOR: u32 = 100;

/// Times until a lease ends: their word, and seconds.
const WITHIN: [(&str, i64); 6] = [
    ("1m", 60),
    ("10m", 600),
    ("1h", 3_600),
    ("1d", 86_400),
    ("7d", 604_800),
    ("30d", 2_592_000),
];

/// What the last count found: leases that end within each time and not before, then all others.
#[derive(Debug, Default)]
pub(super) struct LeaseCounts([AtomicU64; WITHIN.len() + 1]);

impl LeaseCounts {
    pub(super) fn families(&self) -> [Family; 2] {
        let counts = self.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        let mut all = Family::new("secretum_vault_leases", "Leases.", Kind::Gauge);
        all.samples.push(Sample::whole(counts.iter().sum()));
        let mut ends = Family::new(
            "secretum_vault_secret_lease_expiry",
            "Leases by the time until they end: within this one, and not within a shorter one.",
            Kind::Gauge,
        );
        let words = WITHIN.iter().map(|(word, _)| *word).chain(["later"]);
        for (count, word) in counts.into_iter().zip(words) {
            let sample = Sample::whole(count);
            ends.samples
                .push(sample.with(&[("within", word.to_owned())]));
        }
        [all, ends]
    }

    fn set(&self, counts: [u64; WITHIN.len() + 1]) {
        for (own, count) in self.0.iter().zip(counts) {
            own.store(count, Ordering::Relaxed);
        }
    }
}

/// Counts until the vault is sealed.
pub(crate) async fn run(active: Arc<Active>) {
    loop {
        let began = Instant::now();
        match count(&active).await {
            Ok(counts) => active.core.metrics.leases.set(counts),
            Err(error) => tracing::warn!(%error, "leases could not be counted"),
        }
        let rest = began.elapsed().saturating_mul(REST_FACTOR).max(REST_MIN);
        tokio::select! {
            biased;
            () = active.ending.cancelled() => return active.core.metrics.leases.set([0; WITHIN.len() + 1]),
            () = tokio::time::sleep(rest) => {}
        }
    }
}

async fn count(active: &Active) -> Result<[u64; WITHIN.len() + 1], StorageError> {
    let now = active.core.config.clock.now().unix_seconds();
    let mut pages = Pages::new(&*active.storage, Key::try_from(DUE)?, PageOf::Keys, PAGE);
    let mut counts = [0_u64; WITHIN.len() + 1];
    while let Some(rows) = pages.next().await? {
        for end in rows.iter().filter_map(|row| end(&row.key)) {
            let left = end.saturating_sub(now);
            let place = WITHIN.iter().position(|(_, within)| left <= *within);
            if let Some(count) = counts.get_mut(place.unwrap_or(WITHIN.len())) {
                *count += 1;
            }
        }
    }
    Ok(counts)
}

/// When the lease of an index entry ends, in seconds.
fn end(key: &Key) -> Option<i64> {
    let rest = key.as_bytes().strip_prefix(DUE.as_bytes())?;
    let digits = std::str::from_utf8(rest.get(..16)?).ok()?;
    i64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_stands_in_the_key() {
        let key = |text: &str| Key::try_from(text).unwrap();
        assert_eq!(end(&key("sys/lease-expiry/000000000000003c/ab")), Some(60));
        assert_eq!(end(&key("sys/lease-expiry/3c/ab")), None);
        assert_eq!(end(&key("sys/expiry/000000000000003c/ab")), None);
    }
}
