//! What all share who call a server by HTTP: where it is, when it may be asked again, what went wrong.

use reqwest::Url;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

/// Whether a URL is of this machine, where no proxy could reach it.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || literal.is_ok_and(|address| address.is_loopback())
}

/// How long the server asks to wait, where it says so in seconds.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The outermost of an error and its causes that is of this type.
pub fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        // What an I/O error was made of is not its source: its source is the source of that.
        let inner = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}

/// The innermost of an error's causes: what the system said.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;
    use std::io;

    #[test]
    fn causes_are_found_behind_errors_of_input_and_output() {
        let inner = io::Error::other(rustls::Error::DecryptError);
        let outer = io::Error::other(inner);
        let found = cause::<rustls::Error>(&outer);
        assert_eq!(found, Some(&rustls::Error::DecryptError));
        assert!(cause::<std::fmt::Error>(&outer).is_none());
    }

    #[test]
    fn a_wait_is_told_in_seconds() {
        for (text, seconds) in [("7", Some(7)), ("-1", None), ("tomorrow", None), ("", None)] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs));
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
