//! Network addresses and URLs.

use std::fmt;
use std::net::Ipv6Addr;

/// The most characters of a host's name (RFC 1035, section 2.3.4).
const HOST_CHARACTERS_MAX: usize = 253;

/// A host and a port.
///
/// **Shape**: prints as `host:port`, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name or an IP address, without brackets. `0.0.0.0` where `:8200` was written.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl Address {
    /// Reads `host:port`, `[IPv6 address]:port` or `:port`; `None` if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Self::of(host, port)
    }

    fn of(host: &str, port: &str) -> Option<Self> {
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits)?;
        let host = if host.is_empty() { "0.0.0.0" } else { host };
        let bare = host.strip_prefix('[').and_then(|v6| v6.strip_suffix(']'));
        let host = match bare {
            Some(v6) => v6.parse::<Ipv6Addr>().ok().map(|_| v6)?,
            None => Some(host).filter(|host| is_name(host))?,
        };
        let host = host.to_owned();
        Some(Self { host, port })
    }
}

/// Whether it can be a name or an IPv4 address.
fn is_name(host: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    host.len() <= HOST_CHARACTERS_MAX && host.bytes().all(known)
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(formatter, "[{host}]:{port}")
        } else {
            write!(formatter, "{host}:{port}")
        }
    }
}

/// The URL where a node is reached.
///
/// **Shape**: `http://` or `https://`, a host, and maybe a port and a path; no user, query or fragment.
/// Prints as it was written, less a final `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeUrl {
    text: String,
    address: Address,
}

impl NodeUrl {
    /// Reads a URL; `None` if it is none, or not of this shape.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, default_port) = match text.strip_prefix("https://") {
            Some(rest) => (rest, "443"),
            None => (text.strip_prefix("http://")?, "80"),
        };
        let plain = |c: char| c.is_ascii_graphic() && !"?#@\\\"<>`{}|^".contains(c);
        if !rest.chars().all(plain) {
            return None;
        }
        let authority = rest
            .split_once('/')
            .map_or(rest, |(authority, _)| authority);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, default_port),
        };
        if host.is_empty() {
            return None;
        }
        Some(Self {
            text: text.trim_end_matches('/').to_owned(),
            address: Address::of(host, port)?,
        })
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its host and port; 443 or 80 where it names none.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, again) in [
            ("127.0.0.1:8200", "127.0.0.1:8200"),
            ("localhost:0", "localhost:0"),
            ("[::]:8200", "[::]:8200"),
            ("[2001:db8::1]:65535", "[2001:db8::1]:65535"),
            (":8200", "0.0.0.0:8200"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), again);
        }
        for text in [
            "",
            "127.0.0.1",
            "127.0.0.1:",
            "a:99999",
            "a:65536",
            "a:-1",
            "a:+1",
            "::1:8200",
            "[::1]",
            "[::1:1",
            "[x]:1",
            "a b:1",
            "http://a:1",
            "{{ GetPrivateIP }}:8200",
            "[]:1",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
        assert!(Address::parse(&format!("{}:1", "a".repeat(253))).is_some());
        assert!(Address::parse(&format!("{}:1", "a".repeat(254))).is_none());
    }

    #[test]
    fn urls() {
        for (text, again, address) in [
            (
                "https://a.example:8200",
                "https://a.example:8200",
                "a.example:8200",
            ),
            ("https://a.example/", "https://a.example", "a.example:443"),
            ("http://[::1]", "http://[::1]", "[::1]:80"),
            ("http://[::1]:82/v", "http://[::1]:82/v", "[::1]:82"),
        ] {
            let url = NodeUrl::parse(text).unwrap();
            assert_eq!(
                (url.as_str(), url.address().to_string()),
                (again, address.to_owned())
            );
        }
        for text in [
            "",
            "a",
            "a:1",
            "https://",
            "https:///x",
            "https://:1",
            "ftp://a",
            "https://a b",
            "https://u@a",
            "https://a:x",
            "https://a?q",
            "not an address",
            "https://a:",
            "HTTPS://a",
        ] {
            assert_eq!(NodeUrl::parse(text), None, "{text}");
        }
    }
}
