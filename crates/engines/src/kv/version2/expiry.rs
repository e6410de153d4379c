//! Versions that their writer gave a time to live: [`Ttl`], and what happens when it is over.
//!
//! From that moment on nobody reads the version; its value is removed soon after, and the secret with
//! it where nothing else is left of it. Unlike `delete_version_after`, which deletes so that a version
//! can be brought back, this destroys.

use super::Kv2;
use super::meta::Meta;
use super::secret::Secret;
use schemars::JsonSchema;
use secretum_api::fields::Seconds;
use secretum_crypto::Timestamp;
use secretum_engine::{Fault, TimerChange, Writes, unreadable};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The longest time to live, in seconds: a hundred years.
const TTL_SECONDS_MAX: u64 = 100 * 365 * 24 * 3_600;

/// How long a version lives.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(try_from = "Seconds")]
#[schemars(with = "Seconds")]
pub(super) struct Ttl(Seconds);

impl TryFrom<Seconds> for Ttl {
    type Error = String;

    fn try_from(seconds: Seconds) -> Result<Self, String> {
        match seconds.0 {
            0 => Err("ttl must be longer than 0".to_owned()),
            1..=TTL_SECONDS_MAX => Ok(Self(seconds)),
            _ => Err(format!("ttl is longer than {TTL_SECONDS_MAX} seconds")),
        }
    }
}

impl Ttl {
    /// When a version ends that is written now, in nanoseconds since 1970.
    pub(super) fn ends(self, now: Timestamp) -> i64 {
        now.plus(self.0.duration()).unix_nanos()
    }
}

/// Whose versions a timer ends.
#[derive(Serialize, Deserialize)]
struct End {
    path: String,
}

/// What becomes of the timer of a secret of which the next version ended at `before`, and ends at
/// `after` now: a secret has one timer where one of its versions has an end, and none otherwise.
///
/// **Errors**: [`Fault::Internal`].
pub(super) fn rearm(
    path: &str,
    before: Option<i64>,
    after: Option<i64>,
) -> Result<Vec<TimerChange>, Fault> {
    secretum_engine::rearm(path, before, after, || End {
        path: path.to_owned(),
    })
}

impl Meta {
    /// When the first of the versions that have an end is over.
    pub(super) fn next_end(&self) -> Option<i64> {
        let lasting = self.versions.values().filter(|version| !version.destroyed);
        lasting.filter_map(|version| version.expires).min()
    }
}

impl Kv2 {
    /// Destroys the versions of a secret whose time is over.
    ///
    /// **Errors**: [`Fault::Internal`], [`Fault::Storage`].
    pub(super) async fn end_versions(
        &self,
        data: &RawValue,
        now: Timestamp,
    ) -> Result<Writes, Fault> {
        let end: End =
            serde_json::from_str(data.get()).map_err(|error| unreadable("timer", &error))?;
        let Some(mut secret) = self.find(&end.path).await? else {
            return Ok(Writes::default());
        };
        let mut over = Vec::new();
        for (version, meta) in &mut secret.meta.versions {
            if !meta.destroyed && meta.is_destroyed(now) {
                meta.destroyed = true;
                over.push(*version);
            }
        }
        if over.is_empty() {
            return Ok(Writes::default());
        }
        if secret.has_nothing_left() {
            return self.remove(&secret);
        }
        self.put_without(&mut secret, &over)
    }
}

impl Secret {
    /// Whether no version has a value, and nobody said anything of the secret itself.
    fn has_nothing_left(&self) -> bool {
        let meta = &self.meta;
        let has_settings = meta.max_versions > 0
            || meta.cas_required
            || meta.delete_version_after > 0
            || meta.custom.is_some();
        !has_settings && meta.versions.values().all(|version| version.destroyed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_life_holds_at_its_edge() {
        let ttl = |text: &str| serde_json::from_str::<Ttl>(text);
        assert!(ttl("1").is_ok());
        assert!(ttl("\"1h\"").is_ok());
        assert!(ttl(&TTL_SECONDS_MAX.to_string()).is_ok());
        for text in [
            "0",
            "\"0s\"",
            &(TTL_SECONDS_MAX + 1).to_string(),
            "-1",
            "\"soon\"",
        ] {
            assert!(ttl(text).is_err(), "{text}");
        }
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let ends = Ttl(Seconds(TTL_SECONDS_MAX)).ends(now);
        assert_eq!(ends / 1_000_000_000, 1_800_000_000 + 3_153_600_000);
    }
}
