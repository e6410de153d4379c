//! KV version 2: a history per path.
//!
//! - `meta/<path>` holds what is known of a secret: its versions, their times, its settings; and behind
//!   it the value of the newest version, where that is short: most reads are of one record.
//! - `data/<path>\x01<version>` holds the value of any other version, as its author wrote it. No path
//!   holds a control character, so that the two never meet another path.
//! - `config` holds the settings of the mount.
//! - `v1/<path>` may hold a secret of the time when the mount was of version 1. It counts as version
//!   1 of its path, and moves to the two places above when it is next written.
//!
//! INVARIANT: a version that the metadata calls alive has its value; both change in one commit, under
//! the metadata's revision.

mod config;
mod data;
mod detailed;
mod expiry;
mod listing;
mod meta;
mod metadata;
mod secret;
mod subkeys;
mod transfer;
mod versions;

use crate::kv::KvError;
use crate::kv::listing::{ListSecrets, ScanSecrets};
use meta::MountSettings;
pub(super) use meta::key as meta_key;
use schemars::JsonSchema;
use secretum_crypto::Timestamp;
use secretum_engine::{
    Access, Context, Engine, Fault, Handle, MountStorage, Reply, Routes, Setup, Verb, Writes,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A KV version 2 mount.
#[derive(Debug)]
pub struct Kv2 {
    store: MountStorage,
}

const CONFIG_KEY: &str = "config";

impl Kv2 {
    /// Builds the engine of a mount.
    ///
    /// **Errors**: none of its own; the signature is that of every engine.
    pub fn build(setup: Setup) -> Result<Self, Fault> {
        Ok(Self { store: setup.store })
    }

    async fn settings(&self) -> Result<MountSettings, Fault> {
        match self.store.get(CONFIG_KEY).await? {
            Some(record) => record.json(),
            None => Ok(MountSettings::default()),
        }
    }
}

impl Engine for Kv2 {
    const KIND: &'static str = "kv";
    const ABOUT: &'static str = "Key-value secrets with versions";
    const ASPECTS: &'static [&'static str] = &[
        "data",
        "metadata",
        "detailed-metadata",
        "delete",
        "undelete",
        "destroy",
        "subkeys",
        "copy",
        "move",
    ];

    fn routes() -> Routes<Self> {
        Routes::new()
            .on::<config::ReadConfig>(Verb::Read, "config", Access::Token)
            .on::<config::WriteConfig>(Verb::Write, "config", Access::Token)
            .on::<data::ReadSecret>(Verb::Read, "data/{path+}", Access::Token)
            .upsert::<data::WriteSecret>("data/{path+}", Access::Token)
            .on::<data::PatchSecret>(Verb::Patch, "data/{path+}", Access::Token)
            .on::<versions::DeleteNewest>(Verb::Delete, "data/{path+}", Access::Token)
            .on::<versions::DeleteVersions>(Verb::Write, "delete/{path+}", Access::Token)
            .on::<versions::UndeleteVersions>(Verb::Write, "undelete/{path+}", Access::Token)
            .on::<versions::DestroyVersions>(Verb::Write, "destroy/{path+}", Access::Token)
            .on::<subkeys::ReadSubkeys>(Verb::Read, "subkeys/{path+}", Access::Token)
            .upsert::<transfer::CopySecret>("copy/{path+}", Access::Token)
            .touching::<transfer::CopySecret>()
            .upsert::<transfer::MoveSecret>("move/{path+}", Access::Token)
            .touching::<transfer::MoveSecret>()
            .on::<ListSecrets>(Verb::List, "metadata/{path*}", Access::Token)
            .on::<ScanSecrets>(Verb::Scan, "metadata/{path*}", Access::Token)
            .on::<detailed::ListDetailed>(Verb::List, "detailed-metadata/{path*}", Access::Token)
            .on::<detailed::ScanDetailed>(Verb::Scan, "detailed-metadata/{path*}", Access::Token)
            .on::<metadata::ReadMetadata>(Verb::Read, "metadata/{path+}", Access::Token)
            .upsert::<metadata::WriteMetadata>("metadata/{path+}", Access::Token)
            .on::<metadata::PatchMetadata>(Verb::Patch, "metadata/{path+}", Access::Token)
            .on::<metadata::DeleteMetadata>(Verb::Delete, "metadata/{path+}", Access::Token)
            .on::<Misplaced>(Verb::Read, "{path*}", Access::Token)
            .on::<Misplaced>(Verb::Write, "{path+}", Access::Token)
            .on::<Misplaced>(Verb::Delete, "{path+}", Access::Token)
            .on::<Misplaced>(Verb::List, "{path*}", Access::Token)
            .on::<Misplaced>(Verb::Scan, "{path*}", Access::Token)
    }

    async fn due(&self, data: &RawValue, now: Timestamp) -> Result<Writes, Fault> {
        self.end_versions(data, now).await
    }
}

/// Answers a path of version 1, so that its sender learns of the versions.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Misplaced {
    /// The path.
    path: String,
}

impl Handle<Misplaced> for Kv2 {
    type Data = ();
    type Error = KvError;

    async fn handle(&self, request: Misplaced, _: &Context) -> Result<Reply<()>, KvError> {
        Ok(Reply::empty().gone().warn(format!(
            "Invalid path for a versioned K/V engine: secrets are read and written at \
             `data/{0}`, and listed at `metadata/{0}`; `kv` commands do so by themselves",
            request.path
        )))
    }
}
