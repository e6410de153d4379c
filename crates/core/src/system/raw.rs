//! `sys/raw`: the storage as it is behind the barrier, for repairs. It is off unless configured.

use super::{Sys, System};
use crate::active::Active;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Listing, MountStorage, Reply, listing};
use secretum_storage::{Batch, Key};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is below the barrier, and no key behind it.
const PROTECTED: &str = "core/";

/// Reads a stored value.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadRaw {
    /// The storage key.
    path: String,
    /// `base64` for a value that is no text.
    #[serde(default)]
    encoding: String,
    /// Accepted for compatibility: nothing is stored compressed.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    compressed: bool,
}

/// Puts a value into the storage.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteRaw {
    /// The storage key.
    path: String,
    /// The value.
    #[serde(default)]
    value: String,
    /// `base64` where the value is.
    #[serde(default)]
    encoding: String,
    /// Accepted for compatibility: nothing is stored compressed.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    compressed: bool,
    /// Accepted for compatibility: nothing is stored compressed.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    compression_type: String,
}

/// Deletes a stored value.
#[derive(Deserialize, JsonSchema)]
pub(super) struct DeleteRaw {
    /// The storage key.
    path: String,
}

/// Lists storage keys.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListRaw {
    /// What they begin with, up to a slash.
    #[serde(default)]
    path: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct RawData {
    value: String,
}

/// The vault, where its storage may be touched.
fn active(context: &Context) -> Result<Arc<Active>, Fault> {
    let active = Arc::clone(&System::of(context)?.active);
    if active.core.config.node.raw_storage_endpoint {
        Ok(active)
    } else {
        // As if it were not there.
        Err(Fault::NotFoundBecause("unsupported path".into()))
    }
}

fn key(path: &str) -> Result<Key, Fault> {
    if path.starts_with(PROTECTED) || path.is_empty() {
        return Err(Fault::invalid(format!("cannot access {path:?}")));
    }
    Ok(Key::try_from(path)?)
}

fn is_base64(encoding: &str) -> Result<bool, Fault> {
    match encoding {
        "" => Ok(false),
        "base64" => Ok(true),
        other => Err(Fault::invalid(format!("invalid encoding {other:?}"))),
    }
}

handler!(ReadRaw, RawData, ask, context => {
    let active = active(context)?;
    let as_base64 = is_base64(&ask.encoding)?;
    let entry = active.storage.get(&key(&ask.path)?).await?.ok_or(Fault::NotFound)?;
    let value = if as_base64 {
        STANDARD.encode(&entry.value)
    } else {
        String::from_utf8(entry.value.to_vec()).map_err(|_| {
            Fault::invalid("the value is no text: read it with `encoding=base64`")
        })?
    };
    Ok(Reply::data(RawData { value }))
});

handler!(WriteRaw, (), ask, context => {
    active(context)?;
    let value = if is_base64(&ask.encoding)? {
        STANDARD.decode(&ask.value).map_err(|_| Fault::invalid("the value is no base64"))?
    } else {
        ask.value.into_bytes()
    };
    Ok(Reply::wrote(Batch::new().put(key(&ask.path)?, value)))
});

handler!(DeleteRaw, (), ask, context => {
    active(context)?;
    Ok(Reply::wrote(Batch::new().delete(key(&ask.path)?)))
});

handler!(ListRaw, Listing, ask, context => {
    let active = active(context)?;
    let folder = match ask.path.trim_end_matches('/') {
        "" => String::new(),
        path => format!("{path}/"),
    };
    if folder.starts_with(PROTECTED) {
        return Err(Fault::invalid(format!("cannot access {folder:?}")));
    }
    let all = MountStorage::new(Arc::clone(&active.storage), Key::try_from("")?);
    let mut names = all.children(&folder, None, None).await?;
    names.retain(|name| !folder.is_empty() || name != PROTECTED);
    listing(names)
});
