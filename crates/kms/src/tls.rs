//! What is wrong with a connection, said so that somebody can mend it.

use crate::KmsError;
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use std::error::Error as StdError;

/// What an error of TLS among the causes of an error means, where there is one.
pub(crate) fn fault_of(
    provider: &'static str,
    error: &(dyn StdError + 'static),
) -> Option<KmsError> {
    rustls_fault(error).map(|fault| tls_error(provider, fault))
}

/// What keeps a key service from being spoken with over HTTPS: TLS, or that it is something else.
#[cfg(any(feature = "aws", feature = "cosmian", feature = "gcp"))]
pub(crate) fn https_fault(
    provider: &'static str,
    error: &(dyn StdError + 'static),
) -> Option<KmsError> {
    let no_http = || KmsError::BadAnswer {
        provider,
        reason: "it is none of HTTP".to_owned(),
    };
    fault_of(provider, error).or_else(|| crate::error::is_no_http(error).then(no_http))
}

/// The error of rustls among the causes of an error.
fn rustls_fault<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref() {
            return Some(found);
        }
        // What an I/O error was made of is not its source: its source is the source of that.
        let io = current.downcast_ref::<std::io::Error>();
        cause = match io.and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}

/// What an error of TLS means.
fn tls_error(provider: &'static str, fault: &TlsError) -> KmsError {
    let untrusted = |reason: String| KmsError::Untrusted { provider, reason };
    let credentials = |reason: &str| KmsError::Credentials {
        provider,
        reason: reason.to_owned(),
    };
    match fault {
        TlsError::InvalidCertificate(fault) => untrusted(certificate(fault)),
        TlsError::AlertReceived(alert) => match alert {
            AlertDescription::CertificateExpired => {
                credentials("the client's certificate has expired")
            }
            AlertDescription::CertificateRevoked => {
                credentials("the client's certificate was revoked")
            }
            AlertDescription::CertificateRequired => {
                credentials("it wants a client certificate, and none is configured")
            }
            AlertDescription::UnknownCA => {
                credentials("the authority of the client's certificate is not known to it")
            }
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => {
                credentials("it does not accept the client's certificate")
            }
            alert => KmsError::Refused {
                provider,
                reason: format!(
                    "the TLS connection was refused ({alert:?}); see which versions and ciphers it offers"
                ),
            },
        },
        TlsError::InvalidMessage(_) => KmsError::BadAnswer {
            provider,
            reason: "what answers at its address speaks no TLS".to_owned(),
        },
        other => KmsError::Unavailable {
            provider,
            reason: other.to_string(),
            source: Some(crate::Cause::new(other.clone())),
        },
    }
}

fn certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; renew it there".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; see whether the clocks are right".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "no trusted authority signed its certificate; name the authority's as ca_path (of vault \
             and rustyvault ca_cert_path), or trust it in the system"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("{fault}; use the name that its certificate is for")
        }
        fault => format!("its certificate cannot be trusted: {fault}"),
    }
}
