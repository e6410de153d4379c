//! Listing names: of a folder, or of everything below it.
//!
//! A mount that was of version 1 has names in two places until each secret is written again.

use super::{Kv2, meta};
use crate::kv::listing::{ListSecrets, ScanSecrets};
use crate::kv::{KvError, version1};
use secretum_engine::{Context, Fault, Handle, ListPage, Listing, Reply, listing};
use std::collections::BTreeSet;

/// How far down a listing looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The names of the folder.
    One,
    /// Everything below it.
    All,
}

impl Handle<ListSecrets> for Kv2 {
    type Data = Listing;
    type Error = KvError;

    async fn handle(&self, request: ListSecrets, _: &Context) -> Result<Reply<Listing>, KvError> {
        let page = ListPage::of(request.after, request.limit);
        let names = self.names(request.path.as_str(), &page, Depth::One).await?;
        Ok(listing(names)?)
    }
}

impl Handle<ScanSecrets> for Kv2 {
    type Data = Listing;
    type Error = KvError;

    async fn handle(&self, request: ScanSecrets, _: &Context) -> Result<Reply<Listing>, KvError> {
        let page = ListPage::of(request.after, request.limit);
        let names = self.names(request.path.as_str(), &page, Depth::All).await?;
        Ok(listing(names)?)
    }
}

impl Kv2 {
    /// The part of a listing that a client asks for.
    pub(super) async fn names(
        &self,
        folder: &str,
        page: &ListPage,
        depth: Depth,
    ) -> Result<Vec<String>, KvError> {
        match page.limit {
            Some(limit) => self.page(folder, page.after(), limit, depth).await,
            None => self.all(folder, page.after(), depth).await,
        }
    }
}

impl Kv2 {
    /// The whole listing, sorted; what is in both places is named once.
    async fn all(
        &self,
        folder: &str,
        after: Option<&str>,
        depth: Depth,
    ) -> Result<Vec<String>, KvError> {
        // What moves between the two looks is then in both, and not in none.
        let old = version1::key(folder);
        let older = self.part(&old, after, None, depth).await?;
        let names = self.part(&meta::key(folder), after, None, depth).await?;
        if older.is_empty() {
            return Ok(names);
        }
        let all: BTreeSet<String> = names.into_iter().chain(older).collect();
        Ok(all.into_iter().collect())
    }

    /// A page of the listing: the names that have metadata in the order of the storage, then those of
    /// the time of version 1 in theirs, without what was named before.
    async fn page(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: usize,
        depth: Depth,
    ) -> Result<Vec<String>, KvError> {
        let mut after_old = match after {
            Some(after) if self.is_old(folder, after).await? => Some(after.to_owned()),
            _ => None,
        };
        let mut names = match &after_old {
            Some(_) => Vec::new(),
            None => {
                let place = meta::key(folder);
                self.part(&place, after, Some(limit), depth).await?
            }
        };
        let old = version1::key(folder);
        while names.len() < limit {
            let room = limit - names.len();
            let older = self
                .part(&old, after_old.as_deref(), Some(room), depth)
                .await?;
            let Some(last) = older.last() else { break };
            after_old = Some(last.clone());
            for name in older {
                // A secret moves as a whole; a folder can be in both places.
                if !name.ends_with('/') || self.is_old(folder, &name).await? {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    /// Whether a name of a folder is there from the time of version 1 alone.
    async fn is_old(&self, folder: &str, name: &str) -> Result<bool, KvError> {
        let path = format!("{folder}{name}");
        let has = async |place: String| -> Result<bool, Fault> {
            if name.ends_with('/') {
                let below = self.store.children(&place, None, Some(1)).await?;
                Ok(!below.is_empty())
            } else {
                Ok(self.store.get(&place).await?.is_some())
            }
        };
        Ok(!has(meta::key(&path)).await? && has(version1::key(&path)).await?)
    }

    async fn part(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: Option<usize>,
        depth: Depth,
    ) -> Result<Vec<String>, KvError> {
        Ok(match depth {
            Depth::One => self.store.children(folder, after, limit).await?,
            Depth::All => self.store.descendants(folder, after, limit).await?,
        })
    }
}
