//! [`AddressRange`]: a block of IP addresses.

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, Error};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A block of IP addresses: read from CIDR notation or a single address, written as the shorter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange(IpNet);

super::schema!(AddressRange, "AddressRange", {
    "type": "string",
    "description": "A block of IP addresses, `10.0.0.0/8`, or a single one"
});

impl AddressRange {
    /// Whether an address is in it; an IPv4 address in IPv6 clothes counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let single = text.parse::<IpAddr>().map(IpNet::from);
        let range = single.or_else(|_| text.parse::<IpNet>());
        range.map(|range| Self(range.trunc())).map_err(|_| {
            format!(
                "`{}` is no IP address and no CIDR block",
                text.escape_debug()
            )
        })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            write!(f, "{}", self.0.addr())
        } else {
            write!(f, "{}", self.0)
        }
    }
}

impl serde::Serialize for AddressRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AddressRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_addresses_are_read_and_told() {
        for (text, told) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            (" 127.0.0.1 ", "127.0.0.1"),
            ("127.0.0.1/32", "127.0.0.1"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::1", "::1"),
        ] {
            assert_eq!(text.parse::<AddressRange>().unwrap().to_string(), told);
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0",
            "localhost",
            "10.0.0.0/-1",
            "/8",
        ] {
            assert!(text.parse::<AddressRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_in_its_block_alone() {
        let range: AddressRange = "10.0.0.0/8".parse().unwrap();
        for (address, inside) in [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("::ffff:10.1.1.1", true),
            ("::1", false),
        ] {
            assert_eq!(
                range.contains(address.parse().unwrap()),
                inside,
                "{address}"
            );
        }
    }
}
