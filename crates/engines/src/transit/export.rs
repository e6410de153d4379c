//! `export`: the bytes of keys that were made for that.

use super::cipher::Encoded;
use super::key::KeyName;
use super::{Transit, TransitError};
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Reads the bytes of a key.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ExportKey {
    /// What is exported: `encryption-key`.
    r#type: String,
    /// Name of the key.
    name: KeyName,
    /// Which version: a number, or `latest`; all of them where it is missing.
    #[serde(default)]
    version: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ExportedKey {
    name: String,
    r#type: &'static str,
    keys: BTreeMap<u32, Encoded>,
}

impl Handle<ExportKey> for Transit {
    type Data = ExportedKey;
    type Error = TransitError;

    async fn handle(
        &self,
        ask: ExportKey,
        _: &Context,
    ) -> Result<Reply<ExportedKey>, TransitError> {
        if ask.r#type != "encryption-key" {
            return Err(TransitError::Invalid(
                "invalid export type: use encryption-key",
            ));
        }
        let key = self.find(&ask.name).await?.ok_or(Fault::NotFound)?;
        let known = &key.known;
        if !known.exportable {
            return Err(TransitError::Invalid(
                "private key material is not exportable",
            ));
        }
        let wanted = match ask.version.as_str() {
            "" => None,
            "latest" => Some(key.latest()),
            number => {
                let number = number.strip_prefix('v').unwrap_or(number);
                Some(number.parse().map_err(|_| TransitError::NoVersion)?)
            }
        };
        let versions = known.alive().map(|(version, _)| *version);
        let mut keys = BTreeMap::new();
        for version in versions.filter(|version| wanted.is_none_or(|wanted| wanted == *version)) {
            let bytes = self.version(&key, version).await?;
            keys.insert(version, Encoded::of(bytes.expose()));
        }
        if keys.is_empty() {
            return Err(TransitError::NoVersion);
        }
        Ok(Reply::data(ExportedKey {
            name: key.name.as_str().to_owned(),
            r#type: known.kind.name(),
            keys,
        }))
    }
}
