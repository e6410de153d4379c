//! [`V2`]: key-value engine, version 2.

use super::below;
use crate::{Client, ClientError, Json, Object, Request, Secret};
use serde::Serialize;
use std::collections::BTreeMap;

/// A key-value engine of version 2: several versions a path.
#[derive(Debug, Clone, Copy)]
pub struct V2<'a> {
    client: &'a Client,
    mount: &'a str,
}

/// Settings of one secret; what is `None` stays as it is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MetadataSettings {
    /// Whether a write must say which version it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cas_required: Option<bool>,
    /// How many versions are kept; 0 for the engine's choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<u64>,
    /// How long a version lives, as a duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_version_after: Option<String>,
    /// Notes of the user; in a patch, `None` removes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<BTreeMap<String, Option<String>>>,
}

/// What a write says beside its data.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WriteOptions {
    /// The version that it must follow; 0 for a secret that does not exist yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
    /// How long the new version lives, as a duration, after which it is destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

impl WriteOptions {
    fn following(cas: Option<u64>) -> Self {
        Self { cas, ttl: None }
    }
}

/// What can happen to versions of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionChange {
    /// They are hidden, and can be brought back.
    Delete,
    /// They are brought back.
    Undelete,
    /// Their data is removed for ever.
    Destroy,
}

impl VersionChange {
    /// The engine's area that does it.
    pub fn area(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Undelete => "undelete",
            Self::Destroy => "destroy",
        }
    }
}

impl<'a> V2<'a> {
    pub(crate) fn new(client: &'a Client, mount: &'a str) -> Self {
        Self { client, mount }
    }

    /// The API's path of a secret in one of the engine's areas.
    fn at(&self, area: &str, path: &str) -> String {
        below(self.mount, area, path)
    }

    /// Reads a version of a secret, the newest where none is named. Of a deleted version the
    /// metadata is there and `data.data` is null.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn get(
        &self,
        path: &str,
        version: Option<u64>,
    ) -> Result<Option<Secret>, ClientError> {
        let mut request = Request::get(self.at("data", path));
        if let Some(version) = version {
            request = request.query("version", version.to_string());
        }
        self.client.find(request).await
    }

    /// Writes a new version. With `cas` it must follow that version; 0 for a secret that does not
    /// exist yet.
    ///
    /// **Errors**: as [`Client::send`]; 400 where it would follow another version.
    pub async fn put(
        &self,
        path: &str,
        data: &(impl Serialize + ?Sized),
        cas: Option<u64>,
    ) -> Result<Option<Secret>, ClientError> {
        let options = WriteOptions::following(cas);
        self.put_with(path, data, &options).await
    }

    /// Writes a new version, with options.
    ///
    /// **Errors**: as [`V2::put`].
    pub async fn put_with(
        &self,
        path: &str,
        data: &(impl Serialize + ?Sized),
        options: &WriteOptions,
    ) -> Result<Option<Secret>, ClientError> {
        let body = versioned(data, options)?;
        self.client.write(&self.at("data", path), &body).await
    }

    /// Copies a secret with all its versions. With `cas` it overwrites the secret whose newest version
    /// is that; without it there must be none. Our own extension of the API.
    ///
    /// **Errors**: as [`Client::send`]; 400 where something else is at the destination.
    pub async fn copy(
        &self,
        source: &str,
        destination: &str,
        cas: Option<u64>,
    ) -> Result<Option<Secret>, ClientError> {
        self.transfer("copy", source, destination, cas).await
    }

    /// Moves a secret with all its versions; as [`V2::copy`] otherwise.
    ///
    /// **Errors**: as [`V2::copy`].
    pub async fn rename(
        &self,
        source: &str,
        destination: &str,
        cas: Option<u64>,
    ) -> Result<Option<Secret>, ClientError> {
        self.transfer("move", source, destination, cas).await
    }

    async fn transfer(
        &self,
        area: &str,
        source: &str,
        destination: &str,
        cas: Option<u64>,
    ) -> Result<Option<Secret>, ClientError> {
        let mut body = Object::new();
        body.insert("source", source);
        if let Some(cas) = cas {
            body.insert("cas", cas);
        }
        self.client.write(&self.at(area, destination), &body).await
    }

    /// Merges into the newest version (JSON merge patch), which makes a new one.
    ///
    /// **Errors**: as [`Client::send`]; 404 where there is none.
    pub async fn patch(
        &self,
        path: &str,
        data: &(impl Serialize + ?Sized),
        cas: Option<u64>,
    ) -> Result<Option<Secret>, ClientError> {
        let body = versioned(data, &WriteOptions::following(cas))?;
        self.client.patch(&self.at("data", path), &body).await
    }

    /// Lists the names below a path.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn list(&self, path: &str) -> Result<Option<Secret>, ClientError> {
        self.client.list(&self.at("metadata", path)).await
    }

    /// Deletes the newest version; it can be undeleted.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn delete(&self, path: &str) -> Result<Option<Secret>, ClientError> {
        self.client.delete(&self.at("data", path)).await
    }

    /// Deletes, undeletes or destroys versions.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn change(
        &self,
        change: VersionChange,
        path: &str,
        versions: &[u64],
    ) -> Result<Option<Secret>, ClientError> {
        #[derive(Serialize)]
        struct Versions<'a> {
            versions: &'a [u64],
        }
        let body = Versions { versions };
        self.client
            .write(&self.at(change.area(), path), &body)
            .await
    }

    /// What is known of a secret and its versions.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn metadata(&self, path: &str) -> Result<Option<Secret>, ClientError> {
        self.client.read(&self.at("metadata", path)).await
    }

    /// Sets what a secret's metadata holds.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn put_metadata(
        &self,
        path: &str,
        settings: &MetadataSettings,
    ) -> Result<Option<Secret>, ClientError> {
        self.client
            .write(&self.at("metadata", path), settings)
            .await
    }

    /// Changes some of what a secret's metadata holds.
    ///
    /// **Errors**: as [`Client::send`]; 404 where there is none.
    pub async fn patch_metadata(
        &self,
        path: &str,
        settings: &MetadataSettings,
    ) -> Result<Option<Secret>, ClientError> {
        self.client
            .patch(&self.at("metadata", path), settings)
            .await
    }

    /// Removes a secret with all its versions for ever.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn delete_metadata(&self, path: &str) -> Result<Option<Secret>, ClientError> {
        self.client.delete(&self.at("metadata", path)).await
    }
}

/// The body of a write: the data, and its options.
fn versioned(
    data: &(impl Serialize + ?Sized),
    options: &WriteOptions,
) -> Result<Json, ClientError> {
    let data = serde_json::to_string(data)
        .and_then(|text| Json::parse(&text))
        .map_err(|source| ClientError::Encode { source })?;
    let options = Json::from_value(options).map_err(|source| ClientError::Encode { source })?;
    let mut body = Object::new();
    body.insert("data", data);
    body.insert("options", options);
    Ok(body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_names_its_version_only_if_asked() {
        let data = Json::parse(r#"{"a":1.0}"#).unwrap();
        assert_eq!(
            versioned(&data, &WriteOptions::default())
                .unwrap()
                .to_string(),
            r#"{"data":{"a":1.0},"options":{}}"#
        );
        let options = WriteOptions {
            ttl: Some("1h".to_owned()),
            ..WriteOptions::following(Some(0))
        };
        let body = versioned(&data, &options).unwrap().to_string();
        assert_eq!(body, r#"{"data":{"a":1.0},"options":{"cas":0,"ttl":"1h"}}"#);
    }
}
