//! [`VaultAuth`]: as whom the transit engine is asked.

use crate::{Cause, KmsError, Result};
use secretum_crypto::SecretString;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

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
pub(super) struct Login {
    pub(super) path: String,
    pub(super) body: Value,
}

impl VaultAuth {
    /// The login; `None` where a token is there already.
    pub(super) fn login(&self) -> Result<Option<Login>> {
        let (mount, body) = match self {
            Self::Token(_) => return Ok(None),
            Self::AppRole {
                mount,
                role_id,
                secret_id,
            } => {
                let body = json!({ "role_id": role_id, "secret_id": secret_id.expose() });
                (mount, body)
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
                (mount, json!({ "role": role, "jwt": jwt.trim() }))
            }
            Self::Certificate { mount, role } => (mount, json!({ "name": role })),
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
