//! What is known of a secret, as it is stored.

use bytes::Bytes;
use secretum_api::fields::Count;
use secretum_crypto::Timestamp;
use secretum_engine::{Fault, Record, to_json, unreadable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Versions that a secret keeps where nothing says how many.
const VERSIONS_KEPT: u64 = 10;

/// The most versions that a secret may be set to keep: so many are removed in one commit.
const VERSIONS_KEPT_MAX: u64 = 1_000;

/// How many versions a secret is to keep; 0 for the default.
#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Count")]
#[schemars(with = "Count")]
pub(super) struct VersionsKept(u64);

impl TryFrom<Count> for VersionsKept {
    type Error = String;

    fn try_from(count: Count) -> Result<Self, String> {
        if count.0 <= VERSIONS_KEPT_MAX {
            Ok(Self(count.0))
        } else {
            Err(format!(
                "a secret keeps at most {VERSIONS_KEPT_MAX} versions"
            ))
        }
    }
}

impl From<VersionsKept> for u64 {
    fn from(kept: VersionsKept) -> Self {
        kept.0
    }
}

/// Where the metadata of a secret is stored.
pub(in crate::kv) fn key(path: &str) -> String {
    format!("meta/{path}")
}

/// Where the value of a version is stored.
pub(super) fn value_key(path: &str, version: u64) -> String {
    format!("data/{path}\u{1}{version}")
}

/// The longest value that stands behind its metadata, in bytes: what reads the metadata alone reads
/// the value too.
const VALUE_BESIDE_BYTES_MAX: usize = 4_096;

/// Ends the metadata; its JSON holds no such byte.
const END: u8 = b'\n';

/// Whether a newest value of this text stands behind the metadata.
pub(super) fn is_beside(value: &str) -> bool {
    value.len() <= VALUE_BESIDE_BYTES_MAX
}

/// The record of a secret: its metadata, and behind it the value of the newest version, where that is
/// short and was not destroyed.
pub(super) fn encode(meta: &Meta, newest: Option<&Bytes>) -> Result<Bytes, Fault> {
    let json = to_json(meta)?;
    Ok(match newest {
        Some(value) => [&*json, &[END], value].concat().into(),
        None => json,
    })
}

/// What [`encode`] was given.
///
/// **Errors**: [`Fault::Internal`] where a newer version wrote it.
pub(super) fn decode(record: &Record) -> Result<(Meta, Option<Bytes>), Fault> {
    let end = memchr::memchr(END, &record.value);
    let json = record.value.get(..end.unwrap_or(record.value.len()));
    let meta = serde_json::from_slice(json.unwrap_or_default())
        .map_err(|error| unreadable("record", &error))?;
    Ok((meta, end.map(|end| record.value.slice(end + 1..))))
}

/// The settings of a mount.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct MountSettings {
    /// Versions that a secret keeps; 0 for the default.
    pub(super) max_versions: u64,
    /// Whether a write must name the newest version.
    pub(super) cas_required: bool,
    /// Whether a change of a secret's settings must name the newest version of its metadata.
    pub(super) metadata_cas_required: bool,
    /// Seconds after which a new version is deleted; 0 for never.
    pub(super) delete_version_after: u64,
}

/// What is known of a secret. Times are nanoseconds since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Meta {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) versions: BTreeMap<u64, VersionMeta>,
    /// The newest version; 0 before the first.
    pub(super) current: u64,
    /// The oldest version that is kept; 0 before the first is dropped.
    #[serde(default)]
    pub(super) oldest: u64,
    pub(super) created: i64,
    pub(super) updated: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) max_versions: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) cas_required: bool,
    /// How often its settings were changed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) metadata_version: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) metadata_cas_required: bool,
    /// Seconds; 0 for the mount's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) delete_version_after: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) custom: Option<BTreeMap<String, String>>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What is known of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VersionMeta {
    pub(super) created: i64,
    /// When it was or will be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<i64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) destroyed: bool,
    /// When it is destroyed by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<i64>,
}

impl VersionMeta {
    /// Whether its value can be read.
    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        !self.is_destroyed(now)
            && self
                .deleted
                .is_none_or(|deleted| deleted > now.unix_nanos())
    }

    /// Whether its value is gone for good; where its time is over, before anybody removed it.
    pub(super) fn is_destroyed(&self, now: Timestamp) -> bool {
        self.destroyed
            || self
                .expires
                .is_some_and(|expires| expires <= now.unix_nanos())
    }

    /// When it was or will be deleted, or destroyed by itself, RFC 3339; empty for never.
    pub(super) fn deletion_time(&self) -> String {
        let ends = [self.deleted, self.expires].into_iter().flatten();
        ends.min().map(time).unwrap_or_default()
    }

    /// When it is destroyed by itself, RFC 3339.
    pub(super) fn expire_time(&self) -> Option<String> {
        self.expires.map(time)
    }
}

impl Meta {
    /// A secret without versions.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            versions: BTreeMap::new(),
            current: 0,
            oldest: 0,
            created: now.unix_nanos(),
            updated: now.unix_nanos(),
            max_versions: 0,
            cas_required: false,
            metadata_version: 0,
            metadata_cas_required: false,
            delete_version_after: 0,
            custom: None,
        }
    }

    /// Texts about the secret; `None` where there are none.
    pub(super) fn custom(&self) -> Option<BTreeMap<String, String>> {
        self.custom.clone().filter(|custom| !custom.is_empty())
    }

    /// Adds a version and drops those that are too many; gives its number and the numbers dropped.
    ///
    /// **Errors**: [`Fault::Internal`] where no number is left.
    pub(super) fn add_version(
        &mut self,
        settings: &MountSettings,
        now: Timestamp,
        expires: Option<i64>,
    ) -> Result<(u64, Vec<u64>), Fault> {
        let lives = match (self.delete_version_after, settings.delete_version_after) {
            (0, mount) => mount,
            (own, 0) => own,
            (own, mount) => own.min(mount),
        };
        let deleted = (lives > 0).then(|| now.plus(Duration::from_secs(lives)).unix_nanos());
        let next = self.current.checked_add(1);
        self.current = next.ok_or_else(|| Fault::internal("a secret has its last version"))?;
        self.updated = now.unix_nanos();
        let version = VersionMeta {
            created: now.unix_nanos(),
            deleted,
            destroyed: false,
            expires,
        };
        self.versions.insert(self.current, version);
        Ok((self.current, self.prune(settings)))
    }

    /// Drops the oldest versions that are too many; gives their numbers.
    fn prune(&mut self, settings: &MountSettings) -> Vec<u64> {
        // The larger one wins, as Vault has it.
        let kept = match self.max_versions.max(settings.max_versions) {
            0 => VERSIONS_KEPT,
            kept => kept,
        };
        let mut dropped = Vec::new();
        while u64::try_from(self.versions.len()).unwrap_or(u64::MAX) > kept {
            let Some((version, _)) = self.versions.pop_first() else {
                break;
            };
            dropped.push(version);
        }
        if !dropped.is_empty() {
            self.oldest = self.versions.keys().next().copied().unwrap_or(self.current);
        }
        dropped
    }
}

/// Nanoseconds since 1970 as RFC 3339.
pub(super) fn time(nanos: i64) -> String {
    Timestamp::from_unix_nanos(nanos).to_rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_newest_versions_are_kept(writes in 1_u64..60, own in 0_u64..12, mount in 0_u64..12) {
            let settings = MountSettings { max_versions: mount, ..MountSettings::default() };
            let now = Timestamp::from_unix_seconds(1_000);
            let mut meta = Meta { max_versions: own, ..Meta::new(now) };
            let mut dropped_all = Vec::new();
            for _ in 0..writes {
                dropped_all.extend(meta.add_version(&settings, now, None).unwrap().1);
            }
            let kept = if own.max(mount) > 0 { own.max(mount) } else { 10 }.min(writes);
            let expected: Vec<u64> = (writes - kept + 1..=writes).collect();
            prop_assert_eq!(meta.versions.keys().copied().collect::<Vec<_>>(), expected);
            prop_assert_eq!(dropped_all, (1..=writes - kept).collect::<Vec<_>>());
            prop_assert_eq!(meta.current, writes);
        }
    }

    #[test]
    fn no_version_follows_the_last_number() {
        let now = Timestamp::from_unix_seconds(1_000);
        let mut meta = Meta::new(now);
        meta.current = u64::MAX - 1;
        let settings = MountSettings::default();
        assert_eq!(meta.add_version(&settings, now, None).unwrap().0, u64::MAX);
        let fault = meta.add_version(&settings, now, None).unwrap_err();
        assert!(matches!(fault, Fault::Internal(_)));
        assert_eq!(meta.current, u64::MAX);
    }

    #[test]
    fn the_shorter_life_counts() {
        let now = Timestamp::from_unix_seconds(1_000);
        for (own, mount, expected) in [
            (0, 0, None),
            (5, 0, Some(5)),
            (0, 7, Some(7)),
            (5, 7, Some(5)),
        ] {
            let settings = MountSettings {
                delete_version_after: mount,
                ..Default::default()
            };
            let mut meta = Meta {
                delete_version_after: own,
                ..Meta::new(now)
            };
            meta.add_version(&settings, now, None).unwrap();
            let deleted = meta.versions[&1]
                .deleted
                .map(|at| (at - now.unix_nanos()) / 1_000_000_000);
            assert_eq!(deleted, expected);
        }
    }
}
