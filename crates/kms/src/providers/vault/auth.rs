//! [`VaultAuth`]: as whom the transit engine is asked.

use crate::Result;
use crate::providers::files;
use secretum_crypto::SecretString;
use serde::{Serialize, Serializer};
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
        jwt: SecretString,
    },
    Certificate {
        name: Option<&'a str>,
    },
}

fn trimmed<S: Serializer>(text: &SecretString, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(text.expose().trim())
}

impl VaultAuth {
    /// The login; `None` where a token is there already.
    pub(super) async fn login(&self) -> Result<Option<Login<'_>>> {
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
                let jwt = files::read_handed_over(jwt_path).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KmsError;
    use crate::providers::files::KEY_FILE_BYTES_MAX;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_token_in_a_file_is_read_by_anybody_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let jwt_path = folder.path().join("token");
        let auth = VaultAuth::Kubernetes {
            mount: "kubernetes".to_owned(),
            role: "app".to_owned(),
            jwt_path: jwt_path.clone(),
        };
        std::fs::write(&jwt_path, " a.b.c\n").unwrap();
        std::fs::set_permissions(&jwt_path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let login = auth.login().await.unwrap().unwrap();
        let body = serde_json::to_string(&login.body).unwrap();
        assert_eq!(body, r#"{"role":"app","jwt":"a.b.c"}"#);
        let large = std::fs::File::create(&jwt_path).unwrap();
        large.set_len(KEY_FILE_BYTES_MAX + 1).unwrap();
        let refused = auth.login().await.err();
        assert!(matches!(refused, Some(KmsError::FileContent { .. })));
        // Nobody writes to it.
        std::fs::remove_file(&jwt_path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &jwt_path, 0o600.into()).unwrap();
        let refused = auth.login().await.err();
        assert!(matches!(refused, Some(KmsError::FileContent { .. })));
    }
}
