//! A client that prefers X25519, and sends its shares of that and of the hybrid group at once.

use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup};

/// X25519, with a share of X25519MLKEM768 behind its own.
pub(crate) static X25519_FIRST: Group = Group;

#[derive(Debug)]
pub(crate) struct Group;

/// The hybrid exchange, whose two halves changed places.
struct Exchange(Box<dyn ActiveKeyExchange>);

impl SupportedKxGroup for Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Exchange(kx_group::X25519MLKEM768.start()?)))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Exchange {
    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }

    fn pub_key(&self) -> &[u8] {
        self.0.hybrid_component().unwrap().1
    }

    fn complete(self: Box<Self>, peer_share: &[u8]) -> Result<SharedSecret, Error> {
        self.0.complete_hybrid_component(peer_share)
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((NamedGroup::X25519MLKEM768, self.0.pub_key()))
    }

    fn complete_hybrid_component(
        self: Box<Self>,
        peer_share: &[u8],
    ) -> Result<SharedSecret, Error> {
        self.0.complete(peer_share)
    }
}
