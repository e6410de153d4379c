//! [`Tokens`]: calls about tokens.

use crate::{Client, ClientError, Request, Secret};
use secretum_crypto::SecretString;
use serde::Serialize;
use std::collections::BTreeMap;

/// Calls about tokens.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a> {
    client: &'a Client,
}

/// Which token is meant.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// The client's own.
    Own,
    /// One by itself.
    Token(&'a SecretString),
    /// One by its accessor.
    Accessor(&'a str),
}

/// What else goes when a token is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The tokens it made.
    Tree,
    /// Nothing: the tokens it made become orphans.
    OrphanChildren,
}

/// A token to make; what is `None` or empty is the server's choice.
#[derive(Debug, Default, Serialize)]
pub struct CreateToken {
    /// The token itself.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "expose")]
    pub id: Option<SecretString>,
    /// Names of its policies; those of its maker where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// What it is made for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", rename = "meta")]
    pub metadata: BTreeMap<String, String>,
    /// How long it lives, as a duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// How long it can ever live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explicit_max_ttl: Option<String>,
    /// Every renewal gives it this long again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// Whether it has no parent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_parent: bool,
    /// Whether the policy `default` is left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_default_policy: bool,
    /// What logs call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// How many uses it has; 0 for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_uses: Option<u64>,
    /// Whether it can be renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewable: Option<bool>,
    /// `service` or `batch`.
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    pub kind: Option<String>,
    /// Name of the entity alias it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_alias: Option<String>,
}

fn expose<S: serde::Serializer>(
    token: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    token
        .as_ref()
        .map(SecretString::expose)
        .serialize(serializer)
}

#[derive(Serialize)]
struct Named<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accessor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    increment: Option<&'a str>,
}

impl<'a> Which<'a> {
    fn body(self, increment: Option<&'a str>) -> Named<'a> {
        let (token, accessor) = match self {
            Self::Own => (None, None),
            Self::Token(token) => (Some(token.expose()), None),
            Self::Accessor(accessor) => (None, Some(accessor)),
        };
        Named {
            token,
            accessor,
            increment,
        }
    }
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Makes a token, by a role where one is named.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn create(
        &self,
        token: &CreateToken,
        role: Option<&str>,
    ) -> Result<Option<Secret>, ClientError> {
        let path = match role {
            Some(role) => format!("auth/token/create/{role}"),
            None => "auth/token/create".to_owned(),
        };
        self.client.act(Request::post(path).json(token)?).await
    }

    /// What is known of a token.
    ///
    /// **Errors**: as [`Client::send`]; 403 for one that is none.
    pub async fn lookup(&self, which: Which<'_>) -> Result<Option<Secret>, ClientError> {
        let request = match which {
            Which::Own => Request::get("auth/token/lookup-self"),
            Which::Token(_) => Request::post("auth/token/lookup").json(&which.body(None))?,
            Which::Accessor(_) => {
                Request::post("auth/token/lookup-accessor").json(&which.body(None))?
            }
        };
        self.client.act(request).await
    }

    /// Prolongs a token, by this long where the server grants it.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn renew(
        &self,
        which: Which<'_>,
        increment: Option<&str>,
    ) -> Result<Option<Secret>, ClientError> {
        let path = match which {
            Which::Own => "auth/token/renew-self",
            Which::Token(_) => "auth/token/renew",
            Which::Accessor(_) => "auth/token/renew-accessor",
        };
        self.client
            .act(Request::put(path).json(&which.body(increment))?)
            .await
    }

    /// Revokes a token. The tokens made by a token that is named by its accessor, and those of the
    /// client's own, always go with it.
    ///
    /// **Errors**: as [`Client::send`].
    pub async fn revoke(&self, which: Which<'_>, what: Revocation) -> Result<(), ClientError> {
        let path = match (which, what) {
            (Which::Own, _) => "auth/token/revoke-self",
            (Which::Accessor(_), _) => "auth/token/revoke-accessor",
            (Which::Token(_), Revocation::Tree) => "auth/token/revoke",
            (Which::Token(_), Revocation::OrphanChildren) => "auth/token/revoke-orphan",
        };
        self.client
            .done(Request::put(path).json(&which.body(None))?)
            .await
    }
}
