//! `subkeys/`: the shape of a secret without its values.

use super::Kv2;
use super::secret::VersionFacts;
use crate::kv::merge::{Members, members};
use crate::kv::{KvError, SecretPath};
use schemars::JsonSchema;
use secretum_api::fields::{Count, JsonObject};
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// Reads the keys of a version of a secret, every value replaced by null.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadSubkeys {
    /// Path of the secret.
    path: SecretPath,
    /// Version to read; 0 is the newest.
    #[serde(default)]
    version: Count,
    /// How many levels to show; 0 for all.
    #[serde(default)]
    depth: Count,
}

/// The keys of a version.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Subkeys {
    metadata: VersionFacts,
    subkeys: Option<JsonObject>,
}

impl Handle<ReadSubkeys> for Kv2 {
    type Data = Subkeys;
    type Error = KvError;

    async fn handle(
        &self,
        request: ReadSubkeys,
        context: &Context,
    ) -> Result<Reply<Subkeys>, KvError> {
        let now = context.clock.now();
        let secret = self
            .find(request.path.as_str())
            .await?
            .ok_or(KvError::NotFound)?;
        let (version, meta) = secret.version(request.version.0).ok_or(KvError::NotFound)?;
        let alive = meta.is_alive(now);
        let metadata = secret.facts(version, now).ok_or(KvError::NotFound)?;
        if !alive {
            return Ok(Reply::data(Subkeys {
                metadata,
                subkeys: None,
            })
            .gone());
        }
        let value = self
            .value(&secret, version)
            .await?
            .ok_or(KvError::NotFound)?;
        let depth = if request.depth.0 == 0 {
            u64::MAX
        } else {
            request.depth.0
        };
        let shape = shape(value.get(), depth)?.ok_or(KvError::NotFound)?;
        let subkeys = Some(JsonObject::new(shape).map_err(Fault::internal)?);
        Ok(Reply::data(Subkeys { metadata, subkeys }))
    }
}

/// An object with its values replaced by null, down to a depth; `None` for what is no object, and for
/// an empty one, which has no shape to show.
fn shape(json: &str, depth: u64) -> Result<Option<Box<RawValue>>, KvError> {
    if !json.starts_with('{') || depth == 0 {
        return Ok(None);
    }
    let null = || to_raw_value(&()).map_err(Fault::internal);
    let mut shown = Members::default();
    for (name, value) in members(json)?.0 {
        let inner = shape(value.get(), depth - 1)?;
        let inner = match inner {
            Some(inner) if inner.get() != "{}" => inner,
            _ => null()?,
        };
        shown.0.push((name, inner));
    }
    Ok(Some(to_raw_value(&shown).map_err(Fault::internal)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_gone_at_every_depth() {
        let json = r#"{"a":"x","b":{"c":1,"d":{"e":[1]}},"f":{}}"#;
        let shown = |depth| shape(json, depth).unwrap().unwrap().get().to_owned();
        assert_eq!(shown(1), r#"{"a":null,"b":null,"f":null}"#);
        assert_eq!(shown(2), r#"{"a":null,"b":{"c":null,"d":null},"f":null}"#);
        assert_eq!(
            shown(u64::MAX),
            r#"{"a":null,"b":{"c":null,"d":{"e":null}},"f":null}"#
        );
    }
}
