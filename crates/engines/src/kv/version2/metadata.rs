//! `metadata/`: what is known of a secret, and its own settings.

use super::Kv2;
use super::meta::{self, Meta, VersionsKept};
use crate::kv::merge::members;
use crate::kv::{KvError, SecretPath};
use schemars::JsonSchema;
use secretum_api::fields::{JsonObject, Seconds, go_duration};
use secretum_engine::{Context, Exists, Handle, Input, Reply};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most pairs of custom metadata.
const CUSTOM_PAIRS_MAX: usize = 64;

/// The longest key of custom metadata, in bytes.
const CUSTOM_KEY_BYTES_MAX: usize = 128;

/// The longest value of custom metadata, in bytes.
const CUSTOM_VALUE_BYTES_MAX: usize = 512;

/// Reads what is known of a secret.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadMetadata {
    /// Path of the secret.
    path: SecretPath,
}

/// Changes settings of a secret; what is not named stays.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct WriteMetadata {
    /// Path of the secret.
    path: SecretPath,
    /// Versions that the secret keeps; 0 for the mount's.
    #[serde(default)]
    max_versions: Option<VersionsKept>,
    /// Whether a write must name the newest version.
    #[serde(default)]
    cas_required: Option<bool>,
    /// The life of a new version; 0 for the mount's.
    #[serde(default)]
    delete_version_after: Option<Seconds>,
    /// Texts about the secret, in the place of those that were.
    #[serde(default)]
    custom_metadata: Option<JsonObject>,
}

/// Changes settings of a secret by a JSON merge patch.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct PatchMetadata {
    /// Path of the secret.
    path: SecretPath,
    /// Versions that the secret keeps; 0 for the mount's.
    #[serde(default)]
    max_versions: Option<VersionsKept>,
    /// Whether a write must name the newest version.
    #[serde(default)]
    cas_required: Option<bool>,
    /// The life of a new version; 0 for the mount's.
    #[serde(default)]
    delete_version_after: Option<Seconds>,
    /// Texts about the secret; null removes one.
    #[serde(default)]
    custom_metadata: Option<JsonObject>,
}

/// Removes a secret, its history with it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeleteMetadata {
    /// Path of the secret.
    path: SecretPath,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct SecretFacts {
    cas_required: bool,
    created_time: String,
    current_version: u64,
    custom_metadata: Option<BTreeMap<String, String>>,
    delete_version_after: String,
    max_versions: u64,
    oldest_version: u64,
    updated_time: String,
    versions: BTreeMap<u64, VersionTimes>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct VersionTimes {
    created_time: String,
    deletion_time: String,
    destroyed: bool,
    /// When the version is destroyed by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_time: Option<String>,
}

impl Handle<ReadMetadata> for Kv2 {
    type Data = SecretFacts;
    type Error = KvError;

    async fn handle(
        &self,
        request: ReadMetadata,
        context: &Context,
    ) -> Result<Reply<SecretFacts>, KvError> {
        let now = context.clock.now();
        let Meta {
            versions,
            current,
            oldest,
            created,
            updated,
            max_versions,
            cas_required,
            custom,
            delete_version_after,
        } = self
            .find(request.path.as_str())
            .await?
            .ok_or(KvError::NotFound)?
            .meta;
        let times = versions.into_iter().map(|(number, version)| {
            let times = VersionTimes {
                created_time: meta::time(version.created),
                deletion_time: version.deletion_time(),
                destroyed: version.is_destroyed(now),
                expire_time: version.expire_time(),
            };
            (number, times)
        });
        Ok(Reply::data(SecretFacts {
            cas_required,
            created_time: meta::time(created),
            current_version: current,
            custom_metadata: custom,
            delete_version_after: go_duration(Seconds(delete_version_after).duration()),
            max_versions,
            oldest_version: oldest,
            updated_time: meta::time(updated),
            versions: times.collect(),
        }))
    }
}

impl Handle<WriteMetadata> for Kv2 {
    type Data = ();
    type Error = KvError;

    async fn handle(
        &self,
        request: WriteMetadata,
        context: &Context,
    ) -> Result<Reply<()>, KvError> {
        let now = context.clock.now();
        let mut secret = self.find_or_new(request.path.as_str(), now).await?;
        let meta = &mut secret.meta;
        set(
            meta,
            request.max_versions,
            request.cas_required,
            request.delete_version_after,
        );
        if let Some(custom) = request.custom_metadata {
            meta.custom = Some(patched(BTreeMap::new(), &custom)?);
        }
        meta.updated = now.unix_nanos();
        Ok(Reply::wrote(self.put(&secret)?))
    }
}

impl Exists<WriteMetadata> for Kv2 {
    async fn exists(&self, input: &Input<'_>, _: &Context) -> Result<bool, KvError> {
        Ok(self.find(input.capture("path")).await?.is_some())
    }
}

impl Handle<PatchMetadata> for Kv2 {
    type Data = ();
    type Error = KvError;

    async fn handle(
        &self,
        request: PatchMetadata,
        context: &Context,
    ) -> Result<Reply<()>, KvError> {
        let mut secret = self
            .find(request.path.as_str())
            .await?
            .ok_or(KvError::NotFound)?;
        let meta = &mut secret.meta;
        set(
            meta,
            request.max_versions,
            request.cas_required,
            request.delete_version_after,
        );
        if let Some(custom) = request.custom_metadata {
            meta.custom = Some(patched(meta.custom.take().unwrap_or_default(), &custom)?);
        }
        meta.updated = context.clock.now().unix_nanos();
        Ok(Reply::wrote(self.put(&secret)?))
    }
}

impl Handle<DeleteMetadata> for Kv2 {
    type Data = ();
    type Error = KvError;

    async fn handle(&self, request: DeleteMetadata, _: &Context) -> Result<Reply<()>, KvError> {
        match self.find(request.path.as_str()).await? {
            Some(secret) => Ok(Reply::wrote(self.remove(&secret)?)),
            None => Ok(Reply::empty()),
        }
    }
}

/// Puts what is named in the place of what was.
fn set(meta: &mut Meta, kept: Option<VersionsKept>, cas: Option<bool>, life: Option<Seconds>) {
    meta.max_versions = kept.map_or(meta.max_versions, u64::from);
    meta.cas_required = cas.unwrap_or(meta.cas_required);
    meta.delete_version_after = life.map_or(meta.delete_version_after, |life| life.0);
}

/// Custom metadata changed by a merge patch, within its limits.
fn patched(
    mut custom: BTreeMap<String, String>,
    patch: &JsonObject,
) -> Result<BTreeMap<String, String>, KvError> {
    let refuse = |text: String| Err(KvError::CustomMetadata(text));
    for (name, value) in members(patch.get())?.0 {
        if value.get() == "null" {
            custom.remove(&name);
            continue;
        }
        let text = match value.get().as_bytes().first() {
            Some(b'"') => serde_json::from_str(value.get()).unwrap_or_default(),
            // A number or a boolean counts by its spelling.
            Some(b'{' | b'[') | None => {
                return refuse(format!(
                    "custom_metadata: the value of `{name}` must be a string"
                ));
            }
            Some(_) => value.get().to_owned(),
        };
        if name.is_empty() || name.len() > CUSTOM_KEY_BYTES_MAX {
            return refuse(format!(
                "custom_metadata: a key has 1 to {CUSTOM_KEY_BYTES_MAX} bytes"
            ));
        }
        if text.is_empty() {
            return refuse(format!("custom_metadata: the value of `{name}` is empty"));
        }
        if text.len() > CUSTOM_VALUE_BYTES_MAX {
            return refuse(format!(
                "custom_metadata: the value of `{name}` is over the limit of \
                 {CUSTOM_VALUE_BYTES_MAX} bytes"
            ));
        }
        if [&name, &text]
            .iter()
            .any(|text| text.chars().any(char::is_control))
        {
            return refuse(format!(
                "custom_metadata: `{name}` holds characters that cannot be printed"
            ));
        }
        custom.insert(name, text);
    }
    if custom.len() > CUSTOM_PAIRS_MAX {
        return refuse(format!(
            "custom_metadata: at most {CUSTOM_PAIRS_MAX} pairs are allowed"
        ));
    }
    Ok(custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(patch: &str) -> Result<BTreeMap<String, String>, KvError> {
        let custom = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        patched(custom, &serde_json::from_str(patch).unwrap())
    }

    #[test]
    fn limits_hold_at_their_edge() {
        let pair = |key: usize, value: usize| {
            format!(r#"{{"{}":"{}"}}"#, "k".repeat(key), "v".repeat(value))
        };
        assert!(apply(&pair(128, 512)).is_ok());
        assert!(apply(&pair(129, 1)).is_err());
        assert!(apply(&pair(1, 513)).is_err());
        assert!(apply(r#"{"":"x"}"#).is_err());
        assert!(apply(r#"{"a":""}"#).is_err());
        assert!(apply(r#"{"a":{}}"#).is_err());
        assert_eq!(apply(r#"{"a":5}"#).unwrap()["a"], "5");
        let pairs = |number: usize| {
            let pairs: Vec<String> = (0..number).map(|n| format!(r#""k{n}":"v""#)).collect();
            format!("{{{}}}", pairs.join(","))
        };
        assert!(apply(&pairs(63)).is_ok());
        assert!(apply(&pairs(64)).is_err());
    }

    #[test]
    fn null_removes() {
        assert_eq!(
            apply(r#"{"a":null,"b":"2"}"#)
                .unwrap()
                .keys()
                .collect::<Vec<_>>(),
            ["b"]
        );
    }
}
