//! `data/`: reading, writing and patching the values of secrets.

use super::Kv2;
use super::expiry::Ttl;
use super::secret::{Secret, VersionFacts};
use crate::kv::{KvError, SecretPath, merge};
use schemars::JsonSchema;
use secretum_api::fields::{Count, JsonObject};
use secretum_crypto::Timestamp;
use secretum_engine::{Context, Exists, Fault, Handle, Input, Reply};
use serde::{Deserialize, Serialize};

/// Reads a version of a secret; the newest unless `version` names another.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadSecret {
    /// Path of the secret.
    path: SecretPath,
    /// Version to read; 0 is the newest.
    #[serde(default)]
    version: Count,
}

/// Writes a new version of a secret.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct WriteSecret {
    /// Path of the secret.
    path: SecretPath,
    /// The secret.
    #[serde(default)]
    data: Option<JsonObject>,
    /// Options of the write.
    #[serde(default)]
    options: WriteOptions,
}

/// Writes a new version of a secret: the newest, changed by a JSON merge patch.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct PatchSecret {
    /// Path of the secret.
    path: SecretPath,
    /// The patch.
    #[serde(default)]
    data: Option<JsonObject>,
    /// Options of the write.
    #[serde(default)]
    options: WriteOptions,
}

/// Options of a write.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct WriteOptions {
    /// The newest version as the writer knows it; 0 where there is to be none.
    #[serde(default)]
    cas: Option<Count>,
    /// How long the new version lives, after which it is destroyed.
    #[serde(default)]
    ttl: Option<Ttl>,
}

/// A version of a secret.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SecretVersion {
    data: Option<JsonObject>,
    metadata: VersionFacts,
}

/// How often a read follows a writer that drops the version it looks for.
pub(super) const READ_TRIES: usize = 8;

impl Handle<ReadSecret> for Kv2 {
    type Data = SecretVersion;
    type Error = KvError;

    async fn handle(
        &self,
        request: ReadSecret,
        context: &Context,
    ) -> Result<Reply<SecretVersion>, KvError> {
        let now = context.clock.now();
        for _ in 0..READ_TRIES {
            let secret = self
                .find(request.path.as_str())
                .await?
                .ok_or(KvError::NotFound)?;
            let (version, meta) = secret.version(request.version.0).ok_or(KvError::NotFound)?;
            let alive = meta.is_alive(now);
            let metadata = secret.facts(version, now).ok_or(KvError::NotFound)?;
            if !alive {
                return Ok(Reply::data(SecretVersion {
                    data: None,
                    metadata,
                })
                .gone());
            }
            if let Some(data) = self.value(&secret, version).await? {
                return Ok(Reply::data(SecretVersion {
                    data: Some(data),
                    metadata,
                }));
            }
            // Between the two reads a writer dropped this version: look again.
        }
        Err(Fault::Unavailable("the secret is being changed by others: try again".into()).into())
    }
}

impl Kv2 {
    /// Adds a version.
    async fn add(
        &self,
        secret: &mut Secret,
        data: &JsonObject,
        (now, expires): (Timestamp, Option<i64>),
    ) -> Result<Reply<VersionFacts>, KvError> {
        let (writes, facts) = self.add_version(secret, data, (now, expires)).await?;
        Ok(Reply::data(facts).with_writes(writes))
    }

    /// Whether a write may go on that names (or does not name) the newest version.
    async fn check_cas(&self, secret: &Secret, cas: Option<Count>) -> Result<(), KvError> {
        match cas {
            Some(cas) if cas.0 != secret.meta.current => Err(KvError::CasMismatch),
            Some(_) => Ok(()),
            None if secret.meta.cas_required || self.settings().await?.cas_required => {
                Err(KvError::CasRequired)
            }
            None => Ok(()),
        }
    }
}

impl Handle<WriteSecret> for Kv2 {
    type Data = VersionFacts;
    type Error = KvError;

    async fn handle(
        &self,
        request: WriteSecret,
        context: &Context,
    ) -> Result<Reply<VersionFacts>, KvError> {
        let data = request.data.ok_or(KvError::NoData)?;
        let now = context.clock.now();
        let mut secret = self.find_or_new(request.path.as_str(), now).await?;
        self.check_cas(&secret, request.options.cas).await?;
        let expires = request.options.ttl.map(|ttl| ttl.ends(now));
        self.add(&mut secret, &data, (now, expires)).await
    }
}

impl Exists<WriteSecret> for Kv2 {
    async fn exists(&self, input: &Input<'_>, _: &Context) -> Result<bool, KvError> {
        Ok(self.find(input.capture("path")).await?.is_some())
    }
}

impl Handle<PatchSecret> for Kv2 {
    type Data = VersionFacts;
    type Error = KvError;

    async fn handle(
        &self,
        request: PatchSecret,
        context: &Context,
    ) -> Result<Reply<VersionFacts>, KvError> {
        let patch = request.data.ok_or(KvError::NoData)?;
        let now = context.clock.now();
        let secret = self.find(request.path.as_str()).await?;
        let mut secret = secret.ok_or(KvError::NotFound)?;
        let (version, meta) = secret.version(0).ok_or(KvError::NotFound)?;
        let (is_alive, expires) = (meta.is_alive(now), meta.expires);
        self.check_cas(&secret, request.options.cas).await?;
        if !is_alive {
            let facts = secret.facts(version, now).ok_or(KvError::NotFound)?;
            return Ok(Reply::data(facts).gone());
        }
        let current = self
            .value(&secret, version)
            .await?
            .ok_or(KvError::NotFound)?;
        let data = merge::merge(&current, &patch)?;
        let expires = match request.options.ttl {
            Some(ttl) => Some(ttl.ends(now)),
            // What is left of the value was to live so long and no longer.
            None => expires,
        };
        self.add(&mut secret, &data, (now, expires)).await
    }
}
