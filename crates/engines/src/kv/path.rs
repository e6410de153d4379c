//! The paths of secrets.

use schemars::JsonSchema;
use secretum_api::RequestPath;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// The path of a secret: not empty, no folder.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct SecretPath(String);

/// The path of a folder: empty, or with a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default, JsonSchema)]
#[schemars(transparent)]
pub struct Folder(String);

impl SecretPath {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Folder {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn parse<E: Error>(text: String) -> Result<RequestPath, E> {
    RequestPath::parse(text).map_err(E::custom)
}

impl<'de> Deserialize<'de> for SecretPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = parse(String::deserialize(deserializer)?)?;
        match path.as_str() {
            "" => Err(D::Error::custom("the path of the secret is missing")),
            text if text.ends_with('/') => {
                Err(D::Error::custom("cannot write to a path ending in '/'"))
            }
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for Folder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(
            parse(String::deserialize(deserializer)?)?
                .into_folder()
                .as_str()
                .to_owned(),
        ))
    }
}
