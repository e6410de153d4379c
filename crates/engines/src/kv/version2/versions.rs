//! Deleting, undeleting and destroying versions.

use super::Kv2;
use super::meta::VersionMeta;
use crate::kv::{KvError, SecretPath};
use schemars::JsonSchema;
use secretum_crypto::Timestamp;
use secretum_engine::{Context, Handle, Reply};
use serde::Deserialize;

/// Deletes the newest version; it can be undeleted.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeleteNewest {
    /// Path of the secret.
    path: SecretPath,
}

/// Deletes versions; they can be undeleted.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeleteVersions {
    /// Path of the secret.
    path: SecretPath,
    /// Numbers of the versions.
    #[serde(default)]
    versions: Versions,
}

/// Undeletes versions.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct UndeleteVersions {
    /// Path of the secret.
    path: SecretPath,
    /// Numbers of the versions.
    #[serde(default)]
    versions: Versions,
}

/// Destroys versions: their values are removed for good.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DestroyVersions {
    /// Path of the secret.
    path: SecretPath,
    /// Numbers of the versions.
    #[serde(default)]
    versions: Versions,
}

/// Numbers of versions: a list of numbers, of texts, or one comma-separated text.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(try_from = "secretum_api::fields::CommaList")]
#[schemars(with = "secretum_api::fields::CommaList")]
struct Versions(Vec<u64>);

impl TryFrom<secretum_api::fields::CommaList> for Versions {
    type Error = String;

    fn try_from(list: secretum_api::fields::CommaList) -> Result<Self, String> {
        let numbers = list.0.iter().map(|text| text.parse());
        let numbers = numbers.collect::<Result<_, _>>();
        numbers
            .map(Self)
            .map_err(|_| "versions must be whole numbers".to_owned())
    }
}

impl Versions {
    fn some(self) -> Result<Vec<u64>, KvError> {
        if self.0.is_empty() {
            Err(KvError::NoVersions)
        } else {
            Ok(self.0)
        }
    }
}

impl Kv2 {
    /// Changes what is known of versions; `None` where there is nothing to change.
    async fn change(
        &self,
        path: &SecretPath,
        versions: Option<Vec<u64>>,
        change: impl Fn(&mut VersionMeta) -> bool + Send,
    ) -> Result<Reply<()>, KvError> {
        let Some(mut secret) = self.find(path.as_str()).await? else {
            return Ok(Reply::empty());
        };
        let versions = versions.unwrap_or_else(|| vec![secret.meta.current]);
        let mut changed = Vec::new();
        for version in versions {
            if let Some(meta) = secret.meta.versions.get_mut(&version)
                && change(meta)
            {
                changed.push(version);
            }
        }
        if changed.is_empty() {
            return Ok(Reply::empty());
        }
        let destroyed: Vec<u64> = changed
            .into_iter()
            .filter(|version| {
                secret
                    .meta
                    .versions
                    .get(version)
                    .is_some_and(|meta| meta.destroyed)
            })
            .collect();
        Ok(Reply::wrote(self.put_without(&mut secret, &destroyed)?))
    }
}

/// Marks a version as deleted now, unless it is already.
fn delete(meta: &mut VersionMeta, now: Timestamp) -> bool {
    let alive = meta.is_alive(now);
    if alive {
        meta.deleted = Some(now.unix_nanos());
    }
    alive
}

impl Handle<DeleteNewest> for Kv2 {
    type Data = ();
    type Error = KvError;

    async fn handle(&self, request: DeleteNewest, context: &Context) -> Result<Reply<()>, KvError> {
        let now = context.clock.now();
        self.change(&request.path, None, |meta| delete(meta, now))
            .await
    }
}

impl Handle<DeleteVersions> for Kv2 {
    type Data = ();
    type Error = KvError;

    async fn handle(
        &self,
        request: DeleteVersions,
        context: &Context,
    ) -> Result<Reply<()>, KvError> {
        let now = context.clock.now();
        let versions = request.versions.some()?;
        self.change(&request.path, Some(versions), |meta| delete(meta, now))
            .await
    }
}

impl Handle<UndeleteVersions> for Kv2 {
    type Data = ();
    type Error = KvError;

    async fn handle(
        &self,
        request: UndeleteVersions,
        context: &Context,
    ) -> Result<Reply<()>, KvError> {
        let now = context.clock.now();
        let versions = request.versions.some()?;
        let undelete =
            |meta: &mut VersionMeta| !meta.is_destroyed(now) && meta.deleted.take().is_some();
        self.change(&request.path, Some(versions), undelete).await
    }
}

impl Handle<DestroyVersions> for Kv2 {
    type Data = ();
    type Error = KvError;

    async fn handle(&self, request: DestroyVersions, _: &Context) -> Result<Reply<()>, KvError> {
        let versions = request.versions.some()?;
        let destroy = |meta: &mut VersionMeta| !std::mem::replace(&mut meta.destroyed, true);
        self.change(&request.path, Some(versions), destroy).await
    }
}
