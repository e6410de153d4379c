//! Keys of SOPS in clouds: what a request names, and what must be as it is configured.

use super::super::wire::{AzureKeyVaultKey, GcpKmsKey, KmsKey};
use super::{Asked, Text, key_id, not_configured, status};
use secretum_kms::config::Backend;
#[cfg(feature = "azure")]
use secretum_kms::{AzureAlgorithm, AzureSettings};
use secretum_kms::{EncryptionContext, ResilientKms};
use tonic::Status;

/// The providers of clouds that are configured.
#[derive(Debug, Default)]
pub(super) struct Clouds {
    aws: Option<ResilientKms>,
    /// With the address of the vault, and whether its keys are used as SOPS uses them.
    azure: Option<(String, bool, ResilientKms)>,
    gcp: Option<ResilientKms>,
}

impl Clouds {
    /// Takes the provider of a cloud.
    pub(super) fn take(&mut self, backend: &Backend, kms: ResilientKms) {
        #[cfg(feature = "azure")]
        if let Some(settings) = backend.settings::<AzureSettings>() {
            let is_rsa = settings.algorithm == AzureAlgorithm::RsaOaep256;
            self.azure = Some((settings.vault_url.clone(), is_rsa, kms));
            return;
        }
        match backend.name() {
            "aws" => self.aws = Some(kms),
            "gcp" => self.gcp = Some(kms),
            _ => {}
        }
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &ResilientKms> {
        let azure = self.azure.iter().map(|(_, _, kms)| kms);
        self.aws.iter().chain(azure).chain(&self.gcp)
    }

    pub(super) fn aws(&self, key: KmsKey) -> Result<(&ResilientKms, Asked), Status> {
        let missing = || missing("AWS KMS", "aws", cfg!(feature = "aws"));
        let kms = self.aws.as_ref().ok_or_else(missing)?;
        // The credentials of another role or profile are not this service's to take.
        if !key.role.is_empty() || !key.aws_profile.is_empty() {
            return Err(Status::failed_precondition(
                "the key names a role or a profile of AWS, and this service takes its own; leave both out, \
                 and write the profile in [kms.aws]",
            ));
        }
        let context = EncryptionContext::of(key.context).map_err(|error| status::kms(&error))?;
        let asked = Asked::of(key_id(key.arn)?, Text::Base64);
        Ok((kms, Asked { context, ..asked }))
    }

    pub(super) fn gcp(&self, key: GcpKmsKey) -> Result<(&ResilientKms, Asked), Status> {
        let missing = || missing("GCP Cloud KMS", "gcp", cfg!(feature = "gcp"));
        let kms = self.gcp.as_ref().ok_or_else(missing)?;
        Ok((kms, Asked::of(key_id(key.resource_id)?, Text::Base64)))
    }

    pub(super) fn azure(&self, key: AzureKeyVaultKey) -> Result<(&ResilientKms, Asked), Status> {
        let missing = || missing("Azure Key Vault", "azure", cfg!(feature = "azure"));
        let (vault, is_rsa, kms) = self.azure.as_ref().ok_or_else(missing)?;
        // The token must not go where a request says.
        if key.vault_url.trim_end_matches('/') != vault.trim_end_matches('/') {
            return Err(Status::failed_precondition(
                "the key is of another vault than [kms.azure] of this service names",
            ));
        }
        if !is_rsa {
            return Err(Status::failed_precondition(
                "SOPS has RSA-OAEP-256 in Azure, and [kms.azure] of this service has another algorithm; \
                 write algorithm = \"RSA-OAEP-256\" there",
            ));
        }
        let named = key_id(key.name.clone())?;
        let pinned = if key.version.is_empty() {
            named.clone()
        } else {
            key_id(format!("{}/{}", key.name, key.version))?
        };
        let asked = Asked::of(pinned, Text::OfAzure);
        Ok((kms, Asked { named, ..asked }))
    }
}

/// What the service itself gave, of the bytes of a ciphertext of the provider `azure`.
pub(super) fn bare_of_azure(bytes: &[u8]) -> Option<&[u8]> {
    #[cfg(feature = "azure")]
    return AzureAlgorithm::RsaOaep256.bare(bytes);
    #[cfg(not(feature = "azure"))]
    Some(bytes)
}

fn missing(service: &str, name: &str, built: bool) -> Status {
    if built {
        return not_configured(name);
    }
    Status::unimplemented(format!(
        "keys of {service} need the feature `{name}`, which this program was built without; have SOPS use \
         its own key service for them"
    ))
}
