//! Certificates and keys, read from their files at every connection: so they can be renewed there.

use super::{KmipServer, unusable};
use crate::providers::files;
use crate::{KmsError, Result};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;

/// TLS 1.2 and 1.3, with the client's certificate, trusting the named authorities only.
pub(super) fn client_config(server: &KmipServer) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&server.ca)? {
        let added = roots.add(certificate);
        added.map_err(|error| content(&server.ca, error.to_string()))?;
    }
    let chain = certificates(&server.client_cert)?;
    let text = files::read_private(&server.client_key)?;
    let key = PrivateKeyDer::from_pem_slice(text.expose().as_bytes());
    let no_key = "it holds no private key in PEM".to_owned();
    let key = key.map_err(|_| content(&server.client_key, no_key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| unusable(error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| content(&server.client_cert, error.to_string()))?;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = files::read_public(path)?;
    let found: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(content(path, "it holds no certificate in PEM".to_owned())),
    }
}

fn content(path: &Path, reason: String) -> KmsError {
    KmsError::FileContent {
        path: path.to_owned(),
        reason,
    }
}
