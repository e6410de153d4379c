//! [`ProviderKms`]: a whole key management service over a narrow [`Provider`].
//!
//! It supplies the binding to a context, data keys, re-encryption and the limits. A plaintext goes to
//! the provider itself where the provider binds the context, or there is none to bind, and takes that
//! many bytes; else it goes under a data key that the provider wraps, in the sealed form of
//! [`crate::Ciphertext`]. Where the provider binds no context, that data key says which one it belongs
//! to: `bound_key`.

use crate::bound_key;
use crate::ciphertext::Sealed;
use crate::{
    Capabilities, Ciphertext, DataEncryptionKey, DataKeySpec, EncryptionContext, Form, Health,
    KeyId, KeyInfo, KeyManagementService, KeyPage, KmsError, Provider, Result, SuppliedBy, Wrapped,
};
use async_trait::async_trait;
use secretum_crypto::{
    Aead, CryptoError, Key256, RngRef, SecretBytes, SystemRng, random_bytes, random_secret,
};
use std::sync::Arc;

/// The most bytes that one call encrypts.
pub const PLAINTEXT_BYTES_MAX: usize = 16 << 20;

/// A key management service over a provider.
#[derive(Debug, Clone)]
pub struct ProviderKms {
    provider: Arc<dyn Provider>,
    rng: RngRef,
}

impl ProviderKms {
    /// A service over this provider, with the system's randomness.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self::with_rng(provider, Arc::new(SystemRng))
    }

    /// A service over this provider, with other randomness.
    pub fn with_rng(provider: Arc<dyn Provider>, rng: RngRef) -> Self {
        Self { provider, rng }
    }

    /// Whether the provider itself is given this plaintext, with this context.
    fn takes(&self, plaintext: &[u8], context: &EncryptionContext) -> bool {
        self.is_native(plaintext.len(), context) && !self.is_bound_key(plaintext)
    }

    /// Whether these bytes are a data key's of the sealed form, which are no plaintext.
    fn is_bound_key(&self, bytes: &[u8]) -> bool {
        !self.provider.traits().binds_context && bound_key::looks_so(bytes)
    }

    /// Whether the provider itself takes so many bytes, and this context.
    fn is_native(&self, bytes: usize, context: &EncryptionContext) -> bool {
        let traits = self.provider.traits();
        (traits.wrap_bytes_min..=traits.wrap_bytes_max).contains(&bytes)
            && (traits.binds_context || context.is_empty())
    }

    /// Whether the provider makes data keys, and binds them to this context.
    fn provider_makes(&self, spec: DataKeySpec, context: &EncryptionContext) -> bool {
        let makes = self.provider.traits().data_keys == SuppliedBy::Provider;
        makes && self.is_native(spec.len(), context)
    }

    /// The context is bound by the provider, or within what it wraps.
    async fn wrap_data_key(
        &self,
        key: &KeyId,
        data_key: &Key256,
        context: &EncryptionContext,
    ) -> Result<Wrapped> {
        if self.provider.traits().binds_context {
            return self.provider.wrap(key, data_key.expose(), context).await;
        }
        let bound = bound_key::join(data_key, context);
        let none = &EncryptionContext::NONE;
        self.provider.wrap(key, bound.expose(), none).await
    }

    /// The data key; `None` where it is none, or belongs to another context.
    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<Option<Key256>> {
        if self.provider.traits().binds_context {
            let opened = self.provider.unwrap(wrapped, context).await?;
            return Ok(Key256::from_slice(opened.expose()).ok());
        }
        let none = &EncryptionContext::NONE;
        let opened = self.provider.unwrap(wrapped, none).await?;
        Ok(bound_key::part(opened.expose(), context))
    }

    fn ciphertext(&self, wrapped: Wrapped) -> Result<Ciphertext> {
        Ok(Ciphertext::native(self.provider.traits().name, wrapped)?)
    }

    /// Refuses what another provider made.
    fn check_provider(&self, ciphertext: &Ciphertext) -> Result<()> {
        let configured = self.provider.traits().name;
        if ciphertext.provider() == configured {
            return Ok(());
        }
        Err(KmsError::OtherProvider {
            found: ciphertext.provider().to_owned(),
            configured,
        })
    }

    async fn seal(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        let data_key = Key256::random(self.rng.as_ref())?;
        let wrapped = self.wrap_data_key(key, &data_key, context).await?;
        let ciphertext = self.ciphertext(wrapped)?;
        let nonce = random_bytes(self.rng.as_ref())?;
        let aad = associated_data(&ciphertext, context);
        let bytes = Aead::aes_256_gcm(&data_key)?.seal(nonce, &aad, plaintext)?;
        Ok(ciphertext.with_sealed(Sealed { nonce, bytes }))
    }

    async fn unseal(
        &self,
        ciphertext: &Ciphertext,
        sealed: &Sealed,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        let not_authentic = || KmsError::NotAuthentic {
            key: ciphertext.key().clone(),
        };
        let opened = self.unwrap_data_key(ciphertext.wrapped(), context).await?;
        let data_key = opened.ok_or_else(not_authentic)?;
        let aad = associated_data(ciphertext, context);
        match Aead::aes_256_gcm(&data_key)?.open(sealed.nonce, &aad, &sealed.bytes) {
            Ok(plaintext) => Ok(SecretBytes::new(plaintext)),
            Err(CryptoError::NotAuthentic) => Err(not_authentic()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a sealed plaintext is bound to: the whole header, and the context.
fn associated_data(ciphertext: &Ciphertext, context: &EncryptionContext) -> Vec<u8> {
    let mut aad = ciphertext.header(Form::Sealed);
    aad.extend_from_slice(&context.canonical_bytes());
    aad
}

#[async_trait]
impl KeyManagementService for ProviderKms {
    fn capabilities(&self) -> Capabilities {
        let traits = self.provider.traits();
        Capabilities {
            provider: traits.name,
            context: if traits.binds_context {
                SuppliedBy::Provider
            } else {
                SuppliedBy::Layer
            },
            data_keys: traits.data_keys,
            re_encryption: traits.re_encryption,
            rotation: traits.rotation,
            listing: traits.listing,
            native_bytes_max: traits.wrap_bytes_max,
        }
    }

    async fn encrypt(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        if plaintext.len() > PLAINTEXT_BYTES_MAX {
            return Err(KmsError::PlaintextTooLarge {
                bytes: plaintext.len(),
                limit: PLAINTEXT_BYTES_MAX,
            });
        }
        if self.takes(plaintext, context) {
            let wrapped = self.provider.wrap(key, plaintext, context).await?;
            return self.ciphertext(wrapped);
        }
        self.seal(key, plaintext, context).await
    }

    async fn decrypt(
        &self,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        self.check_provider(ciphertext)?;
        if let Some(sealed) = ciphertext.sealed() {
            return self.unseal(ciphertext, sealed, context).await;
        }
        let not_authentic = || KmsError::NotAuthentic {
            key: ciphertext.key().clone(),
        };
        if !self.provider.traits().binds_context && !context.is_empty() {
            // It was made without a context, which is another one than this.
            return Err(not_authentic());
        }
        let opened = self.provider.unwrap(ciphertext.wrapped(), context).await?;
        // The data key of a sealed ciphertext, taken out of it, would open that one without its context.
        if self.is_bound_key(opened.expose()) {
            return Err(not_authentic());
        }
        Ok(opened)
    }

    async fn generate_data_key(
        &self,
        key: &KeyId,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<DataEncryptionKey> {
        if self.provider_makes(spec, context) {
            let made = self.provider.generate(key, spec.len(), context).await?;
            if let Some((plaintext, wrapped)) = made {
                let wrapped = self.ciphertext(wrapped)?;
                return Ok(DataEncryptionKey { plaintext, wrapped });
            }
        }
        let plaintext = random_secret(self.rng.as_ref(), spec.len())?;
        let wrapped = self.encrypt(key, plaintext.expose(), context).await?;
        Ok(DataEncryptionKey { plaintext, wrapped })
    }

    async fn generate_data_key_without_plaintext(
        &self,
        key: &KeyId,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        if self.provider_makes(spec, context) {
            let len = spec.len();
            let made = self.provider.generate_wrapped(key, len, context).await?;
            if let Some(wrapped) = made {
                return self.ciphertext(wrapped);
            }
        }
        let made = self.generate_data_key(key, spec, context).await?;
        Ok(made.wrapped)
    }

    async fn decrypt_data_key(
        &self,
        wrapped: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        self.decrypt(wrapped, context).await
    }

    async fn re_encrypt(
        &self,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
        new_key: &KeyId,
        new_context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        self.check_provider(ciphertext)?;
        let traits = self.provider.traits();
        let bound = traits.binds_context || (context.is_empty() && new_context.is_empty());
        if traits.re_encryption == SuppliedBy::Provider && ciphertext.sealed().is_none() && bound {
            let wrapped = ciphertext.wrapped();
            let rewrapped = self
                .provider
                .rewrap(wrapped, context, new_key, new_context)
                .await?;
            if let Some(wrapped) = rewrapped {
                return self.ciphertext(wrapped);
            }
        }
        let plaintext = self.decrypt(ciphertext, context).await?;
        self.encrypt(new_key, plaintext.expose(), new_context).await
    }

    async fn rotate_key(&self, key: &KeyId) -> Result<KeyInfo> {
        self.provider.rotate(key).await
    }

    async fn key_info(&self, key: &KeyId) -> Result<KeyInfo> {
        self.provider.describe(key).await
    }

    async fn list_keys(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        self.provider.list(after, limit).await
    }

    async fn health_check(&self) -> Result<Health> {
        self.provider.health().await
    }
}
