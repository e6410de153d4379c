//! `detailed-metadata/`: a listing with what is known of each secret, in one answer.

use super::Kv2;
use super::listing::Depth;
use super::metadata::SecretFacts;
use crate::kv::{Folder, KvError};
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, ListPage, Reply};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most names of one answer: it holds everything that is known of each.
const NAMES_MAX: usize = 10_000;

/// Lists the names in a folder, with what is known of each secret.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListDetailed {
    /// Path of the folder.
    path: Folder,
    /// The name behind which a page begins.
    #[serde(default)]
    after: Option<String>,
    /// How many names a page has; all of them, sorted, where it is missing.
    #[serde(default)]
    limit: Option<i64>,
}

/// Lists the paths of all secrets below a folder, with what is known of each.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ScanDetailed {
    /// Path of the folder.
    path: Folder,
    /// The path behind which a page begins.
    #[serde(default)]
    after: Option<String>,
    /// How many paths a page has; all of them, sorted, where it is missing.
    #[serde(default)]
    limit: Option<i64>,
}

/// Names below a folder, and what is known of them.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DetailedListing {
    keys: Vec<String>,
    key_info: BTreeMap<String, KeyInfo>,
}

/// What is known of a name.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum KeyInfo {
    Secret(Box<SecretFacts>),
    Folder {},
}

impl Handle<ListDetailed> for Kv2 {
    type Data = DetailedListing;
    type Error = KvError;

    async fn handle(
        &self,
        request: ListDetailed,
        context: &Context,
    ) -> Result<Reply<DetailedListing>, KvError> {
        let page = ListPage::of(request.after, request.limit);
        let of = (request.path.as_str(), Depth::One);
        self.detailed(of, &page, context).await
    }
}

impl Handle<ScanDetailed> for Kv2 {
    type Data = DetailedListing;
    type Error = KvError;

    async fn handle(
        &self,
        request: ScanDetailed,
        context: &Context,
    ) -> Result<Reply<DetailedListing>, KvError> {
        let page = ListPage::of(request.after, request.limit);
        let of = (request.path.as_str(), Depth::All);
        self.detailed(of, &page, context).await
    }
}

impl Kv2 {
    async fn detailed(
        &self,
        (folder, depth): (&str, Depth),
        page: &ListPage,
        context: &Context,
    ) -> Result<Reply<DetailedListing>, KvError> {
        check_size(page.limit.unwrap_or_default())?;
        let names = self.names(folder, page, depth).await?;
        check_size(names.len())?;
        let now = context.clock.now();
        let (mut keys, mut key_info) = (Vec::with_capacity(names.len()), BTreeMap::new());
        for name in names {
            let info = if name.ends_with('/') {
                KeyInfo::Folder {}
            } else {
                match self.find(&format!("{folder}{name}")).await? {
                    Some(secret) => KeyInfo::Secret(Box::new(SecretFacts::of(secret.meta, now))),
                    // Removed since it was listed.
                    None => continue,
                }
            };
            keys.push(name.clone());
            key_info.insert(name, info);
        }
        if keys.is_empty() {
            return Err(KvError::NotFound);
        }
        Ok(Reply::data(DetailedListing { keys, key_info }))
    }
}

fn check_size(names: usize) -> Result<(), Fault> {
    if names <= NAMES_MAX {
        Ok(())
    } else {
        Err(Fault::invalid(format!(
            "a listing with metadata has at most {NAMES_MAX} names: list them in pages, with `limit` \
             and `after`"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_names_has_its_limit() {
        assert!(check_size(NAMES_MAX).is_ok());
        let refused = check_size(NAMES_MAX + 1).unwrap_err().to_string();
        assert!(refused.contains("10000 names"), "{refused}");
    }
}
