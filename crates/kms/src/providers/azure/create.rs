//! Makes keys in a vault, of the kind that its algorithm needs.

use super::fault::CLOUD;
use super::{AzureAlgorithm, AzureProvider, info};
use crate::{KeyId, KeyInfo, KmsError, Result};
use azure_core::http::RequestContent;
use azure_security_keyvault_keys::models::{CreateKeyParameters, KeyOperation, KeyType};

/// Bits of an RSA key that is made.
const RSA_BITS: i32 = 3072;

/// Bits of an AES key that is made.
const AES_BITS: i32 = 256;

impl AzureProvider {
    /// A key that encrypts and decrypts, and does nothing else. Of two that make it at once, the service makes
    /// two versions of one key, and what either encrypts opens.
    pub(super) async fn make_key(&self, key: &KeyId) -> Result<KeyInfo> {
        let resource = self.vault.find(key)?;
        if resource.version.is_some() {
            return Err(CLOUD.pinned_new(key));
        }
        // Asked to make a key that is there, the service would give it another version.
        CLOUD.check_vacant(self, key).await?;
        let client = self.session.client().await?;
        let (kind, bits) = self.kind();
        let parameters = CreateKeyParameters {
            kty: Some(kind),
            key_size: Some(bits),
            key_ops: Some(vec![KeyOperation::Encrypt, KeyOperation::Decrypt]),
            ..CreateKeyParameters::default()
        };
        let request = async {
            let content: RequestContent<_> = parameters.try_into()?;
            let made = client.create_key(&resource.name, content, None).await?;
            made.into_model()
        };
        match self.session.ask(request).await {
            Ok(made) => info(&resource, made),
            Err(fault) => {
                let error = fault.of_key(&resource.asked);
                // Of two at once, one may be refused for the other's sake.
                match (&error, CLOUD.check_vacant(self, key).await) {
                    (KmsError::Refused { .. }, Err(exists @ KmsError::KeyExists { .. })) => {
                        Err(exists)
                    }
                    _ => Err(error),
                }
            }
        }
    }

    fn kind(&self) -> (KeyType, i32) {
        let is_hsm =
            AzureAlgorithm::of_vault(&self.session.settings.vault_url) == AzureAlgorithm::A256Gcm;
        match self.algorithm {
            AzureAlgorithm::A256Gcm => (KeyType::OctHsm, AES_BITS),
            // A managed HSM has no keys outside of it.
            AzureAlgorithm::RsaOaep256 if is_hsm => (KeyType::RsaHsm, RSA_BITS),
            AzureAlgorithm::RsaOaep256 => (KeyType::Rsa, RSA_BITS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::azure::{AzureCredentials, AzureSettings};

    #[test]
    fn a_managed_hsm_has_no_keys_outside_of_it() {
        for (host, algorithm, wanted) in [
            ("vault", AzureAlgorithm::RsaOaep256, KeyType::Rsa),
            ("managedhsm", AzureAlgorithm::RsaOaep256, KeyType::RsaHsm),
            ("managedhsm", AzureAlgorithm::A256Gcm, KeyType::OctHsm),
        ] {
            let url = format!("https://v.{host}.azure.net");
            let mut settings = AzureSettings::new(url, AzureCredentials::DeveloperTools);
            settings.algorithm = algorithm;
            assert_eq!(AzureProvider::new(settings).kind().0, wanted);
        }
    }
}
