//! [`ProxyProtocol`]: where a connection comes from, as a proxy in between tells it.
//!
//! **Source**: "The PROXY protocol, versions 1 & 2" of HAProxy. Headers are read by the crate `ppp`.

use super::endpoint::{Source, Stream};
use bytes::{Buf, Bytes, BytesMut};
use ipnet::IpNet;
use ppp::v1::{self, Addresses as Addresses1};
use ppp::v2::{self, Addresses as Addresses2, Command, PROTOCOL_PREFIX};
use std::net::IpAddr;
use tokio::io::AsyncReadExt;

/// The most bytes of a header of version 2, its extensions included.
const HEADER_BYTES_MAX: usize = 4 * 1024;

/// The most bytes of a header of version 1, its line break included.
const LINE_BYTES_MAX: usize = 107;

const LINE_PREFIX: &[u8] = b"PROXY ";

/// Whose headers are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// The proxies; `None` for everybody.
    pub trusted: Option<Networks>,
    /// What happens to all others.
    pub untrusted: Untrusted,
}

/// What happens to connections from elsewhere than a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untrusted {
    /// Their header is read and passed over.
    Ignored,
    /// They are refused.
    Refused,
}

/// Networks of IP addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// These networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether an address lies in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for Networks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(formatter, "{comma}{network}")?;
        }
        Ok(())
    }
}

/// Why a connection is refused for its header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("the PROXY header cannot be read: {0}")]
    Malformed(String),
    #[error("the PROXY header is longer than any may be")]
    TooLong,
    #[error("connections are taken from authorized proxies only")]
    Unauthorized,
    #[error("the connection ended early: {0}")]
    Read(#[from] std::io::Error),
}

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A header, so many bytes long. The address is `None` where the proxy speaks for itself, or for
    /// one that it does not know.
    Header { bytes: usize, source: Source },
    /// No header.
    Other,
    /// That cannot be told yet.
    Unknown,
}

impl ProxyProtocol {
    /// Where a connection comes from, and what was read of it that belongs to what follows.
    pub(super) async fn identify(
        &self,
        stream: &mut Stream,
        source: Source,
    ) -> Result<(Source, Bytes), HeaderError> {
        let is_trusted = match &self.trusted {
            None => true,
            Some(networks) => source.is_some_and(|source| networks.contain(source)),
        };
        if !is_trusted && self.untrusted == Untrusted::Refused {
            return Err(HeaderError::Unauthorized);
        }
        let mut read = BytesMut::with_capacity(LINE_BYTES_MAX);
        loop {
            match beginning(&read)? {
                Beginning::Header {
                    bytes,
                    source: told,
                } => {
                    read.advance(bytes);
                    let source = told.filter(|_| is_trusted).or(source);
                    return Ok((source, read.freeze()));
                }
                Beginning::Other => return Ok((source, read.freeze())),
                Beginning::Unknown => {}
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

/// Looks for a header in the first bytes of a connection.
pub(crate) fn beginning(bytes: &[u8]) -> Result<Beginning, HeaderError> {
    let may_be = |prefix: &[u8]| prefix.starts_with(bytes) || bytes.starts_with(prefix);
    if bytes.is_empty() {
        Ok(Beginning::Unknown)
    } else if may_be(LINE_PREFIX) {
        line(bytes)
    } else if may_be(PROTOCOL_PREFIX) {
        binary(bytes)
    } else {
        Ok(Beginning::Other)
    }
}

/// Version 1: a line of text.
fn line(bytes: &[u8]) -> Result<Beginning, HeaderError> {
    let head = bytes.get(..LINE_BYTES_MAX).unwrap_or(bytes);
    let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LINE_BYTES_MAX {
            Ok(Beginning::Unknown)
        } else {
            Err(HeaderError::TooLong)
        };
    };
    let head = head.get(..end + 2).unwrap_or_default();
    let header = v1::Header::try_from(head);
    let header = header.map_err(|error| HeaderError::Malformed(error.to_string()))?;
    let source = match header.addresses {
        Addresses1::Tcp4(told) => Some(IpAddr::V4(told.source_address)),
        Addresses1::Tcp6(told) => Some(IpAddr::V6(told.source_address).to_canonical()),
        Addresses1::Unknown => None,
    };
    Ok(Beginning::Header {
        bytes: head.len(),
        source,
    })
}

/// Version 2: 16 bytes that tell the length of the rest.
fn binary(bytes: &[u8]) -> Result<Beginning, HeaderError> {
    let header = match v2::Header::try_from(bytes) {
        Ok(header) => header,
        Err(v2::ParseError::Incomplete(_)) => return Ok(Beginning::Unknown),
        Err(v2::ParseError::Partial(_, rest)) if rest <= HEADER_BYTES_MAX => {
            return Ok(Beginning::Unknown);
        }
        Err(v2::ParseError::Partial(..)) => return Err(HeaderError::TooLong),
        Err(error) => return Err(HeaderError::Malformed(error.to_string())),
    };
    let source = match (header.command, header.addresses) {
        (Command::Proxy, Addresses2::IPv4(told)) => Some(IpAddr::V4(told.source_address)),
        (Command::Proxy, Addresses2::IPv6(told)) => {
            Some(IpAddr::V6(told.source_address).to_canonical())
        }
        _ => None,
    };
    let bytes = header.as_bytes().len();
    if bytes > HEADER_BYTES_MAX {
        return Err(HeaderError::TooLong);
    }
    Ok(Beginning::Header { bytes, source })
}

/// For the fuzz target: what a header takes is there, and one byte less or more of what follows
/// changes nothing.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(Beginning::Header { bytes: taken, .. }) = beginning(bytes) else {
        return;
    };
    assert!(taken <= bytes.len() && taken <= HEADER_BYTES_MAX);
    let whole = beginning(bytes.get(..taken).unwrap_or_default());
    assert!(matches!(whole, Ok(Beginning::Header { bytes, .. }) if bytes == taken));
    let cut = beginning(bytes.get(..taken - 1).unwrap_or_default());
    assert!(matches!(cut, Ok(Beginning::Unknown)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(bytes: usize, source: Option<&str>) -> Beginning {
        let source = source.map(|address| address.parse().unwrap());
        Beginning::Header { bytes, source }
    }

    /// A header of version 2 with these bytes after the length.
    fn version2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = PROTOCOL_PREFIX.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn lines_are_read_whole_and_not_beyond() {
        let line = b"PROXY TCP4 203.0.113.9 192.0.2.1 5000 8200\r\nGET / HTTP/1.1\r\n\r\n";
        let found = beginning(line).unwrap();
        assert_eq!(found, header(44, Some("203.0.113.9")));
        for cut in 0..44 {
            assert_eq!(
                beginning(&line[..cut]).unwrap(),
                Beginning::Unknown,
                "{cut}"
            );
        }
        let six = b"PROXY TCP6 2001:db8::9 2001:db8::1 5000 8200\r\n";
        assert_eq!(beginning(six).unwrap(), header(46, Some("2001:db8::9")));
        assert_eq!(beginning(b"PROXY UNKNOWN\r\n").unwrap(), header(15, None));
        assert!(beginning(b"PROXY TCP4 nonsense\r\n").is_err());
    }

    #[test]
    fn a_line_that_does_not_end_is_refused_at_its_limit() {
        let mut long = b"PROXY UNKNOWN ".to_vec();
        long.resize(LINE_BYTES_MAX - 1, b'x');
        assert_eq!(beginning(&long).unwrap(), Beginning::Unknown);
        long.push(b'x');
        assert!(matches!(beginning(&long), Err(HeaderError::TooLong)));
    }

    #[test]
    fn binary_headers_tell_the_client_and_have_a_limit() {
        let four = [203, 0, 113, 9, 192, 0, 2, 1, 0, 80, 1, 187];
        let whole = version2(0x21, 0x11, &four);
        assert_eq!(beginning(&whole).unwrap(), header(28, Some("203.0.113.9")));
        for cut in 0..whole.len() {
            assert_eq!(
                beginning(&whole[..cut]).unwrap(),
                Beginning::Unknown,
                "{cut}"
            );
        }
        // LOCAL: the proxy's own check of its health.
        let own = version2(0x20, 0x00, &[]);
        assert_eq!(beginning(&own).unwrap(), header(16, None));
        let mut mapped = [0; 36];
        mapped[10..16].copy_from_slice(&[0xff, 0xff, 203, 0, 113, 9]);
        let mapped = version2(0x21, 0x21, &mapped);
        assert_eq!(beginning(&mapped).unwrap(), header(52, Some("203.0.113.9")));
        let extended = version2(0x20, 0x00, &vec![0; HEADER_BYTES_MAX - 16]);
        assert_eq!(
            beginning(&extended).unwrap(),
            header(HEADER_BYTES_MAX, None)
        );
        let beyond = version2(0x20, 0x00, &vec![0; HEADER_BYTES_MAX - 15]);
        assert!(matches!(beginning(&beyond), Err(HeaderError::TooLong)));
        let declared = version2(0x20, 0x00, &vec![0; HEADER_BYTES_MAX + 1]);
        assert!(matches!(
            beginning(&declared[..20]),
            Err(HeaderError::TooLong)
        ));
        assert!(beginning(&version2(0x31, 0x11, &four)).is_err());
    }

    #[test]
    fn what_begins_otherwise_is_no_header() {
        for other in [
            &b"GET / HTTP/1.1"[..],
            b"PUT /",
            b"PRI * HTTP/2.0",
            b"\x16\x03\x01",
            b"\r\n\r\n\0\r\nGET",
        ] {
            assert_eq!(beginning(other).unwrap(), Beginning::Other);
        }
    }

    #[test]
    fn networks_hold_addresses_in_either_spelling() {
        let networks = Networks::new(vec!["10.0.0.0/8".parse().unwrap()]);
        assert!(networks.contain("10.1.2.3".parse().unwrap()));
        assert!(networks.contain("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!networks.contain("11.0.0.1".parse().unwrap()));
        assert!(!Networks::default().contain("10.0.0.1".parse().unwrap()));
    }
}
