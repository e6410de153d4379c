//! A service that re-encrypts something else than it was given.

use super::*;
use crate::{
    Capabilities, DataEncryptionKey, Health, KeyInfo, KeyPage, Result as KmsResult, SecretBytes,
};

#[derive(Debug)]
struct Lying(ProviderKms);

#[async_trait]
impl KeyManagementService for Lying {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn encrypt(&self, _: &KeyId, _: &[u8], _: &EncryptionContext) -> KmsResult<Ciphertext> {
        unreachable!("nobody asks")
    }

    async fn decrypt(
        &self,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
    ) -> KmsResult<SecretBytes> {
        self.0.decrypt(ciphertext, context).await
    }

    async fn generate_data_key(
        &self,
        _: &KeyId,
        _: DataKeySpec,
        _: &EncryptionContext,
    ) -> KmsResult<DataEncryptionKey> {
        unreachable!("nobody asks")
    }

    async fn generate_data_key_without_plaintext(
        &self,
        _: &KeyId,
        _: DataKeySpec,
        _: &EncryptionContext,
    ) -> KmsResult<Ciphertext> {
        unreachable!("nobody asks")
    }

    async fn decrypt_data_key(
        &self,
        _: &Ciphertext,
        _: &EncryptionContext,
    ) -> KmsResult<SecretBytes> {
        unreachable!("nobody asks")
    }

    async fn re_encrypt(
        &self,
        _: &Ciphertext,
        _: &EncryptionContext,
        new_key: &KeyId,
        new_context: &EncryptionContext,
    ) -> KmsResult<Ciphertext> {
        self.0
            .encrypt(new_key, b"something else", new_context)
            .await
    }

    async fn rotate_key(&self, key: &KeyId) -> KmsResult<KeyInfo> {
        self.0.rotate_key(key).await
    }

    async fn key_info(&self, key: &KeyId) -> KmsResult<KeyInfo> {
        self.0.key_info(key).await
    }

    async fn list_keys(&self, _: Option<&KeyId>, _: usize) -> KmsResult<KeyPage> {
        unreachable!("nobody asks")
    }

    async fn health_check(&self) -> KmsResult<Health> {
        unreachable!("nobody asks")
    }
}

#[tokio::test]
async fn what_opens_to_something_else_replaces_nothing() {
    let scene = Scene::new(2).await;
    let before = scene.store.rows.lock().clone();
    let (store, clock) = (Arc::clone(&scene.store) as _, Arc::clone(&scene.clock) as _);
    let manager = KeyRotationManager::new(Arc::new(Lying(scene.kms.clone())), store, clock);
    let result = manager.rotate(&id("k"), &|_| ()).await.unwrap();
    assert_eq!((result.rewrapped, result.failed), (0, 2));
    assert_eq!(*scene.store.rows.lock(), before);
    assert_eq!(scene.check().await, ["1", "1"]);
}
