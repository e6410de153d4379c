//! TLS: what is offered to clients, and the files it is read from.
//!
//! TLS 1.2 and 1.3 by rustls and aws-lc-rs, HTTP/2 before HTTP/1.1; the key agreement is that of
//! [`Handshakes`].

use crate::ServiceError;
use parking_lot::RwLock;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secretum_kms::key_file;
use secretum_process::tls::Handshakes;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where certificate and key are, and whether clients show certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate, and those up to its authority's, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
    /// The roots of the issuers of clients' certificates, in PEM.
    pub clients: Option<PathBuf>,
    /// Whether there is another proof than a certificate, so that a client may come without.
    pub clients_optional: bool,
}

/// What is offered, which can be read anew while connections go on.
#[derive(Debug)]
pub(crate) struct Offer {
    files: TlsFiles,
    current: RwLock<Handshakes>,
}

impl Offer {
    /// Reads the files.
    ///
    /// **Errors**: [`ServiceError`], where one cannot be read or used.
    pub(crate) fn read(files: TlsFiles) -> Result<Self, ServiceError> {
        let current = RwLock::new(handshakes(&files)?);
        Ok(Self { files, current })
    }

    /// Reads the same files anew; where that fails, all stays as it is.
    ///
    /// **Errors**: as of [`Self::read`].
    pub(crate) fn reload(&self) -> Result<(), ServiceError> {
        let handshakes = handshakes(&self.files)?;
        *self.current.write() = handshakes;
        Ok(())
    }

    pub(crate) fn current(&self) -> Handshakes {
        self.current.read().clone()
    }
}

fn handshakes(files: &TlsFiles) -> Result<Handshakes, ServiceError> {
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key)?;
    let refused = |source| ServiceError::Certificate {
        path: files.certificate.clone(),
        source,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = client_verifier(files, &provider)?;
    Handshakes::prepare(|provider| {
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(refused)?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(refused)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    })
}

fn client_verifier(
    files: &TlsFiles,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ServiceError> {
    let Some(path) = &files.clients else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let refused = |source| ServiceError::Certificate {
        path: path.clone(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(refused)?;
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
    if files.clients_optional {
        builder = builder.allow_unauthenticated();
    }
    let built = builder.build();
    built.map_err(|error| refused(rustls::Error::General(error.to_string())))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServiceError> {
    let no_pem = || ServiceError::Pem {
        path: path.to_owned(),
        what: "certificate",
    };
    let pem = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|_| no_pem())?;
    if chain.is_empty() {
        return Err(no_pem());
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ServiceError> {
    let pem = key_file::read(path)?;
    PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| ServiceError::Pem {
        path: path.to_owned(),
        what: "private key",
    })
}

fn read(path: &Path) -> Result<Vec<u8>, ServiceError> {
    std::fs::read(path).map_err(|source| ServiceError::Read {
        path: path.to_owned(),
        source,
    })
}
