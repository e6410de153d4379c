//! [`ClientConfig`]: where the server is, how it is trusted, and as whom it is asked.

mod environment;
mod tls;

pub use environment::Environment;
pub use tls::TlsConfig;

use crate::{Address, ClientError};
use reqwest::header::HeaderMap;
use secretum_api::fields::Seconds;
use secretum_crypto::SecretString;
use std::time::Duration;

/// How long a request may take where nothing else is set.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a request is tried again where nothing else is set.
const RETRIES_MAX: usize = 2;

/// Where the server is, how it is trusted, and as whom it is asked.
#[derive(Debug)]
pub struct ClientConfig {
    /// Where the server listens.
    pub address: Address,
    /// The token of every request.
    pub token: Option<SecretString>,
    /// The namespace of every request.
    pub namespace: Option<String>,
    /// How the server's certificate is checked, and the client's own.
    pub tls: TlsConfig,
    /// How long one try of a request may take; zero for any time.
    pub timeout: Duration,
    /// How often a request is tried again after the first time.
    pub retries_max: usize,
    /// Asks for every answer to be wrapped, in a token that lives this long.
    pub wrap_ttl: Option<String>,
    /// Headers for every request.
    pub headers: HeaderMap,
    /// Second factors for every request, as the header X-Vault-MFA takes them.
    pub mfa: Vec<String>,
    /// The proxy for every request; without one, the proxies of the environment hold.
    pub proxy: Option<String>,
    /// Whether a redirect to the active node is followed, once.
    pub follow_redirect: bool,
    /// Whether requests are not sent but handed back as [`ClientError::DryRun`].
    pub dry_run: bool,
}

impl ClientConfig {
    /// The settings for one address, everything else as it is by default.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            token: None,
            namespace: None,
            tls: TlsConfig::default(),
            timeout: TIMEOUT,
            retries_max: RETRIES_MAX,
            wrap_ttl: None,
            headers: HeaderMap::new(),
            mfa: Vec::new(),
            proxy: None,
            follow_redirect: true,
            dry_run: false,
        }
    }

    /// The settings of the process's environment; see [`Self::from_environment`].
    ///
    /// **Errors**: [`ClientError::Address`] and [`ClientError::Setting`].
    pub fn from_env() -> Result<Self, ClientError> {
        Self::from_environment(&Environment::process())
    }

    /// The settings of an environment: `ADDR`, `TOKEN`, `NAMESPACE`, `CACERT`, `CACERT_BYTES`,
    /// `CAPATH`, `CLIENT_CERT`, `CLIENT_KEY`, `TLS_SERVER_NAME`, `SKIP_VERIFY`, `CLIENT_TIMEOUT`,
    /// `MAX_RETRIES`, `WRAP_TTL`, `MFA`, `PROXY_ADDR`, `HTTP_PROXY`, `DISABLE_REDIRECTS`, each
    /// after `SECRETUM_`, else `VAULT_`, else `BAO_`.
    ///
    /// **Errors**: [`ClientError::Address`] and [`ClientError::Setting`].
    pub fn from_environment(environment: &Environment) -> Result<Self, ClientError> {
        let address = environment
            .get("ADDR")
            .map_or(Address::DEFAULT.to_owned(), |(_, text)| text);
        let mut config = Self::new(address.parse()?);
        let text = |name: &str| environment.get(name).map(|(_, text)| text);
        config.token = text("TOKEN").map(|token| SecretString::new(token.trim().to_owned()));
        config.namespace = text("NAMESPACE");
        config.tls = TlsConfig {
            ca_cert: text("CACERT").map(Into::into),
            ca_cert_pem: text("CACERT_BYTES").map(String::into_bytes),
            ca_path: text("CAPATH").map(Into::into),
            client_cert: text("CLIENT_CERT").map(Into::into),
            client_key: text("CLIENT_KEY").map(Into::into),
            server_name: text("TLS_SERVER_NAME"),
            skip_verify: environment.switch("SKIP_VERIFY")?.unwrap_or(false),
        };
        if let Some(Seconds(seconds)) = environment.parse("CLIENT_TIMEOUT", Seconds::parse)? {
            config.timeout = Duration::from_secs(seconds);
        }
        let count = |text: &str| {
            text.parse()
                .map_err(|_| "it must be a whole number".to_owned())
        };
        if let Some(retries) = environment.parse("MAX_RETRIES", count)? {
            config.retries_max = retries;
        }
        config.wrap_ttl = text("WRAP_TTL");
        config.mfa = text("MFA").into_iter().collect();
        config.proxy = text("PROXY_ADDR").or_else(|| text("HTTP_PROXY"));
        config.follow_redirect = !environment.switch("DISABLE_REDIRECTS")?.unwrap_or(false);
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<ClientConfig, ClientError> {
        ClientConfig::from_environment(&Environment::of(variables.iter().copied()))
    }

    #[test]
    fn an_empty_environment_means_the_defaults() {
        let config = config(&[("VAULT_ADDR", "")]).unwrap();
        assert_eq!(config.address.to_string(), "https://127.0.0.1:8200");
        assert_eq!((config.timeout, config.retries_max), (TIMEOUT, RETRIES_MAX));
        assert!(config.token.is_none() && !config.tls.skip_verify && config.follow_redirect);
    }

    #[test]
    fn our_names_come_before_vaults() {
        let config = config(&[
            ("BAO_ADDR", "http://bao:1"),
            ("VAULT_ADDR", "http://vault:2"),
            ("SECRETUM_ADDR", "http://secretum:3"),
            ("BAO_TOKEN", "b"),
            ("VAULT_TOKEN", "v"),
            ("BAO_NAMESPACE", "n"),
        ])
        .unwrap();
        assert_eq!(config.address.to_string(), "http://secretum:3");
        assert_eq!(config.token.unwrap().expose(), "v");
        assert_eq!(config.namespace.as_deref(), Some("n"));
    }

    #[test]
    fn values_that_are_none_are_refused_by_name() {
        for (name, value) in [
            ("VAULT_SKIP_VERIFY", "perhaps"),
            ("VAULT_CLIENT_TIMEOUT", "soon"),
            ("BAO_MAX_RETRIES", "-1"),
        ] {
            let error = config(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let config = config(&[("VAULT_TOKEN", "hvs.planted")]).unwrap();
        assert!(!format!("{config:?}").contains("planted"));
    }
}
