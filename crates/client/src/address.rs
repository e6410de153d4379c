//! [`Address`]: where the server listens.

use crate::ClientError;
use reqwest::Url;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where the server listens: `https://host:port`, `http://host:port`, each with an optional path
/// before `/v1/`, or `unix:///path/to/socket`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    url: Url,
    socket: Option<PathBuf>,
}

impl Address {
    /// The address that is meant where none is given: `https://127.0.0.1:8200`.
    pub const DEFAULT: &str = "https://127.0.0.1:8200";

    /// The base URL, without a trailing slash; for a socket, what its requests are addressed to.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The Unix socket, where the address is one.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }
}

impl FromStr for Address {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let text = text.trim();
        let invalid = |reason: &str| ClientError::Address {
            address: without_password(text),
            reason: reason.to_owned(),
        };
        if let Some(socket) = text.strip_prefix("unix://") {
            if !socket.starts_with('/') {
                return Err(invalid(
                    "a socket needs its full path: unix:///path/to/socket",
                ));
            }
            let url = Url::parse("http://localhost").map_err(|e| invalid(&e.to_string()))?;
            return Ok(Self {
                url,
                socket: Some(PathBuf::from(socket)),
            });
        }
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Err(invalid("it must begin with https://, http:// or unix://"));
        }
        let mut url = Url::parse(text).map_err(|e| invalid(&e.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("it must not hold a user name or password"));
        }
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self { url, socket: None })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(f, "unix://{}", socket.display()),
            None => f.write_str(self.url.as_str().trim_end_matches('/')),
        }
    }
}

/// The text up to a user name and password, if there may be any.
fn without_password(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, shown) in [
            ("https://127.0.0.1:8200", "https://127.0.0.1:8200"),
            (" http://vault.example/ ", "http://vault.example"),
            (
                "https://proxy.example/vault/",
                "https://proxy.example/vault",
            ),
            ("http://[::1]:8200", "http://[::1]:8200"),
            ("unix:///run/vault.sock", "unix:///run/vault.sock"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn others_are_refused_without_showing_a_password() {
        for text in [
            "",
            "127.0.0.1:8200",
            "ftp://x",
            "https://",
            "unix://x",
            "https://u:hunter2@x",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
