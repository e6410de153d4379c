//! `metadata/`: what is known of a secret, and its own settings.

use super::Kv2;
use super::meta::{self, Meta, VersionsKept};
use super::secret::Secret;
use crate::kv::merge::members;
use crate::kv::{KvError, SecretPath};
use schemars::JsonSchema;
use secretum_api::fields::{Count, JsonObject, Seconds, go_duration};
use secretum_crypto::Timestamp;
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
    /// Whether a change of these settings must name the newest version of the metadata.
    #[serde(default)]
    metadata_cas_required: Option<bool>,
    /// The newest version of the metadata as the writer knows it; 0 where there is to be none.
    #[serde(default)]
    metadata_cas: Option<Count>,
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
    /// Whether a change of these settings must name the newest version of the metadata.
    #[serde(default)]
    metadata_cas_required: Option<bool>,
    /// The newest version of the metadata as the writer knows it; 0 where there is to be none.
    #[serde(default)]
    metadata_cas: Option<Count>,
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
    current_metadata_version: u64,
    current_version: u64,
    custom_metadata: Option<BTreeMap<String, String>>,
    delete_version_after: String,
    max_versions: u64,
    metadata_cas_required: bool,
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
        let secret = self.find(request.path.as_str()).await?;
        let secret = secret.ok_or(KvError::NotFound)?;
        Ok(Reply::data(SecretFacts::of(
            secret.meta,
            context.clock.now(),
        )))
    }
}

impl SecretFacts {
    /// What a client is told of a secret.
    pub(super) fn of(meta: Meta, now: Timestamp) -> Self {
        let custom_metadata = meta.custom();
        let times = meta.versions.into_iter().map(|(number, version)| {
            let times = VersionTimes {
                created_time: meta::time(version.created),
                deletion_time: version.deletion_time(),
                destroyed: version.is_destroyed(now),
                expire_time: version.expire_time(),
            };
            (number, times)
        });
        Self {
            cas_required: meta.cas_required,
            created_time: meta::time(meta.created),
            current_metadata_version: meta.metadata_version,
            current_version: meta.current,
            custom_metadata,
            delete_version_after: go_duration(Seconds(meta.delete_version_after).duration()),
            max_versions: meta.max_versions,
            metadata_cas_required: meta.metadata_cas_required,
            oldest_version: meta.oldest,
            updated_time: meta::time(meta.updated),
            versions: times.collect(),
        }
    }
}

/// Settings to be put in the place of those that were; what is `None` stays.
struct Settings {
    max_versions: Option<VersionsKept>,
    cas_required: Option<bool>,
    metadata_cas_required: Option<bool>,
    delete_version_after: Option<Seconds>,
    custom_metadata: Option<JsonObject>,
}

impl From<WriteMetadata> for Settings {
    fn from(request: WriteMetadata) -> Self {
        Self {
            max_versions: request.max_versions,
            cas_required: request.cas_required,
            metadata_cas_required: request.metadata_cas_required,
            delete_version_after: request.delete_version_after,
            custom_metadata: request.custom_metadata,
        }
    }
}

impl From<PatchMetadata> for Settings {
    fn from(request: PatchMetadata) -> Self {
        Self {
            max_versions: request.max_versions,
            cas_required: request.cas_required,
            metadata_cas_required: request.metadata_cas_required,
            delete_version_after: request.delete_version_after,
            custom_metadata: request.custom_metadata,
        }
    }
}

impl Settings {
    /// Whether nothing is to change.
    fn is_empty(&self) -> bool {
        self.max_versions.is_none()
            && self.cas_required.is_none()
            && self.metadata_cas_required.is_none()
            && self.delete_version_after.is_none()
            && self.custom_metadata.is_none()
    }

    /// Puts them in their place. Custom metadata is a merge patch of `custom`, or all that there is
    /// to be where that is `None`.
    fn apply(
        self,
        meta: &mut Meta,
        custom: Option<BTreeMap<String, String>>,
        now: Timestamp,
    ) -> Result<(), KvError> {
        if let Some(patch) = self.custom_metadata {
            let custom = patched(custom, &patch)?;
            meta.custom = Some(custom).filter(|custom| !custom.is_empty());
        }
        meta.max_versions = self.max_versions.map_or(meta.max_versions, u64::from);
        meta.cas_required = self.cas_required.unwrap_or(meta.cas_required);
        meta.metadata_cas_required =
            (self.metadata_cas_required).unwrap_or(meta.metadata_cas_required);
        if let Some(life) = self.delete_version_after {
            meta.delete_version_after = life.0;
        }
        meta.metadata_version = meta.metadata_version.saturating_add(1);
        meta.updated = now.unix_nanos();
        Ok(())
    }
}

impl Kv2 {
    /// Whether settings may be changed by a request that names (or does not name) the newest version
    /// of the metadata.
    async fn check_metadata_cas(&self, secret: &Secret, cas: Option<Count>) -> Result<(), KvError> {
        match cas {
            Some(cas) if cas.0 == secret.meta.metadata_version => Ok(()),
            Some(_) if secret.is_new() => Err(KvError::MetadataCasOfNew),
            Some(_) => Err(KvError::MetadataCasMismatch),
            None if secret.meta.metadata_cas_required
                || self.settings().await?.metadata_cas_required =>
            {
                Err(KvError::MetadataCasRequired)
            }
            None => Ok(()),
        }
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
        let cas = request.metadata_cas;
        let settings = Settings::from(request);
        // What names no setting makes no secret, and no version of its metadata.
        if settings.is_empty() {
            return Ok(Reply::empty());
        }
        self.check_metadata_cas(&secret, cas).await?;
        settings.apply(&mut secret.meta, None, now)?;
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
        let secret = self.find(request.path.as_str()).await?;
        let mut secret = secret.ok_or(KvError::NotFound)?;
        let cas = request.metadata_cas;
        let settings = Settings::from(request);
        if settings.is_empty() {
            return Ok(Reply::empty());
        }
        self.check_metadata_cas(&secret, cas).await?;
        let custom = secret.meta.custom().unwrap_or_default();
        settings.apply(&mut secret.meta, Some(custom), context.clock.now())?;
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

/// Custom metadata changed by a merge patch, within its limits; where there is none to change, a null
/// has nothing to remove and is refused.
fn patched(
    custom: Option<BTreeMap<String, String>>,
    patch: &JsonObject,
) -> Result<BTreeMap<String, String>, KvError> {
    let removes = custom.is_some();
    let mut custom = custom.unwrap_or_default();
    let refuse = |text: String| Err(KvError::CustomMetadata(text));
    for (name, value) in members(patch.get())?.0 {
        if value.get() == "null" && removes {
            custom.remove(&name);
            continue;
        }
        let text = match value.get().as_bytes().first() {
            Some(b'n') => String::new(),
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
        patched(Some(custom), &serde_json::from_str(patch).unwrap())
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
    fn null_removes_where_there_is_something_to_change() {
        assert_eq!(
            apply(r#"{"a":null,"b":"2"}"#)
                .unwrap()
                .keys()
                .collect::<Vec<_>>(),
            ["b"]
        );
        let patch = serde_json::from_str(r#"{"a":null}"#).unwrap();
        let refused = patched(None, &patch).unwrap_err().to_string();
        assert!(refused.contains("`a` is empty"), "{refused}");
    }
}
