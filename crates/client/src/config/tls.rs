//! [`TlsConfig`]: whom the client trusts, and how it proves itself.

use crate::ClientError;
use reqwest::{Certificate, Identity};
use secretum_crypto::SecretBuffer;
use std::fs::File;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The most bytes of a file with certificates or a key: some thousand authorities.
const FILE_BYTES_MAX: usize = 16 << 20;

/// How the server's certificate is checked, and the client's own. Without any authority named, those
/// of the operating system are trusted.
#[derive(Default, Clone)]
pub struct TlsConfig {
    /// File with the certificates (PEM) of the only authorities to trust.
    pub ca_cert: Option<PathBuf>,
    /// The same, as text; it comes before the file.
    pub ca_cert_pem: Option<Vec<u8>>,
    /// Folder of such files.
    pub ca_path: Option<PathBuf>,
    /// File with the client's certificate (PEM).
    pub client_cert: Option<PathBuf>,
    /// File with its key (PEM).
    pub client_key: Option<PathBuf>,
    /// The name that the server's certificate must be for, if it is not the address's.
    pub server_name: Option<String>,
    /// Takes any certificate. Whoever stands in between then reads everything.
    pub skip_verify: bool,
}

impl TlsConfig {
    /// The authorities to trust and no others; `None` for those of the operating system.
    pub(crate) fn roots(&self) -> Result<Option<Vec<Certificate>>, ClientError> {
        if let Some(pem) = &self.ca_cert_pem {
            return certificates(pem, Path::new("(text)")).map(Some);
        }
        if let Some(path) = &self.ca_cert {
            return certificates(&read("the CA certificate", path)?, path).map(Some);
        }
        self.ca_path.as_deref().map(folder).transpose()
    }

    /// The client's certificate and key.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, ClientError> {
        let (cert, key) = match (&self.client_cert, &self.client_key) {
            (None, None) => return Ok(None),
            (Some(cert), Some(key)) => (cert, key),
            _ => return Err(ClientError::HalfIdentity),
        };
        let key_pem = read("the client key", key)?;
        let cert_pem = read("the client certificate", cert)?;
        let pem = Zeroizing::new([key_pem.as_slice(), b"\n", cert_pem.as_slice()].concat());
        let identity = Identity::from_pem(&pem).map_err(|_| ClientError::TlsFile {
            what: "the client certificate",
            path: cert.clone(),
            reason: format!(
                "it and `{}` are no certificate and key in PEM",
                key.display()
            ),
        })?;
        Ok(Some(identity))
    }
}

impl std::fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsConfig")
            .field("ca_cert", &self.ca_cert)
            .field("ca_path", &self.ca_path)
            .field("client_cert", &self.client_cert)
            .field("server_name", &self.server_name)
            .field("skip_verify", &self.skip_verify)
            .finish_non_exhaustive()
    }
}

/// A file, within the limit; its bytes are zeroed, for it may be a key.
fn read(what: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let opened = File::open(path).and_then(|file| {
        let length = file.metadata()?.len();
        SecretBuffer::read(file, Some(length), FILE_BYTES_MAX)
    });
    opened.map_err(|error| ClientError::TlsFile {
        what,
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let invalid = || ClientError::TlsFile {
        what: "the CA certificate",
        path: path.to_owned(),
        reason: "it holds no certificate in PEM".to_owned(),
    };
    let certificates = Certificate::from_pem_bundle(pem).map_err(|_| invalid())?;
    if certificates.is_empty() {
        Err(invalid())
    } else {
        Ok(certificates)
    }
}

/// The certificates of all files in a folder; files that hold none are passed over.
fn folder(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let unusable = |reason: String| ClientError::TlsFile {
        what: "the folder of CA certificates",
        path: path.to_owned(),
        reason,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| unusable(error.to_string()))? {
        let file = entry.map_err(|error| unusable(error.to_string()))?.path();
        if file.is_file() {
            let pem = read("the CA certificate", &file)?;
            found.extend(certificates(&pem, &file).unwrap_or_default());
        }
    }
    if found.is_empty() {
        Err(unusable(
            "no file in it holds a certificate in PEM".to_owned(),
        ))
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificate_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "no certificate").unwrap();
        for tls in [
            TlsConfig {
                ca_cert: Some(file.clone()),
                ..TlsConfig::default()
            },
            TlsConfig {
                ca_cert: Some(folder.path().join("none.pem")),
                ..TlsConfig::default()
            },
            TlsConfig {
                ca_path: Some(folder.path().to_owned()),
                ..TlsConfig::default()
            },
            TlsConfig {
                ca_cert_pem: Some(Vec::new()),
                ..TlsConfig::default()
            },
        ] {
            assert!(
                matches!(tls.roots(), Err(ClientError::TlsFile { .. })),
                "{tls:?}"
            );
        }
    }

    #[test]
    fn files_are_read_up_to_their_limit() {
        let folder = tempfile::tempdir().unwrap();
        let (key, cert) = (folder.path().join("key"), folder.path().join("cert"));
        std::fs::write(&cert, "no certificate").unwrap();
        let endless = File::create(&key).unwrap();
        endless.set_len(FILE_BYTES_MAX as u64 + 1).unwrap();
        let tls = TlsConfig {
            client_cert: Some(cert),
            client_key: Some(key),
            ..TlsConfig::default()
        };
        let told = tls.identity().unwrap_err().to_string();
        assert!(told.contains("larger than 16777216 bytes"), "{told}");
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let tls = TlsConfig {
            client_cert: Some("cert.pem".into()),
            ..TlsConfig::default()
        };
        assert!(matches!(tls.identity(), Err(ClientError::HalfIdentity)));
    }
}
