//! [`ForwardedFor`]: where a request comes from, as proxies tell it in X-Forwarded-For.

use crate::listener::Networks;
use hyper::header::{HeaderMap, HeaderName};
use secretum_engine::Fault;
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whose word is taken for where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedFor {
    /// The proxies. They write the addresses that they see at the end of the header.
    pub trusted: Networks,
    /// How many addresses at the header's end are those of further proxies.
    pub hop_skips: usize,
    /// Whether a request without the header is refused.
    pub rejects_not_present: bool,
    /// Whether a request with it that does not come from a proxy is refused; else its header is passed
    /// over.
    pub rejects_not_authorized: bool,
}

impl ForwardedFor {
    /// Where a request comes from that came over a connection from `peer`.
    ///
    /// **Errors**: [`Fault::Invalid`], by these settings, or because the header names no address there.
    pub(super) fn client(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, Fault> {
        if !headers.contains_key(&X_FORWARDED_FOR) {
            return if self.rejects_not_present {
                Err(Fault::invalid("the header `x-forwarded-for` is missing"))
            } else {
                Ok(peer)
            };
        }
        if !peer.is_some_and(|peer| self.trusted.contain(peer)) {
            return if self.rejects_not_authorized {
                Err(Fault::invalid(
                    "the header `x-forwarded-for` is taken from authorized proxies only",
                ))
            } else {
                Ok(peer)
            };
        }
        self.told(headers).map(Some)
    }

    fn told(&self, headers: &HeaderMap) -> Result<IpAddr, Fault> {
        let unreadable =
            || Fault::invalid("the header `x-forwarded-for` names no IP address there");
        let values = headers.get_all(&X_FORWARDED_FOR).iter().rev();
        let mut hops = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        let hop = hops.nth(self.hop_skips).ok_or_else(|| {
            Fault::invalid(format!(
                "the header `x-forwarded-for` names fewer than {} addresses",
                self.hop_skips.saturating_add(1)
            ))
        })?;
        let text = std::str::from_utf8(hop).map_err(|_| unreadable())?;
        address(text.trim()).ok_or_else(unreadable)
    }
}

/// An address, maybe with a port, or in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|v6| v6.strip_suffix(']'));
    let ip = bare.unwrap_or(text).parse().ok();
    let ip = ip.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    const PROXY: &str = "10.0.0.1";
    const STRANGER: &str = "198.51.100.1";

    fn forwarded(hop_skips: usize, rejects: bool) -> ForwardedFor {
        ForwardedFor {
            trusted: Networks::new(vec!["10.0.0.0/8".parse().unwrap()]),
            hop_skips,
            rejects_not_present: rejects,
            rejects_not_authorized: rejects,
        }
    }

    fn client(settings: &ForwardedFor, values: &[&str], peer: &str) -> Result<String, Fault> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        let client = settings.client(&headers, Some(peer.parse().unwrap()))?;
        Ok(client.unwrap().to_string())
    }

    #[test]
    fn the_last_address_counts_and_hops_are_skipped_from_the_end() {
        let lines = ["192.0.2.66, 203.0.113.9", "10.0.0.2 ,10.0.0.3"];
        for (skips, told) in [
            (0, "10.0.0.3"),
            (1, "10.0.0.2"),
            (2, "203.0.113.9"),
            (3, "192.0.2.66"),
        ] {
            assert_eq!(
                client(&forwarded(skips, true), &lines, PROXY).unwrap(),
                told
            );
        }
        for skips in [4, usize::MAX] {
            assert!(client(&forwarded(skips, false), &lines, PROXY).is_err());
        }
    }

    #[test]
    fn addresses_may_have_ports_and_brackets_and_nothing_else_passes() {
        for (text, told) in [
            ("203.0.113.9:4711", "203.0.113.9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:1", "2001:db8::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(client(&forwarded(0, true), &[text], PROXY).unwrap(), told);
        }
        for text in ["", "unknown", "203.0.113.9,", "[203.0.113.9", "a:b"] {
            assert!(
                client(&forwarded(0, false), &[text], PROXY).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn who_is_no_proxy_speaks_for_himself_or_is_refused() {
        let lenient = forwarded(0, false);
        assert_eq!(
            client(&lenient, &["203.0.113.9"], STRANGER).unwrap(),
            STRANGER
        );
        assert_eq!(client(&lenient, &[], PROXY).unwrap(), PROXY);
        let strict = forwarded(0, true);
        assert!(client(&strict, &["203.0.113.9"], STRANGER).is_err());
        assert!(client(&strict, &[], PROXY).is_err());
        assert!(strict.client(&HeaderMap::new(), None).is_err());
    }
}
