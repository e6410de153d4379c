//! [`Session`]: a client with its region and credentials.

use super::fault::{Fault, fault};
use super::{AwsCredentials, AwsSettings, NAME, TIMEOUT};
use crate::{KmsError, Result};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::Credentials;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;
use std::time::Duration;
use tokio::sync::OnceCell;

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
