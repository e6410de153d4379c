//! [`Access`]: where a `kms-service` is, as whom it is asked, and how it is trusted.

use crate::failure::Failure;
use reqwest::header::HeaderValue;
use reqwest::{Certificate, ClientBuilder, Identity, Url};
use secretum_client::http::is_loopback;
use secretum_crypto::SecretString;
use secretum_kms::{Cause, KmsError, key_file};
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The most bytes of a file with certificates.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// As whom the service is asked, and how it is trusted.
#[derive(Debug, Default)]
pub(in crate::commands::kms) struct Access {
    pub(in crate::commands::kms) token: Option<SecretString>,
    /// Where the token is, where it is not here.
    pub(in crate::commands::kms) token_file: Option<PathBuf>,
    pub(in crate::commands::kms) ca_cert: Option<PathBuf>,
    pub(in crate::commands::kms) client_cert: Option<PathBuf>,
    pub(in crate::commands::kms) client_key: Option<PathBuf>,
}

/// The address that operations go behind. Plaintexts go over TLS, or stay on this machine.
pub(super) fn base(address: &str) -> Result<Url, Failure> {
    // A password in it is not shown.
    let shown = address.rsplit('@').next().unwrap_or_default();
    let shown: String = shown.chars().filter(|c| !c.is_control()).collect();
    let not_one = || Failure::local(format!("`{shown}` is no address; write https://host:8082"));
    let mut url: Url = address.trim().parse().map_err(|_| not_one())?;
    if !url.has_host() || !url.username().is_empty() || url.password().is_some() {
        return Err(not_one());
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(Failure::local(format!(
                "`{shown}` is not on this machine, and plaintexts would go there unprotected; write \
                 https://"
            )));
        }
        _ => return Err(not_one()),
    }
    let path = format!("{}/api/v1/kms/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_query(None);
    Ok(url)
}

pub(super) fn authorization(access: &Access) -> Result<Option<HeaderValue>, Failure> {
    let read;
    let token = match (&access.token, &access.token_file) {
        (Some(token), _) => token,
        (None, Some(file)) => {
            read = key_file::read(file)?;
            &read
        }
        (None, None) => return Ok(None),
    };
    let text = Zeroizing::new(format!("Bearer {}", token.expose().trim()));
    let value = HeaderValue::from_str(&text).ok();
    let value = value.filter(|_| !token.expose().trim().is_empty());
    let mut value = value.ok_or_else(|| Failure::local("the token is not text in one line"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

pub(super) fn tls(
    mut builder: ClientBuilder,
    access: &Access,
    url: &Url,
) -> Result<ClientBuilder, Failure> {
    if url.scheme() != "https" {
        // Without TLS no authority is needed, and a machine without any must not fail.
        return Ok(builder.tls_certs_only([]));
    }
    if let Some(path) = &access.ca_cert {
        let found = Certificate::from_pem_bundle(&read(path)?).unwrap_or_default();
        if found.is_empty() {
            return Err(content(path, "it holds no certificate in PEM").into());
        }
        builder = builder.tls_certs_only(found);
    }
    match (&access.client_cert, &access.client_key) {
        (None, None) => Ok(builder),
        (Some(cert), Some(key)) => {
            let (key, cert_pem) = (key_file::read(key)?, read(cert)?);
            let pem = Zeroizing::new([key.expose().as_bytes(), b"\n", &cert_pem].concat());
            let identity = Identity::from_pem(&pem);
            let no_pair = "it and its key are no certificate and key in PEM";
            Ok(builder.identity(identity.map_err(|_| content(cert, no_pair))?))
        }
        _ => Err(Failure::local(
            "a client certificate and its key go together; name both, -client-cert and -client-key",
        )),
    }
}

/// A file with certificates, within the limit.
fn read(path: &Path) -> Result<Vec<u8>, KmsError> {
    let failed = |error| KmsError::File {
        action: "read",
        path: path.to_owned(),
        source: Cause::new(error),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    if read.map_err(failed)? as u64 > FILE_BYTES_MAX {
        return Err(content(path, "it is larger than any of its kind"));
    }
    Ok(bytes)
}

fn content(path: &Path, reason: &str) -> KmsError {
    KmsError::FileContent {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintexts_go_over_tls_or_stay_here() {
        for (address, wanted) in [
            ("http://127.0.0.1:8082", "http://127.0.0.1:8082/api/v1/kms/"),
            ("http://[::1]:1/", "http://[::1]:1/api/v1/kms/"),
            (
                "https://kms.example/team/",
                "https://kms.example/team/api/v1/kms/",
            ),
            (" http://localhost:1 ", "http://localhost:1/api/v1/kms/"),
        ] {
            assert_eq!(base(address).unwrap().as_str(), wanted);
        }
        for (address, word) in [
            ("http://kms.example", "unprotected"),
            ("http://localhost.example", "unprotected"),
            ("kms.example:8082", "is no address"),
            ("https://user:planted@kms.example", "is no address"),
            ("ftp://127.0.0.1", "is no address"),
            ("", "is no address"),
        ] {
            let told = base(address).unwrap_err().to_string();
            assert!(told.contains(word) && !told.contains("planted"), "{told}");
        }
    }

    #[test]
    fn a_token_is_one_line_of_text() {
        let of = |token: &str| {
            let access = Access {
                token: Some(SecretString::new(token.to_owned())),
                ..Access::default()
            };
            authorization(&access)
        };
        assert!(of("t\n").unwrap().unwrap().is_sensitive());
        for token in ["", " ", "two\nlines"] {
            assert!(of(token).is_err(), "{token:?}");
        }
        assert!(authorization(&Access::default()).unwrap().is_none());
    }
}
