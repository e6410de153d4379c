//! KV version 2: a history per path.
//!
//! - `meta/<path>` holds what is known of a secret: its versions, their times, its settings.
//! - `data/<path>\x01<version>` holds the value of a version, as its author wrote it. No path holds a
//!   control character, so that the two never meet another path.
//! - `config` holds the settings of the mount.
//! - `v1/<path>` may hold a secret of the time when the mount was of version 1. It counts as version
//!   1 of its path, and moves to the two places above when it is next written.
//!
//! INVARIANT: a version that the metadata calls alive has its value; both change in one commit, under
//! the metadata's revision.

mod config;
mod data;
mod meta;
mod metadata;
mod secret;
mod subkeys;
mod versions;

use crate::kv::{Folder, KvError, Page, version1};
use meta::MountSettings;
use schemars::JsonSchema;
use secretum_engine::{
    Access, Context, Engine, Fault, Handle, Listing, MountStorage, Reply, Routes, Setup, Verb,
    listing,
};
use serde::Deserialize;
use std::collections::BTreeSet;

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
            .on::<ListSecrets>(Verb::List, "metadata/{path*}", Access::Token)
            .on::<ScanSecrets>(Verb::Scan, "metadata/{path*}", Access::Token)
            .on::<metadata::ReadMetadata>(Verb::Read, "metadata/{path+}", Access::Token)
            .upsert::<metadata::WriteMetadata>("metadata/{path+}", Access::Token)
            .on::<metadata::PatchMetadata>(Verb::Patch, "metadata/{path+}", Access::Token)
            .on::<metadata::DeleteMetadata>(Verb::Delete, "metadata/{path+}", Access::Token)
            .on::<Misplaced>(Verb::Read, "{path+}", Access::Token)
            .on::<Misplaced>(Verb::Write, "{path+}", Access::Token)
            .on::<Misplaced>(Verb::Delete, "{path+}", Access::Token)
            .on::<Misplaced>(Verb::List, "{path*}", Access::Token)
    }
}

/// Lists the names in a folder.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListSecrets {
    /// Path of the folder.
    path: Folder,
    /// The name behind which a page begins.
    #[serde(default)]
    after: Option<String>,
    /// How many names a page has; all of them, sorted, where it is missing.
    #[serde(default)]
    limit: Option<i64>,
}

/// Lists the paths of all secrets below a folder.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ScanSecrets {
    /// Path of the folder.
    path: Folder,
    /// The path behind which a page begins.
    #[serde(default)]
    after: Option<String>,
    /// How many paths a page has; all of them, sorted, where it is missing.
    #[serde(default)]
    limit: Option<i64>,
}

impl Handle<ListSecrets> for Kv2 {
    type Data = Listing;
    type Error = KvError;

    async fn handle(&self, request: ListSecrets, _: &Context) -> Result<Reply<Listing>, KvError> {
        let page = Page::of(request.after, request.limit);
        self.names(request.path.as_str(), &page, false).await
    }
}

impl Handle<ScanSecrets> for Kv2 {
    type Data = Listing;
    type Error = KvError;

    async fn handle(&self, request: ScanSecrets, _: &Context) -> Result<Reply<Listing>, KvError> {
        let page = Page::of(request.after, request.limit);
        self.names(request.path.as_str(), &page, true).await
    }
}

impl Kv2 {
    /// Names below a folder, at any depth where `deep`. Those of the time of version 1 follow; what
    /// is in both places is named once.
    async fn names(
        &self,
        folder: &str,
        page: &Page,
        deep: bool,
    ) -> Result<Reply<Listing>, KvError> {
        let names = self
            .part(&meta::key(folder), page.after(), page.limit, deep)
            .await?;
        let room = page.limit.map(|limit| limit.saturating_sub(names.len()));
        if room == Some(0) {
            return Ok(listing(names)?);
        }
        let after = page.after().filter(|_| names.is_empty());
        let older = self.part(&version1::key(folder), after, room, deep).await?;
        if older.is_empty() {
            return Ok(listing(names)?);
        }
        let all: BTreeSet<String> = names.into_iter().chain(older).collect();
        Ok(listing(all.into_iter().collect())?)
    }

    async fn part(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: Option<usize>,
        deep: bool,
    ) -> Result<Vec<String>, KvError> {
        if deep {
            Ok(self.store.descendants(folder, after, limit).await?)
        } else {
            Ok(self.store.children(folder, after, limit).await?)
        }
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
