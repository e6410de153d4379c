//! [`Session`]: a client with its region and credentials.

use super::fault::{Fault, fault};
use super::{AwsCredentials, AwsSettings, NAME, TIMEOUT};
use crate::{KeyId, KmsError, Result};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::Credentials;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_types::service_config::ServiceConfigKey;
use std::error::Error;
use std::time::Duration;
use tokio::sync::OnceCell;

/// The services that plaintexts, or what credentials are given out for, are sent to.
const SERVICES: [&str; 5] = ["KMS", "STS", "SSO", "SSO OIDC", "Signin"];

/// A client that is made at the first request, for the machine itself may have to be asked for the
/// region.
#[derive(Debug)]
pub(super) struct Session {
    settings: AwsSettings,
    client: OnceCell<Client>,
}

impl Session {
    pub(super) fn new(settings: AwsSettings) -> Self {
        Self {
            settings,
            client: OnceCell::new(),
        }
    }

    /// How long one request may take.
    pub(super) fn timeout(&self) -> Duration {
        self.settings.timeout.unwrap_or(TIMEOUT)
    }

    pub(super) async fn client(&self) -> Result<&Client> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    /// The client, for operations with this key.
    ///
    /// **Errors**: [`KmsError::OtherRegion`], besides those of the client: a region knows its own keys only, and
    /// says of others that they are not there.
    pub(super) async fn client_of(&self, key: &KeyId) -> Result<&Client> {
        let client = self.client().await?;
        let configured = client.config().region().map(Region::as_ref);
        match (region_of(key), configured) {
            (Some(found), Some(configured)) if found != configured => Err(KmsError::OtherRegion {
                key: key.clone(),
                found: found.to_owned(),
                configured: configured.to_owned(),
            }),
            _ => Ok(client),
        }
    }

    async fn connect(&self) -> Result<Client> {
        let timeout = self.timeout();
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(timeout)
            .connect_timeout(timeout)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(region) = &self.settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &self.settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(profile) = &self.settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(credentials) = &self.settings.credentials {
            loader = loader.credentials_provider(of_settings(credentials));
        }
        let loaded = tokio::time::timeout(timeout, loader.load()).await;
        let config = loaded.map_err(|_| KmsError::Timeout {
            provider: NAME,
            after: timeout,
        })?;
        if config.region().is_none() {
            return Err(KmsError::NotConfigured {
                provider: NAME,
                what: "a region",
                remedy: "write region in [kms.aws], or set AWS_REGION",
            });
        }
        if !self.settings.without_tls {
            check_addresses(&config)?;
        }
        Ok(Client::new(&config))
    }

    /// What an error of the client means.
    pub(super) fn fault<E>(&self, error: SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        fault(error, self.timeout())
    }
}

/// The region in the ARN of a key.
fn region_of(key: &KeyId) -> Option<&str> {
    let rest = key.as_str().strip_prefix("arn:")?;
    rest.split(':').nth(2).filter(|region| !region.is_empty())
}

/// Refuses addresses without TLS, whoever named them: the library takes them from variables and profiles
/// too.
fn check_addresses(config: &SdkConfig) -> Result<()> {
    let for_all = config.endpoint_url().map(str::to_owned);
    let own = SERVICES.iter().filter_map(|service| {
        let key = ServiceConfigKey::builder()
            .service_id(service)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url");
        config.service_config()?.load_config(key.build().ok()?)
    });
    if for_all.into_iter().chain(own).all(|url| is_secure(&url)) {
        return Ok(());
    }
    // What it is may come from a variable, and is not shown.
    Err(KmsError::Refused {
        provider: NAME,
        reason: "it is given an address without TLS, which is for emulators in development only; \
                 correct endpoint_url in [kms.aws], the variables AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_…, \
                 and endpoint_url of the profile"
            .to_owned(),
    })
}

fn is_secure(url: &str) -> bool {
    let scheme = url.trim_start().get(..8);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

fn of_settings(credentials: &AwsCredentials) -> Credentials {
    let token = credentials.session_token.as_ref();
    Credentials::new(
        credentials.access_key_id.as_str(),
        credentials.secret_access_key.expose(),
        token.map(|token| token.expose().to_owned()),
        None,
        "kms.toml",
    )
}
