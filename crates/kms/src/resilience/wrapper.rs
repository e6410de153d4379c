//! [`Wrapper`]: a service over another one, which does the same around every call.

use crate::{
    Capabilities, Ciphertext, DataEncryptionKey, DataKeySpec, EncryptionContext, Health, KeyId,
    KeyInfo, KeyManagementService, KeyPage, KmsOperation, Result,
};
use async_trait::async_trait;
use futures::future::BoxFuture;
use secretum_crypto::SecretBytes;
use std::fmt;

/// What a call is about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Call<'a> {
    /// What is asked for.
    pub operation: KmsOperation,
    /// The key, where one is named.
    pub key: Option<&'a KeyId>,
    /// The context, where one is given.
    pub context: Option<&'a EncryptionContext>,
    /// What is opened in order to be encrypted anew: its key and context.
    pub from: Option<(&'a KeyId, &'a EncryptionContext)>,
}

impl<'a> Call<'a> {
    pub(super) fn of(operation: KmsOperation) -> Self {
        Self {
            operation,
            key: None,
            context: None,
            from: None,
        }
    }

    pub(super) fn key(self, key: &'a KeyId) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    fn context(self, context: &'a EncryptionContext) -> Self {
        Self {
            context: Some(context),
            ..self
        }
    }
}

/// A service over another one. Whoever is a `Wrapper` is a [`KeyManagementService`] by that.
pub trait Wrapper: Send + Sync + fmt::Debug {
    /// The service below.
    fn inner(&self) -> &dyn KeyManagementService;

    /// Makes the call by `attempt`, as often as it sees fit, or not at all.
    fn around<'a, T, A>(
        &self,
        call: Call<'_>,
        attempt: A,
    ) -> impl Future<Output = Result<T>> + Send
    where
        T: Send + 'a,
        A: Fn() -> BoxFuture<'a, Result<T>> + Send + Sync;
}

#[async_trait]
impl<W: Wrapper> KeyManagementService for W {
    fn capabilities(&self) -> Capabilities {
        self.inner().capabilities()
    }

    async fn encrypt(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        let call = Call::of(KmsOperation::Encrypt).key(key).context(context);
        let inner = self.inner();
        self.around(call, || inner.encrypt(key, plaintext, context))
            .await
    }

    async fn decrypt(
        &self,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        let call = Call::of(KmsOperation::Decrypt).key(ciphertext.key());
        let inner = self.inner();
        self.around(call.context(context), || inner.decrypt(ciphertext, context))
            .await
    }

    async fn generate_data_key(
        &self,
        key: &KeyId,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<DataEncryptionKey> {
        let call = Call::of(KmsOperation::GenerateDataKey).key(key);
        let inner = self.inner();
        self.around(call.context(context), || {
            inner.generate_data_key(key, spec, context)
        })
        .await
    }

    async fn generate_data_key_without_plaintext(
        &self,
        key: &KeyId,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        let call = Call::of(KmsOperation::GenerateDataKeyWithoutPlaintext).key(key);
        let inner = self.inner();
        self.around(call.context(context), || {
            inner.generate_data_key_without_plaintext(key, spec, context)
        })
        .await
    }

    async fn decrypt_data_key(
        &self,
        wrapped: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        let call = Call::of(KmsOperation::DecryptDataKey).key(wrapped.key());
        let inner = self.inner();
        self.around(call.context(context), || {
            inner.decrypt_data_key(wrapped, context)
        })
        .await
    }

    async fn re_encrypt(
        &self,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
        new_key: &KeyId,
        new_context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        let call = Call {
            from: Some((ciphertext.key(), context)),
            ..Call::of(KmsOperation::ReEncrypt).key(new_key)
        };
        let inner = self.inner();
        self.around(call.context(new_context), || {
            inner.re_encrypt(ciphertext, context, new_key, new_context)
        })
        .await
    }

    async fn rotate_key(&self, key: &KeyId) -> Result<KeyInfo> {
        let inner = self.inner();
        let call = Call::of(KmsOperation::RotateKey).key(key);
        self.around(call, || inner.rotate_key(key)).await
    }

    async fn key_info(&self, key: &KeyId) -> Result<KeyInfo> {
        let inner = self.inner();
        let call = Call::of(KmsOperation::KeyInfo).key(key);
        self.around(call, || inner.key_info(key)).await
    }

    async fn list_keys(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        let inner = self.inner();
        let call = Call::of(KmsOperation::ListKeys);
        self.around(call, || inner.list_keys(after, limit)).await
    }

    async fn health_check(&self) -> Result<Health> {
        let inner = self.inner();
        let call = Call::of(KmsOperation::HealthCheck);
        self.around(call, || inner.health_check()).await
    }
}
