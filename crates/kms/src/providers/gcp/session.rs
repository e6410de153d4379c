//! [`Session`]: a client with its credentials.

use super::fault::{CLOUD, Fault, fault};
use super::{GcpCredentials, GcpSettings, NAME, TIMEOUT};
use crate::providers::files;
use crate::{KmsError, Result};
use google_cloud_auth::credentials::{
    Credentials, anonymous, external_account, impersonated, service_account, user_account,
};
use google_cloud_gax::client_builder::Error as BuilderError;
use google_cloud_gax::client_builder::internal::with_follow_redirects;
use google_cloud_gax::error::Error as GcpError;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_kms_v1::client::KeyManagementService;
use serde_json::Value;
use std::fmt;
use std::path::Path;
use std::time::Duration;
use tokio::sync::OnceCell;

/// What is said of an address without TLS.
pub(crate) const CLEAR: &str = "its address has no TLS, and tokens would go over the network in the \
                                clear; write endpoint = \"https://…\", or anonymous = true for an \
                                emulator";

/// A client that is made at the first request, for its credentials want a runtime.
pub(super) struct Session {
    pub(super) settings: GcpSettings,
    client: OnceCell<KeyManagementService>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(settings: GcpSettings) -> Self {
        Self {
            settings,
            client: OnceCell::new(),
        }
    }

    fn timeout(&self) -> Duration {
        self.settings.timeout.unwrap_or(TIMEOUT)
    }

    pub(super) async fn client(&self) -> Result<&KeyManagementService> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    /// Waits for an answer, fetching credentials included, as long as one request may take.
    pub(super) async fn ask<T>(
        &self,
        request: impl Future<Output = std::result::Result<T, GcpError>>,
    ) -> std::result::Result<T, Fault> {
        let timeout = self.timeout();
        match tokio::time::timeout(timeout, request).await {
            Ok(answer) => answer.map_err(|error| fault(error, timeout)),
            Err(_) => Err(Fault::Other(CLOUD.timed_out(timeout))),
        }
    }

    async fn connect(&self) -> Result<KeyManagementService> {
        if self.settings.are_in_the_clear() {
            return Err(KmsError::Refused {
                provider: NAME,
                reason: CLEAR.to_owned(),
            });
        }
        // What is sent holds plaintexts, and goes nowhere else.
        let mut builder = with_follow_redirects(KeyManagementService::builder(), false)
            .with_retry_policy(NeverRetry)
            .with_attempt_timeout(self.timeout());
        if let Some(endpoint) = &self.settings.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder = match &self.settings.credentials {
            GcpCredentials::Found => builder,
            GcpCredentials::File(path) => builder.with_credentials(of_file(path)?),
            GcpCredentials::Anonymous => {
                builder.with_credentials(anonymous::Builder::new().build())
            }
        };
        // The machine itself may be asked in which cloud it is.
        let timeout = self.timeout();
        let built = tokio::time::timeout(timeout, builder.build()).await;
        let built = built.map_err(|_| CLOUD.timed_out(timeout))?;
        built.map_err(|error| unusable(&error))
    }
}

/// Why there is no client. What the library says of a file may show a part of it.
fn unusable(error: &BuilderError) -> KmsError {
    if error.is_default_credentials() {
        return KmsError::NotConfigured {
            provider: NAME,
            what: "credentials that can be read",
            remedy: "correct the file that GOOGLE_APPLICATION_CREDENTIALS names, or write \
                     credentials_path in [kms.gcp]",
        };
    }
    KmsError::Refused {
        provider: NAME,
        reason: "its client cannot be made of these settings; see endpoint in [kms.gcp]".to_owned(),
    }
}

/// The credentials in a file, of whatever kind the file says that they are.
fn of_file(path: &Path) -> Result<Credentials> {
    let unusable = |reason: &str| KmsError::FileContent {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    // What a parser says of it may show a part of it.
    let text = files::read_private(path)?;
    let json: Value = serde_json::from_str(text.expose())
        .map_err(|_| unusable("it holds no JSON; take the file that Google Cloud made"))?;
    let made = match json.get("type").and_then(Value::as_str) {
        Some("service_account") => service_account::Builder::new(json).build(),
        Some("authorized_user") => user_account::Builder::new(json).build(),
        Some("external_account") => external_account::Builder::new(json).build(),
        Some("impersonated_service_account") => impersonated::Builder::new(json).build(),
        _ => {
            return Err(unusable(
                "its `type` is none of service_account, authorized_user, external_account and \
                 impersonated_service_account",
            ));
        }
    };
    made.map_err(|_| {
        unusable("its credentials are not complete; take the file that Google Cloud made")
    })
}
