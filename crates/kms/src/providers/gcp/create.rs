//! Makes keys in a key ring. The ring is never made: it cannot be deleted, nor moved to another location.

use super::fault::{CLOUD, Fault};
use super::{GcpProvider, info};
use crate::{KeyId, KeyInfo, KmsError, Result};
use google_cloud_kms_v1::model::CryptoKey;
use google_cloud_kms_v1::model::crypto_key::CryptoKeyPurpose;

impl GcpProvider {
    /// A key in software that encrypts and decrypts. Of two that make it at once, one is told that it is there.
    pub(super) async fn make_key(&self, key: &KeyId) -> Result<KeyInfo> {
        let resource = self.find(key)?;
        if resource.version.is_some() {
            return Err(CLOUD.pinned_new(key));
        }
        CLOUD.check_vacant(self, key).await?;
        let parts = resource.key.rsplit_once("/cryptoKeys/");
        let (ring, name) = parts.ok_or_else(|| CLOUD.bad("the name of the key has no ring"))?;
        let client = self.session.client().await?;
        let request = client
            .create_crypto_key()
            .set_parent(ring)
            .set_crypto_key_id(name)
            .set_crypto_key(CryptoKey::new().set_purpose(CryptoKeyPurpose::EncryptDecrypt));
        let made = match self.session.ask(request.send()).await {
            Ok(made) => made,
            Err(Fault::Exists) => return Err(KmsError::key_exists(super::NAME, key)),
            // The key was named by the ring: that is what is missing.
            Err(fault) => return Err(fault.of_ring()),
        };
        if let Some(version) = &made.primary {
            self.wait_for(&resource, version.clone()).await?;
            return info(
                &resource,
                Some(self.version(&resource, version.name.clone()).await?),
            );
        }
        info(&resource, made.primary)
    }
}
