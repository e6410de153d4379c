//! KV version 1: a value per path, the last write wins.
//!
//! A secret is stored at `v1/<path>` with the time of its write, so that an upgrade to version 2
//! knows when its first version was made.

use crate::kv::listing::{ListSecrets, ScanSecrets};
use crate::kv::{KvError, SecretPath, version2};
use schemars::JsonSchema;
use secretum_api::fields::{JsonObject, Seconds};
use secretum_engine::{
    Access, Context, Engine, Exists, Fault, Handle, Input, ListPage, Listing, MountStorage, Reply,
    Routes, Setup, Verb, listing, to_json,
};
use secretum_storage::{Batch, Precondition};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A KV version 1 mount.
#[derive(Debug)]
pub struct Kv1 {
    store: MountStorage,
    default_ttl_seconds: u64,
}

/// A secret as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    /// When it was written, seconds since 1970.
    pub(super) written: i64,
    pub(super) data: JsonObject,
}

/// Where a secret of version 1 is stored.
pub(super) fn key(path: &str) -> String {
    format!("v1/{path}")
}

/// Reads a secret.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadSecret {
    /// Path of the secret.
    path: String,
}

/// Writes a secret; the whole body is its value.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct WriteSecret {
    /// Path of the secret.
    path: SecretPath,
    /// The secret.
    #[serde(default)]
    data: Option<JsonObject>,
}

/// Deletes a secret.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeleteSecret {
    /// Path of the secret.
    path: SecretPath,
}

impl Kv1 {
    /// Builds the engine of a mount.
    ///
    /// **Errors**: none of its own; the signature is that of every engine.
    pub fn build(setup: Setup) -> Result<Self, Fault> {
        Ok(Self {
            store: setup.store,
            default_ttl_seconds: setup.default_lease_ttl.as_secs(),
        })
    }
}

impl Kv1 {
    /// A batch that changes a secret, and fails where its path has a history of version 2: a request
    /// under way while the mount was upgraded would be acknowledged, and hidden behind it.
    fn change(&self, path: &str) -> Result<Batch, Fault> {
        let history = self.store.key(&version2::meta_key(path))?;
        Ok(Batch::new().require(history, Precondition::Absent))
    }
}

impl Engine for Kv1 {
    const KIND: &'static str = "kv";
    const ABOUT: &'static str = "Key-value secrets";

    fn routes() -> Routes<Self> {
        Routes::new()
            .on::<ReadSecret>(Verb::Read, "{path*}", Access::Token)
            .upsert::<WriteSecret>("{path+}", Access::Token)
            .whole_body("data")
            .on::<DeleteSecret>(Verb::Delete, "{path+}", Access::Token)
            .on::<ListSecrets>(Verb::List, "{path*}", Access::Token)
            .on::<ScanSecrets>(Verb::Scan, "{path*}", Access::Token)
    }
}

impl Handle<ReadSecret> for Kv1 {
    type Data = JsonObject;
    type Error = KvError;

    async fn handle(&self, request: ReadSecret, _: &Context) -> Result<Reply<JsonObject>, KvError> {
        // No secret has the path of a folder.
        let record = self.store.get(&key(&request.path)).await?;
        let stored: Stored = record.ok_or(KvError::NotFound)?.json()?;
        let ttl = self.refresh_seconds(&stored.data);
        Ok(Reply::data(stored.data).refresh_after(ttl))
    }
}

impl Kv1 {
    /// How long a client may rely on a secret: what its field `ttl` says, or else `lease`.
    fn refresh_seconds(&self, data: &JsonObject) -> u64 {
        #[derive(Deserialize)]
        struct Hint<'d> {
            #[serde(borrow, default)]
            ttl: Option<&'d RawValue>,
            #[serde(borrow, default)]
            lease: Option<&'d RawValue>,
        }
        let hint: Option<Hint<'_>> = serde_json::from_str(data.get()).ok();
        // A field of another meaning is no hint.
        hint.and_then(|hint| hint.ttl.or(hint.lease))
            .and_then(|text| serde_json::from_str(text.get()).ok())
            .map_or(self.default_ttl_seconds, |ttl: Seconds| ttl.0)
    }
}

impl Handle<WriteSecret> for Kv1 {
    type Data = ();
    type Error = KvError;

    async fn handle(&self, request: WriteSecret, context: &Context) -> Result<Reply<()>, KvError> {
        let data = request.data.filter(|data| !data.is_empty());
        let data = data.ok_or_else(|| Fault::invalid("missing data fields"))?;
        let stored = Stored {
            written: context.clock.now().unix_seconds(),
            data,
        };
        let path = request.path.as_str();
        let place = self.store.key(&key(path))?;
        Ok(Reply::wrote(
            self.change(path)?.put(place, to_json(&stored)?),
        ))
    }
}

impl Exists<WriteSecret> for Kv1 {
    async fn exists(&self, input: &Input<'_>, _: &Context) -> Result<bool, KvError> {
        Ok(self.store.get(&key(input.capture("path"))).await?.is_some())
    }
}

impl Handle<DeleteSecret> for Kv1 {
    type Data = ();
    type Error = KvError;

    async fn handle(&self, request: DeleteSecret, _: &Context) -> Result<Reply<()>, KvError> {
        let path = request.path.as_str();
        let place = self.store.key(&key(path))?;
        Ok(Reply::wrote(self.change(path)?.delete(place)))
    }
}

impl Handle<ListSecrets> for Kv1 {
    type Data = Listing;
    type Error = KvError;

    async fn handle(&self, request: ListSecrets, _: &Context) -> Result<Reply<Listing>, KvError> {
        let page = ListPage::of(request.after, request.limit);
        let folder = key(request.path.as_str());
        Ok(listing(
            self.store
                .children(&folder, page.after(), page.limit)
                .await?,
        )?)
    }
}

impl Handle<ScanSecrets> for Kv1 {
    type Data = Listing;
    type Error = KvError;

    async fn handle(&self, request: ScanSecrets, _: &Context) -> Result<Reply<Listing>, KvError> {
        let page = ListPage::of(request.after, request.limit);
        let folder = key(request.path.as_str());
        let paths = self.store.descendants(&folder, page.after(), page.limit);
        Ok(listing(paths.await?)?)
    }
}
