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
        let body = versioned(data, cas)?;
        self.client.write(&self.at("data", path), &body).await
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
        let body = versioned(data, cas)?;
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

/// The body of a write: the data, and the version it must follow.
fn versioned(data: &(impl Serialize + ?Sized), cas: Option<u64>) -> Result<Json, ClientError> {
    let data = serde_json::to_string(data)
        .and_then(|text| Json::parse(&text))
        .map_err(|source| ClientError::Encode { source })?;
    let options: Object = cas.map(|cas| ("cas", cas)).into_iter().collect();
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
            versioned(&data, None).unwrap().to_string(),
            r#"{"data":{"a":1.0},"options":{}}"#
        );
        let body = versioned(&data, Some(0)).unwrap().to_string();
        assert_eq!(body, r#"{"data":{"a":1.0},"options":{"cas":0}}"#);
    }
}
