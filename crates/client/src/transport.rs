//! The way to the server: connections, certificates, names.

use crate::http::is_loopback;
use crate::{Address, ClientConfig, ClientError};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderValue;
use reqwest::redirect::{Attempt, Policy};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The HTTP client, and where it sends to.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    /// What requests are addressed to.
    pub(crate) base: Url,
    /// The name of the host, where `base` has another one.
    pub(crate) host: Option<HeaderValue>,
}

impl Transport {
    /// Sets up the way to the configured server; nothing is sent yet.
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("secretum-client/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirects(config.follow_redirect));
        if !config.timeout.is_zero() {
            builder = builder.timeout(config.timeout);
        }
        builder = tls(builder, config)?;
        builder = proxies(builder, config)?;
        let mut base = config.address.url().clone();
        let mut host = None;
        if let Some(name) = renamed(config) {
            host = host_header(&base);
            let real = base.host_str().unwrap_or_default().to_owned();
            // TLS asks for the name in the URL, so the name goes there, and the resolver leads it to
            // the real host. Over HTTP/2 the name would stand in for the host as well.
            builder = builder.dns_resolver(Arc::new(LeadTo(real))).http1_only();
            base.set_host(Some(name))
                .map_err(|error| ClientError::Setting {
                    name: "TLS_SERVER_NAME".to_owned(),
                    value: name.to_owned(),
                    reason: error.to_string(),
                })?;
        }
        let http = builder
            .build()
            .map_err(|source| ClientError::Setup { source })?;
        Ok(Self { http, base, host })
    }
}

/// The name to ask for in TLS, where it is not the address's own.
fn renamed(config: &ClientConfig) -> Option<&str> {
    let name = config.tls.server_name.as_deref()?;
    let url = config.address.url();
    (url.scheme() == "https" && url.host_str() != Some(name)).then_some(name)
}

fn host_header(base: &Url) -> Option<HeaderValue> {
    let host = base.host_str()?;
    let text = base
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    HeaderValue::from_str(&text).ok()
}

fn tls(
    mut builder: reqwest::ClientBuilder,
    config: &ClientConfig,
) -> Result<reqwest::ClientBuilder, ClientError> {
    if config.address.url().scheme() != "https" {
        // Without TLS no authority is needed, and a machine without any must not fail.
        return Ok(builder.tls_certs_only([]));
    }
    if let Some(roots) = config.tls.roots()? {
        builder = builder.tls_certs_only(roots);
    }
    if let Some(identity) = config.tls.identity()? {
        builder = builder.identity(identity);
    }
    Ok(builder.tls_danger_accept_invalid_certs(config.tls.skip_verify))
}

fn proxies(
    builder: reqwest::ClientBuilder,
    config: &ClientConfig,
) -> Result<reqwest::ClientBuilder, ClientError> {
    if is_local(&config.address) {
        return Ok(builder.no_proxy());
    }
    let builder = match config.address.socket() {
        Some(socket) => builder.unix_socket(socket),
        None => builder,
    };
    match &config.proxy {
        Some(proxy) => {
            let proxy =
                reqwest::Proxy::all(proxy).map_err(|source| ClientError::Setup { source })?;
            Ok(builder.proxy(proxy))
        }
        None => Ok(builder),
    }
}

/// Whether the server is on this machine, where no proxy could reach it.
fn is_local(address: &Address) -> bool {
    address.socket().is_none() && is_loopback(address.url())
}

/// One redirect, from a standby to the active node, and never from TLS to none: the token goes with
/// it.
fn redirects(follow: bool) -> Policy {
    if !follow {
        return Policy::none();
    }
    Policy::custom(|attempt: Attempt<'_>| {
        let downgrade = attempt
            .previous()
            .last()
            .is_some_and(|url| url.scheme() == "https")
            && attempt.url().scheme() != "https";
        if downgrade {
            attempt.error("the server redirects to an address without TLS")
        } else if attempt.previous().len() > 1 {
            attempt.error("the server redirects more than once")
        } else {
            attempt.follow()
        }
    })
}

/// Resolves every name to one host.
struct LeadTo(String);

impl Resolve for LeadTo {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self
            .0
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
