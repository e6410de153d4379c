//! [`VaultAuth`]: as whom the transit engine is asked.

use crate::{Cause, KmsError, Result};
use secretum_crypto::SecretString;
use serde::{Serialize, Serializer};
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// As whom, and how that is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VaultAuth {
    /// By a token. It is renewed while that is possible.
    Token(Arc<SecretString>),
    /// By a role and its secret.
    AppRole {
        /// Where the method is mounted: `approle`.
        mount: String,
        /// The role.
        role_id: String,
        /// Its secret.
        secret_id: Arc<SecretString>,
    },
    /// By the token of a pod's service account.
    Kubernetes {
        /// Where the method is mounted: `kubernetes`.
        mount: String,
        /// The role.
        role: String,
        /// The file of the token, which is read at each login: it changes.
        jwt_path: PathBuf,
    },
    /// By the client certificate of the connection.
    Certificate {
        /// Where the method is mounted: `cert`.
        mount: String,
        /// The role; any that fits the certificate where there is none.
        role: Option<String>,
    },
}

/// A login: where, and with what.
pub(super) struct Login<'a> {
    pub(super) path: String,
    pub(super) body: Proof<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Proof<'a> {
    AppRole {
        role_id: &'a str,
        secret_id: &'a str,
    },
    Kubernetes {
        role: &'a str,
        #[serde(serialize_with = "trimmed")]
        jwt: Zeroizing<String>,
    },
    Certificate {
        name: Option<&'a str>,
    },
}

fn trimmed<S: Serializer>(text: &str, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(text.trim())
}

impl VaultAuth {
    /// The login; `None` where a token is there already.
    pub(super) fn login(&self) -> Result<Option<Login<'_>>> {
        let (mount, body) = match self {
            Self::Token(_) => return Ok(None),
            Self::AppRole {
                mount,
                role_id,
                secret_id,
            } => {
                let secret_id = secret_id.expose();
                (mount, Proof::AppRole { role_id, secret_id })
            }
            Self::Kubernetes {
                mount,
                role,
                jwt_path,
            } => {
                let jwt = std::fs::read_to_string(jwt_path);
                let jwt = jwt.map_err(|error| KmsError::File {
                    action: "read",
                    path: jwt_path.clone(),
                    source: Cause::new(error),
                })?;
                let jwt = Zeroizing::new(jwt);
                (mount, Proof::Kubernetes { role, jwt })
            }
            Self::Certificate { mount, role } => {
                let name = role.as_deref();
                (mount, Proof::Certificate { name })
            }
        };
        Ok(Some(Login {
            path: format!("auth/{}/login", mount.trim_matches('/')),
            body,
        }))
    }

    /// The token where there is one already.
    pub(super) fn token(&self) -> Option<Arc<SecretString>> {
        match self {
            Self::Token(token) => Some(Arc::clone(token)),
            _ => None,
        }
    }
}
