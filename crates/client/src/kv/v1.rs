//! [`V1`]: key-value engine, version 1.

use super::below;
use crate::{Client, ClientError, Secret};
use serde::Serialize;

/// A key-value engine of version 1: one value a path.
#[derive(Debug, Clone, Copy)]
pub struct V1<'a> {
    client: &'a Client,
    mount: &'a str,
}

impl<'a> V1<'a> {
    pub(crate) fn new(client: &'a Client, mount: &'a str) -> Self {
        Self { client, mount }
    }

    fn at(&self, path: &str) -> String {
        below(self.mount, "", path)
    }

    /// Reads a secret.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn get(&self, path: &str) -> Result<Option<Secret>, ClientError> {
        self.client.read(&self.at(path)).await
    }

    /// Writes a secret over what was there.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn put(
        &self,
        path: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<Option<Secret>, ClientError> {
        self.client.write(&self.at(path), data).await
    }

    /// Lists the names below a path.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn list(&self, path: &str) -> Result<Option<Secret>, ClientError> {
        self.client.list(&self.at(path)).await
    }

    /// Deletes a secret.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn delete(&self, path: &str) -> Result<Option<Secret>, ClientError> {
        self.client.delete(&self.at(path)).await
    }
}
