//! [`Session`]: a client with its credentials, and the way to the service.

use super::certificate;
use super::fault::{CLOUD, Fault, fault};
use super::{AzureCredentials, AzureSettings, NAME, TIMEOUT};
use crate::providers::files;
use crate::{KmsError, Result};
use async_trait::async_trait;
use azure_core::Error as AzureError;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::ErrorKind;
use azure_core::http::{
    AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions, StatusCode, Transport,
};
use azure_identity::{
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, DeveloperToolsCredential, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// A client that is made at the first request, for its credentials may be in files.
pub(super) struct Session {
    pub(super) settings: AzureSettings,
    client: OnceCell<KeyClient>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(settings: AzureSettings) -> Self {
        Self {
            settings,
            client: OnceCell::new(),
        }
    }

    fn timeout(&self) -> Duration {
        self.settings.timeout.unwrap_or(TIMEOUT)
    }

    pub(super) async fn client(&self) -> Result<&KeyClient> {
        self.client
            .get_or_try_init(|| async { self.connect() })
            .await
    }

    /// Waits for an answer, fetching credentials included, as long as one request may take.
    pub(super) async fn ask<T>(
        &self,
        request: impl Future<Output = azure_core::Result<T>>,
    ) -> std::result::Result<T, Fault> {
        let timeout = self.timeout();
        match tokio::time::timeout(timeout, request).await {
            Ok(answer) => answer.map_err(|error| self.fault(error)),
            Err(_) => Err(Fault::Other(CLOUD.timed_out(timeout))),
        }
    }

    /// What an error of the client means.
    pub(super) fn fault(&self, error: azure_core::Error) -> Fault {
        fault(error, self.timeout())
    }

    fn connect(&self) -> Result<KeyClient> {
        let options = KeyClientOptions {
            client_options: self.options()?,
            verify_challenge_resource: Some(self.settings.verify_challenge_resource),
            ..KeyClientOptions::default()
        };
        let credentials = self.credentials()?;
        let client = KeyClient::new(&self.settings.vault_url, credentials, Some(options));
        client.map_err(|_| KmsError::Refused {
            provider: NAME,
            reason: "its address is not one of a vault; write vault_url = \"https://…\"".to_owned(),
        })
    }

    fn options(&self) -> Result<ClientOptions> {
        let mut builder = Client::builder()
            // A redirect would take tokens and plaintexts elsewhere.
            .redirect(Policy::none())
            .https_only(true)
            .timeout(self.timeout());
        if let Some(path) = &self.settings.ca {
            builder = builder.tls_certs_only(authorities(path)?);
        }
        let client = builder.build().map_err(|_| KmsError::Refused {
            provider: NAME,
            reason: "its client cannot be made of these settings; see ca_path in [kms.azure]"
                .to_owned(),
        })?;
        let cloud = self.settings.authority_host.clone().map(|authority_host| {
            let mut custom = CustomConfiguration::default();
            custom.authority_host = authority_host;
            Arc::new(CloudConfiguration::from(custom))
        });
        Ok(ClientOptions {
            // What is tried again, and how often, is left to the wrappers.
            retry: RetryOptions::none(),
            transport: Some(Transport::new(Arc::new(client))),
            cloud,
            ..ClientOptions::default()
        })
    }

    /// Who gives out tokens, as the library finds it.
    fn authority(&self) -> String {
        let named = self.settings.authority_host.clone();
        let named = named.or_else(|| std::env::var("AZURE_AUTHORITY_HOST").ok());
        let named = named.unwrap_or_else(|| "https://login.microsoftonline.com".to_owned());
        named.trim_end_matches('/').to_owned()
    }

    pub(super) fn credentials(&self) -> Result<Arc<dyn TokenCredential>> {
        let client_options = self.options()?;
        let made: azure_core::Result<Arc<dyn TokenCredential>> = match &self.settings.credentials {
            AzureCredentials::Secret {
                tenant_id,
                client_id,
                client_secret,
            } => ClientSecretCredential::new(
                tenant_id,
                client_id.clone(),
                Secret::new(client_secret.expose().to_owned()),
                Some(ClientSecretCredentialOptions { client_options }),
            )
            .map(|made| made as _),
            AzureCredentials::Certificate {
                tenant_id,
                client_id,
                path,
            } => {
                let certificate = certificate::Certificate {
                    path: path.clone(),
                    client_id: client_id.clone(),
                    audience: format!("{}/{tenant_id}/oauth2/v2.0/token", self.authority()),
                };
                certificate.check()?;
                let options = ClientAssertionCredentialOptions { client_options };
                let (tenant_id, client_id) = (tenant_id.clone(), client_id.clone());
                ClientAssertionCredential::new(tenant_id, client_id, certificate, Some(options))
                    .map(|made| made as _)
            }
            AzureCredentials::WorkloadIdentity {
                tenant_id,
                client_id,
            } => {
                let options = WorkloadIdentityCredentialOptions {
                    tenant_id: tenant_id.clone(),
                    client_id: client_id.clone(),
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    ..WorkloadIdentityCredentialOptions::default()
                };
                WorkloadIdentityCredential::new(Some(options)).map(|made| made as _)
            }
            AzureCredentials::ManagedIdentity { client_id } => {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options: machine()?,
                };
                ManagedIdentityCredential::new(Some(options)).map(|made| made as _)
            }
            AzureCredentials::DeveloperTools => {
                DeveloperToolsCredential::new(None).map(|made| made as _)
            }
        };
        // Of what it says of a setting, it may show the value.
        made.map_err(|_| KmsError::NotConfigured {
            provider: NAME,
            what: "credentials that are complete",
            remedy: "correct tenant_id, client_id and client_secret in [kms.azure], or the variables \
                     AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and \
                     AZURE_FEDERATED_TOKEN_FILE",
        })
    }
}

/// How the machine is asked: without TLS, which it does not have, and once.
fn machine() -> Result<ClientOptions> {
    let builder = Client::builder().redirect(Policy::none()).no_proxy();
    let client = builder.build().map_err(|_| KmsError::Refused {
        provider: NAME,
        reason: "a client of the machine's identity cannot be made".to_owned(),
    })?;
    Ok(ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::new(Once(client)))),
        ..ClientOptions::default()
    })
}

/// A client whose failures the library does not try again, whatever its credentials set for themselves: what
/// is tried again, and how often, is left to the wrappers.
#[derive(Debug)]
struct Once(Client);

#[async_trait]
impl HttpClient for Once {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let answer = self.0.execute_request(request).await;
        let answer = answer.map_err(|error| {
            AzureError::with_error(ErrorKind::Other, error, "the machine does not answer")
        })?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::BadRequest {
            return Ok(answer);
        }
        let answer = answer.try_into_raw_response().await?;
        let kind = ErrorKind::HttpResponse {
            status,
            error_code: None,
            raw_response: Some(Box::new(answer)),
        };
        Err(AzureError::with_message(kind, "the machine refused"))
    }
}

/// The certificates of the only authorities to trust.
fn authorities(path: &Path) -> Result<Vec<Certificate>> {
    let unusable = || KmsError::FileContent {
        path: path.to_owned(),
        reason: "it holds no certificates in PEM".to_owned(),
    };
    let text = files::read_public(path)?;
    let found = Certificate::from_pem_bundle(text.as_bytes()).map_err(|_| unusable())?;
    if found.is_empty() {
        return Err(unusable());
    }
    Ok(found)
}
