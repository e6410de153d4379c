//! TLS: what is offered, and the certificates it is offered with.
//!
//! TLS 1.2 and 1.3 by rustls and aws-lc-rs, HTTP/2 before HTTP/1.1; the key agreement is that of
//! [`Handshakes`].

use crate::ServerError;
use parking_lot::RwLock;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secretum_process::tls::Handshakes;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where certificate and key are, and the oldest version that is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those up to its authority's, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
    /// The versions that are spoken.
    pub versions: Versions,
    /// Whether clients show certificates.
    pub clients: Clients,
}

/// Versions of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// TLS 1.3 and 1.2.
    #[default]
    Both,
    /// TLS 1.3 alone.
    Only13,
    /// TLS 1.2 alone.
    Only12,
}

/// Whether clients show certificates; the files hold the roots of their issuers, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Clients {
    /// They are not asked.
    #[default]
    NotAsked,
    /// They may.
    Optional(PathBuf),
    /// They must.
    Required(PathBuf),
}

/// What is offered to clients, which can be read anew while connections go on.
#[derive(Debug)]
pub struct Offer {
    current: RwLock<(TlsFiles, Handshakes)>,
}

impl Offer {
    /// Reads certificate and key, and prepares the offer.
    ///
    /// **Errors**: [`ServerError::Read`], [`ServerError::Pem`], [`ServerError::Certificate`].
    pub fn read(files: TlsFiles) -> Result<Arc<Self>, ServerError> {
        let handshakes = handshakes(&files)?;
        let current = RwLock::new((files, handshakes));
        Ok(Arc::new(Self { current }))
    }

    /// Reads the same files anew. Handshakes to come get what is in them; sessions of before are not
    /// resumed, so that who may show a certificate is decided by the new roots.
    ///
    /// **Errors**: as of [`Self::read`]; all stays as it is.
    pub fn reload(&self) -> Result<(), ServerError> {
        self.reload_from(self.files())
    }

    /// Reads other files in their place.
    ///
    /// **Errors**: as of [`Self::read`]; all stays as it is.
    pub fn reload_from(&self, files: TlsFiles) -> Result<(), ServerError> {
        let handshakes = handshakes(&files)?;
        *self.current.write() = (files, handshakes);
        Ok(())
    }

    /// Where it was read from.
    pub fn files(&self) -> TlsFiles {
        self.current.read().0.clone()
    }

    pub(crate) fn current(&self) -> Handshakes {
        self.current.read().1.clone()
    }
}

fn handshakes(files: &TlsFiles) -> Result<Handshakes, ServerError> {
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key)?;
    let refused = |path: &Path, source| ServerError::Certificate {
        path: path.to_owned(),
        source,
    };
    let versions: &[_] = match files.versions {
        Versions::Both => &[&rustls::version::TLS13, &rustls::version::TLS12],
        Versions::Only13 => &[&rustls::version::TLS13],
        Versions::Only12 => &[&rustls::version::TLS12],
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = client_verifier(&files.clients, &provider)?;
    Handshakes::prepare(|provider| {
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|source| refused(&files.certificate, source))?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(|source| refused(&files.certificate, source))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    })
}

fn client_verifier(
    clients: &Clients,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ServerError> {
    let (Clients::Optional(path) | Clients::Required(path)) = clients else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let refused = |source| ServerError::Certificate {
        path: path.clone(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(refused)?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
    let builder = match clients {
        Clients::Optional(_) => builder.allow_unauthenticated(),
        Clients::NotAsked | Clients::Required(_) => builder,
    };
    builder
        .build()
        .map_err(|error| refused(rustls::Error::General(error.to_string())))
}

/// A certificate for this machine alone, in PEM, with its key in PEM; for development.
///
/// **Errors**: [`ServerError::MakeCertificate`].
pub fn development_certificate() -> Result<(String, String), ServerError> {
    let names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| ServerError::MakeCertificate(error.to_string()))?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let what = "certificate";
    let pem = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| ServerError::Pem {
            path: path.to_owned(),
            what,
        })?;
    if chain.is_empty() {
        return Err(ServerError::Pem {
            path: path.to_owned(),
            what,
        });
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ServerError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| ServerError::Pem {
        path: path.to_owned(),
        what: "private key",
    })
}

fn read(path: &Path) -> Result<Vec<u8>, ServerError> {
    std::fs::read(path).map_err(|source| ServerError::Read {
        path: path.to_owned(),
        source,
    })
}
