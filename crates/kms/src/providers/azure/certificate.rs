//! [`Certificate`]: an application that proves by a certificate who it is.
//!
//! For each token it signs a statement anew, and reads its file anew: so a certificate can be renewed there.
//!
//! **Source**: Microsoft identity platform, "certificate credentials": a JWT under PS256, whose head has the
//! SHA-256 of the certificate.

use crate::providers::files;
use crate::{KmsError, Result};
use async_trait::async_trait;
use azure_core::Error as AzureError;
use azure_core::error::ErrorKind;
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secretum_crypto::{Clock, SystemClock, SystemRng, random_uuid, sha256};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// How long a statement is good for: the service takes up to ten minutes.
const LIFE_SECONDS: i64 = 300;

/// How far the clock of the service may be behind.
const SKEW_SECONDS: i64 = 60;

/// A file with a certificate and its key, and what is stated with them.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    /// Certificate and RSA key in PEM, its owner's alone.
    pub(super) path: PathBuf,
    /// The application.
    pub(super) client_id: String,
    /// Who gives out the tokens: the URL that is asked for them.
    pub(super) audience: String,
}

/// What is in the file.
struct Identity {
    digest: [u8; 32],
    key: Arc<dyn SigningKey>,
}

impl Certificate {
    /// Whether a statement could be made.
    ///
    /// **Errors**: [`KmsError::FileContent`], and those of reading a private file.
    pub(super) fn check(&self) -> Result<()> {
        self.statement().map(drop)
    }

    fn statement(&self) -> Result<String> {
        let Identity { digest, key } = self.read()?;
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]);
        let signer = signer.ok_or_else(|| self.unusable("its key is not an RSA key"))?;
        let now = SystemClock.now().unix_seconds();
        let id = random_uuid(&SystemRng).map_err(|_| self.unusable("there is no random"))?;
        let head = json!({
            "alg": "PS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(digest),
        });
        let stated = json!({
            "aud": self.audience, "iss": self.client_id, "sub": self.client_id, "jti": id,
            "nbf": now - SKEW_SECONDS, "iat": now, "exp": now + LIFE_SECONDS,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&stated));
        let signature = signer.sign(signed.as_bytes());
        let signature = signature.map_err(|_| self.unusable("its key does not sign"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn read(&self) -> Result<Identity> {
        let text = files::read_private(&self.path)?;
        let text = text.expose().as_bytes();
        let certificates: std::result::Result<Vec<CertificateDer<'_>>, _> =
            CertificateDer::pem_slice_iter(text).collect();
        let (Ok(certificates), Ok(key)) = (certificates, PrivateKeyDer::from_pem_slice(text))
        else {
            return Err(self.unusable("it holds no certificate with its key in PEM"));
        };
        let Some(first) = certificates.first() else {
            return Err(self.unusable("it holds no certificate in PEM"));
        };
        let digest = sha256(first);
        let key = any_supported_type(&key);
        let key = key.map_err(|_| self.unusable("its key is of a kind that is not known"))?;
        let certified = CertifiedKey::new(certificates, Arc::clone(&key));
        match certified.keys_match() {
            Ok(()) => Ok(Identity { digest, key }),
            Err(_) => Err(self.unusable("its key is not that of its first certificate")),
        }
    }

    fn unusable(&self, reason: &str) -> KmsError {
        KmsError::FileContent {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }
}

#[async_trait]
impl ClientAssertion for Certificate {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.statement()
            .map_err(|error| AzureError::with_message(ErrorKind::Credential, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_cannot_be_stated_with_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("application.pem");
        let made = || {
            let made = rcgen::generate_simple_self_signed(["application".to_owned()]).unwrap();
            (made.cert.pem(), made.signing_key.serialize_pem())
        };
        let ((certificate, key), (_, other)) = (made(), made());
        for (text, mode, told) in [
            (format!("{key}{certificate}"), 0o600, "is not an RSA key"),
            (
                format!("{other}{certificate}"),
                0o600,
                "not that of its first certificate",
            ),
            (certificate.clone(), 0o600, "no certificate with its key"),
            (key.clone(), 0o600, "no certificate in PEM"),
            ("planted".to_owned(), 0o600, "no certificate with its key"),
            (format!("{key}{certificate}"), 0o644, "chmod 600"),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let stated = Certificate {
                path: path.clone(),
                client_id: "application".to_owned(),
                audience: "https://login.example/tenant/oauth2/v2.0/token".to_owned(),
            };
            let refused = stated.check().unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
            assert!(!refused.contains("planted"), "{refused}");
        }
    }
}
