//! What both versions are asked for when they list names.

use super::Folder;
use schemars::JsonSchema;
use serde::Deserialize;

/// Lists the names in a folder.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListSecrets {
    /// Path of the folder.
    pub(super) path: Folder,
    /// The name behind which a page begins.
    #[serde(default)]
    pub(super) after: Option<String>,
    /// How many names a page has; all of them, sorted, where it is missing.
    #[serde(default)]
    pub(super) limit: Option<i64>,
}

/// Lists the paths of all secrets below a folder.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ScanSecrets {
    /// Path of the folder.
    pub(super) path: Folder,
    /// The path behind which a page begins.
    #[serde(default)]
    pub(super) after: Option<String>,
    /// How many paths a page has; all of them, sorted, where it is missing.
    #[serde(default)]
    pub(super) limit: Option<i64>,
}
