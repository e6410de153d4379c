//! Policies.

use super::Sys;
use crate::{ClientError, Request, Secret};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Write<'a> {
    policy: &'a str,
}

#[derive(Deserialize)]
struct Read {
    policy: String,
}

impl Sys<'_> {
    /// The names of all policies.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn policies(&self) -> Result<Vec<String>, ClientError> {
        #[derive(Deserialize)]
        struct Names {
            keys: Vec<String>,
        }
        let names: Names = self.client.data(Request::list("sys/policies/acl")).await?;
        Ok(names.keys)
    }

    /// The text of a policy; `None` where there is none of that name.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn policy(&self, name: &str) -> Result<Option<String>, ClientError> {
        let request = Request::get(format!("sys/policies/acl/{name}"));
        match self.client.data::<Read>(request).await {
            Ok(read) => Ok(Some(read.policy)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a policy.
    ///
    /// **Errors**: as [`crate::Client::send`]; 400 where the text is none.
    pub async fn put_policy(
        &self,
        name: &str,
        policy: &str,
    ) -> Result<Option<Secret>, ClientError> {
        let request = Request::put(format!("sys/policies/acl/{name}")).json(&Write { policy })?;
        self.client.act(request).await
    }

    /// Deletes a policy.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn delete_policy(&self, name: &str) -> Result<(), ClientError> {
        self.client
            .done(Request::delete(format!("sys/policies/acl/{name}")))
            .await
    }
}
