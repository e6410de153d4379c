//! The handshake of TLS: which key agreement it takes.
//!
//! The hybrid X25519MLKEM768 wherever the client knows it, in whatever order it lists its groups, and
//! with one more round trip where it sent no share of it: who records the session today cannot open it
//! with the quantum computer of a later day. rustls takes the group that the client lists first; so
//! there are two configurations of the same files, and what the client says decides which it gets.

use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, CryptoProvider, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::server::Acceptor;
use rustls::{Error, NamedGroup, ProtocolVersion, ServerConfig};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// Both configurations of a server.
#[derive(Debug, Clone)]
pub struct Handshakes {
    hybrid: Arc<ServerConfig>,
    classic: Arc<ServerConfig>,
}

impl Handshakes {
    /// Prepares them by what makes a configuration with a provider of cryptography.
    ///
    /// **Errors**: those of `configure`.
    pub fn prepare<E>(
        configure: impl Fn(Arc<CryptoProvider>) -> Result<ServerConfig, E>,
    ) -> Result<Self, E> {
        let classic = aws_lc_rs::default_provider();
        let hybrid = CryptoProvider {
            kx_groups: vec![kx_group::X25519MLKEM768, &X25519, &SECP256R1, &SECP384R1],
            ..classic.clone()
        };
        Ok(Self {
            hybrid: Arc::new(configure(Arc::new(hybrid))?),
            classic: Arc::new(configure(Arc::new(classic))?),
        })
    }

    /// Makes the handshake on a connection that was accepted.
    ///
    /// **Errors**: as the stream's, and `InvalidData` where the two do not come to terms.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let knows_hybrid = (begun.client_hello().named_groups())
            .is_some_and(|groups| groups.contains(&NamedGroup::X25519MLKEM768));
        let config = if knows_hybrid {
            &self.hybrid
        } else {
            &self.classic
        };
        begun.into_stream(Arc::clone(config)).await
    }
}

static X25519: Only12 = Only12(kx_group::X25519);
static SECP256R1: Only12 = Only12(kx_group::SECP256R1);
static SECP384R1: Only12 = Only12(kx_group::SECP384R1);

/// A group for TLS 1.2, which knows no hybrid ones, and no other version.
#[derive(Debug)]
struct Only12(&'static dyn SupportedKxGroup);

impl SupportedKxGroup for Only12 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        self.0.start()
    }

    fn start_and_complete(&self, peer_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        self.0.start_and_complete(peer_share)
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        self.0.ffdhe_group()
    }

    fn name(&self) -> NamedGroup {
        self.0.name()
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_2 && self.0.usable_for_version(version)
    }
}
