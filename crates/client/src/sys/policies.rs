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

/// A language of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// The one of Vault, in HCL or JSON.
    #[default]
    Hcl,
    /// Cedar.
    Cedar,
}

impl Language {
    fn folder(self) -> &'static str {
        match self {
            Self::Hcl => "sys/policies/acl",
            Self::Cedar => "sys/policies/cedar",
        }
    }

    fn path(self, name: &str) -> String {
        format!("{}/{name}", self.folder())
    }
}

impl Sys<'_> {
    /// The names of all policies.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn policies(&self) -> Result<Vec<String>, ClientError> {
        self.policies_in(Language::Hcl).await
    }

    /// The names of all policies in a language.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn policies_in(&self, language: Language) -> Result<Vec<String>, ClientError> {
        #[derive(Deserialize)]
        struct Names {
            keys: Vec<String>,
        }
        match self
            .client
            .data::<Names>(Request::list(language.folder()))
            .await
        {
            Ok(names) => Ok(names.keys),
            // Of HCL there is always one.
            Err(error) if error.status() == Some(404) && language == Language::Cedar => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// The text of a policy; `None` where there is none of that name.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn policy(&self, name: &str) -> Result<Option<String>, ClientError> {
        self.policy_in(Language::Hcl, name).await
    }

    /// The text of a policy in a language; `None` where there is none of that name.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn policy_in(
        &self,
        language: Language,
        name: &str,
    ) -> Result<Option<String>, ClientError> {
        let request = Request::get(language.path(name));
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
        self.put_policy_in(Language::Hcl, name, policy).await
    }

    /// Writes a policy in a language.
    ///
    /// **Errors**: as [`crate::Client::send`]; 400 where the text is none.
    pub async fn put_policy_in(
        &self,
        language: Language,
        name: &str,
        policy: &str,
    ) -> Result<Option<Secret>, ClientError> {
        let request = Request::put(language.path(name)).json(&Write { policy })?;
        self.client.act(request).await
    }

    /// Deletes a policy.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn delete_policy(&self, name: &str) -> Result<(), ClientError> {
        self.delete_policy_in(Language::Hcl, name).await
    }

    /// Deletes a policy in a language.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn delete_policy_in(
        &self,
        language: Language,
        name: &str,
    ) -> Result<(), ClientError> {
        self.client.done(Request::delete(language.path(name))).await
    }
}
