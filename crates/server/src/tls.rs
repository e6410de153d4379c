//! TLS: what is offered, and the certificates it is offered with.
//!
//! TLS 1.2 and 1.3 by rustls and aws-lc-rs, the hybrid X25519MLKEM768 preferred for key agreement,
//! HTTP/2 before HTTP/1.1.

pub use rustls::ServerConfig as Offer;

use crate::ServerError;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where certificate and key are, and the oldest version that is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those up to its authority's, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
    /// Whether TLS 1.2 is refused.
    pub only_tls13: bool,
}

/// Reads certificate and key, and prepares the offer.
///
/// **Errors**: [`ServerError::Read`], [`ServerError::Pem`], [`ServerError::Certificate`].
pub fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, ServerError> {
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key)?;
    config(chain, key, files.only_tls13).map_err(|source| ServerError::Certificate {
        path: files.certificate.clone(),
        source,
    })
}

/// An offer with a certificate and key that are at hand.
///
/// **Errors**: those of rustls, where the two do not belong together.
pub fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    only_tls13: bool,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let versions: &[_] = if only_tls13 {
        &[&rustls::version::TLS13]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A certificate for this machine alone, in PEM, with its key in PEM; for development.
///
/// **Errors**: [`ServerError::MakeCertificate`].
pub fn development_certificate() -> Result<(String, String), ServerError> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| ServerError::MakeCertificate(error.to_string()))?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let what = "certificate";
    let pem = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| ServerError::Pem { path: path.to_owned(), what })?;
    if chain.is_empty() {
        return Err(ServerError::Pem { path: path.to_owned(), what });
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ServerError> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|_| ServerError::Pem { path: path.to_owned(), what: "private key" })
}

fn read(path: &Path) -> Result<Vec<u8>, ServerError> {
    std::fs::read(path).map_err(|source| ServerError::Read { path: path.to_owned(), source })
}
