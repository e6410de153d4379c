//! [`Peer`]: who is on the other side of a connection, as far as the connection tells.

use super::endpoint::Source;
use bytes::Bytes;
use rustls_pki_types::CertificateDer;
use secretum_core::VerifiedCertificates;
use std::net::IpAddr;

/// Who is on the other side of a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    /// Its address, or that of the client that a trusted proxy speaks for; none on a Unix socket.
    pub(crate) address: Option<IpAddr>,
    /// What it showed in the handshake of TLS, where that was verified.
    pub(crate) certificates: VerifiedCertificates,
}

impl Peer {
    pub(super) fn at(source: Source) -> Self {
        Self {
            address: source,
            certificates: VerifiedCertificates::default(),
        }
    }

    /// With the certificates of a handshake, which ended well: a listener asks for certificates only
    /// where it verifies them.
    pub(super) fn with_certificates(self, shown: Option<&[CertificateDer<'_>]>) -> Self {
        let chain = shown.unwrap_or_default().iter();
        let chain = chain.map(|certificate| Bytes::copy_from_slice(certificate));
        Self {
            certificates: VerifiedCertificates::new(chain.collect()),
            ..self
        }
    }
}
