//! What a token may do.

use super::Sys;
use crate::{ClientError, Request};
use secretum_crypto::SecretString;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Ask<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accessor: Option<&'a str>,
    paths: [&'a str; 1],
}

impl Sys<'_> {
    /// What the client's own token may do at a path, in alphabetical order.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn capabilities_self(&self, path: &str) -> Result<Vec<String>, ClientError> {
        let ask = Ask {
            token: None,
            accessor: None,
            paths: [path],
        };
        self.capabilities_at("sys/capabilities-self", &ask).await
    }

    /// What a token may do at a path.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn capabilities(
        &self,
        token: &SecretString,
        path: &str,
    ) -> Result<Vec<String>, ClientError> {
        let ask = Ask {
            token: Some(token.expose()),
            accessor: None,
            paths: [path],
        };
        self.capabilities_at("sys/capabilities", &ask).await
    }

    /// What the token of an accessor may do at a path.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn capabilities_accessor(
        &self,
        accessor: &str,
        path: &str,
    ) -> Result<Vec<String>, ClientError> {
        let ask = Ask {
            token: None,
            accessor: Some(accessor),
            paths: [path],
        };
        self.capabilities_at("sys/capabilities-accessor", &ask)
            .await
    }

    async fn capabilities_at(&self, url: &str, ask: &Ask<'_>) -> Result<Vec<String>, ClientError> {
        let answer: BTreeMap<String, Vec<String>> =
            self.client.data(Request::post(url).json(ask)?).await?;
        let [path] = ask.paths;
        let found = answer.get(path).or_else(|| answer.get("capabilities"));
        let mut capabilities = found.cloned().unwrap_or_default();
        capabilities.sort_unstable();
        Ok(capabilities)
    }
}
