//! The way from an API path to a URL.

use crate::ClientError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write;

/// What stands for itself inside one segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// What stands for itself in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b',');

/// Percent-encodes a path, slashes apart.
///
/// **Errors**: [`ClientError::Path`] for the segments `.` and `..`, which the rules of URLs would
/// make another path of.
pub(crate) fn encode(path: &str) -> Result<String, ClientError> {
    if path
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Err(ClientError::Path {
            path: path.to_owned(),
        });
    }
    let mut encoded = String::with_capacity(path.len());
    for (index, segment) in path.trim_start_matches('/').split('/').enumerate() {
        if index > 0 {
            encoded.push('/');
        }
        encoded.extend(utf8_percent_encode(segment, SEGMENT));
    }
    Ok(encoded)
}

/// The query of a URL, with its question mark; empty where there is none.
pub(crate) fn query(parameters: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        text.push(if text.is_empty() { '?' } else { '&' });
        let (name, value) = (
            utf8_percent_encode(name, QUERY),
            utf8_percent_encode(value, QUERY),
        );
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}={value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_segment_by_segment() {
        for (path, encoded) in [
            ("secret/data/a", "secret/data/a"),
            ("/sys/health", "sys/health"),
            ("a b/c?d#e", "a%20b/c%3Fd%23e"),
            ("50%/%2e%2e", "50%25/%252e%252e"),
            (
                "user@example.com/$x&y+z,:;=~",
                "user@example.com/$x&y+z,:;=~",
            ),
            ("naïve/日本", "na%C3%AFve/%E6%97%A5%E6%9C%AC"),
            ("tab\tnew\nline", "tab%09new%0Aline"),
            ("a\\b[c]", "a%5Cb%5Bc%5D"),
            ("trailing/", "trailing/"),
            ("..a/b..", "..a/b.."),
        ] {
            assert_eq!(super::encode(path).unwrap(), encoded);
        }
    }

    #[test]
    fn relative_segments_are_refused() {
        for path in ["..", "secret/../sys", "a/./b", "a/.."] {
            assert!(encode(path).is_err(), "{path}");
        }
    }

    #[test]
    fn an_encoded_path_stands_in_a_url_as_it_is() {
        for path in [
            "a b/%2e%2e/c?d#e",
            "tab\tnew\nline/日本",
            "a\\b",
            "...",
            "~/-_.$&+,:;=@",
        ] {
            let encoded = encode(path).unwrap();
            let url = reqwest::Url::parse(&format!("http://h/v1/{encoded}")).unwrap();
            assert_eq!(url.path(), format!("/v1/{encoded}"));
        }
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(query(&[]), "");
        let parameters = [
            ("list".to_owned(), "true".to_owned()),
            ("after".to_owned(), "a&b=c".to_owned()),
        ];
        assert_eq!(query(&parameters), "?list=true&after=a%26b%3Dc");
    }
}
