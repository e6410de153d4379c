//! [`RemoteKms`]: a `kms-service` as a [`KeyManagementService`], over its REST API.

mod access;
mod transport;
mod wire;

pub(super) use self::access::Access;
pub(super) use self::transport::TIMEOUT;

use self::transport::Transport;
use self::wire::{About, Fields};
use crate::failure::Failure;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_client::{Json, Object};
use secretum_kms::{
    Capabilities, Ciphertext, DataEncryptionKey, DataKeySpec, EncryptionContext, Health, KeyId,
    KeyInfo, KeyManagementService, KeyPage, KeyVersion, KmsError, KmsOperation, Result,
    SecretBytes,
};
use zeroize::Zeroizing;

/// What it is called in errors.
pub(super) const NAME: &str = "kms-service";

/// Stands for the key that the service itself has where none is named.
const OWN_KEY: &str = "the default key of the service";

/// The most bytes that the service takes in one call, with its settings as they come.
const PLAINTEXT_BYTES_MAX: usize = secretum_kms::PLAINTEXT_BYTES_MAX;

/// A service that is asked over a network.
#[derive(Debug)]
pub(crate) struct RemoteKms {
    transport: Transport,
}

impl RemoteKms {
    /// A service at this address; nothing is sent yet.
    ///
    /// **Errors**: which address, file or token cannot be used.
    pub(super) fn new(address: &str, access: &Access) -> std::result::Result<Self, Failure> {
        let transport = Transport::new(address, access)?;
        Ok(Self { transport })
    }

    /// What stands for the key that the service itself has where none is named.
    pub(super) fn own_key() -> Result<KeyId> {
        KeyId::new(OWN_KEY)
    }

    pub(super) fn address(&self) -> String {
        self.transport.address()
    }

    /// What the service tells of itself.
    pub(super) async fn status(&self) -> Result<Json> {
        self.transport.get("status").await
    }

    /// What the service tells of its health.
    ///
    /// **Errors**: where it does not say that it is healthy, and what is behind it.
    pub(super) async fn health(&self) -> Result<Object> {
        healthy(self.transport.get("health").await?)
    }

    /// The name of the key service behind it.
    pub(super) async fn backend(&self) -> Result<String> {
        let health = self.transport.get("health").await?;
        let backend = health.get("backend").and_then(Json::as_str);
        backend.map(str::to_owned).ok_or_else(|| missing("backend"))
    }

    /// Fields with the key, where it is not the service's own.
    fn with_key<'a>(fields: Fields<'a>, name: &'static str, key: &'a KeyId) -> Fields<'a> {
        match key.as_str() {
            OWN_KEY => fields,
            named => fields.text(name, named),
        }
    }

    /// Sends a ciphertext, and takes a plaintext for it.
    async fn open(
        &self,
        operation: &'static str,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        let text = ciphertext.to_base64();
        let fields = Fields::default().text("ciphertext", &text);
        let fields = fields.context("context", context);
        let about = About::ciphertext(ciphertext);
        self.transport
            .post(operation, fields, about)
            .await?
            .plaintext()
    }

    fn unsupported<T>(operation: KmsOperation, instead: &'static str) -> Result<T> {
        Err(KmsError::Unsupported {
            provider: NAME,
            operation,
            instead,
        })
    }
}

fn healthy(answer: Json) -> Result<Object> {
    let Json::Object(health) = answer else {
        return Err(missing("status"));
    };
    if health.get("backend").and_then(Json::as_str).is_none() {
        return Err(missing("backend"));
    }
    match health.get("status").and_then(Json::as_str) {
        Some("healthy") => Ok(health),
        Some(_) => Err(KmsError::Unavailable {
            provider: NAME,
            reason: "it says that it is not healthy".to_owned(),
            source: None,
        }),
        None => Err(missing("status")),
    }
}

/// A field that an answer should have.
fn missing(field: &str) -> KmsError {
    KmsError::BadAnswer {
        provider: NAME,
        reason: format!("it has no `{field}`"),
    }
}

/// A plaintext in base64.
fn plaintext(text: &str) -> Result<SecretBytes> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    let decoded = STANDARD.decode_vec(text, &mut bytes);
    decoded.map_err(|_| missing("plaintext"))?;
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

#[async_trait]
impl KeyManagementService for RemoteKms {
    fn capabilities(&self) -> Capabilities {
        // What stands behind the service is for the service to say: it is asked for its status.
        Capabilities::of(NAME, PLAINTEXT_BYTES_MAX)
    }

    async fn encrypt(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        let text = Zeroizing::new(STANDARD.encode(plaintext));
        let fields = Fields::default().text("plaintext", &text);
        let fields = Self::with_key(fields.context("context", context), "key_id", key);
        let answer = self
            .transport
            .post("encrypt", fields, About::key(key))
            .await?;
        answer.ciphertext()
    }

    async fn decrypt(
        &self,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        self.open("decrypt", ciphertext, context).await
    }

    async fn generate_data_key(
        &self,
        key: &KeyId,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<DataEncryptionKey> {
        let spec = spec.to_string();
        let fields = Fields::default().text("key_spec", &spec);
        let fields = Self::with_key(fields.context("context", context), "key_id", key);
        let answer = self
            .transport
            .post("generate-key", fields, About::key(key))
            .await?;
        Ok(DataEncryptionKey {
            plaintext: answer.plaintext()?,
            wrapped: answer.ciphertext()?,
        })
    }

    async fn generate_data_key_without_plaintext(
        &self,
        key: &KeyId,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        let spec = spec.to_string();
        let fields = Fields::default().text("key_spec", &spec);
        let fields = fields
            .context("context", context)
            .switch("without_plaintext");
        let fields = Self::with_key(fields, "key_id", key);
        let answer = self
            .transport
            .post("generate-key", fields, About::key(key))
            .await?;
        answer.ciphertext()
    }

    async fn decrypt_data_key(
        &self,
        wrapped: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        self.open("decrypt-key", wrapped, context).await
    }

    async fn re_encrypt(
        &self,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
        new_key: &KeyId,
        new_context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        let text = ciphertext.to_base64();
        let fields = Fields::default().text("ciphertext", &text);
        let fields = fields.context("context", context);
        let fields = fields.context("new_context", new_context);
        let fields = Self::with_key(fields, "new_key_id", new_key);
        let about = About::both(ciphertext, new_key);
        let answer = self.transport.post("re-encrypt", fields, about).await?;
        answer.ciphertext()
    }

    async fn rotate_key(&self, key: &KeyId) -> Result<KeyInfo> {
        let fields = Self::with_key(Fields::default(), "key_id", key);
        let answer = self
            .transport
            .post("rotate", fields, About::key(key))
            .await?;
        Ok(KeyInfo {
            key: answer.key_id()?,
            version: KeyVersion::new(answer.key_version()?)
                .ok_or_else(|| missing("key_version"))?,
            enabled: answer.enabled,
            rotated_at: None,
        })
    }

    async fn key_info(&self, _: &KeyId) -> Result<KeyInfo> {
        Self::unsupported(
            KmsOperation::KeyInfo,
            "its status tells of the key that it uses where none is named",
        )
    }

    async fn list_keys(&self, _: Option<&KeyId>, _: usize) -> Result<KeyPage> {
        Self::unsupported(
            KmsOperation::ListKeys,
            "list them in the key service itself",
        )
    }

    async fn health_check(&self) -> Result<Health> {
        Ok(Health::of(NAME).note(self.backend().await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_that_says_so_is_healthy() {
        let told = |text: &str| healthy(Json::parse(text).unwrap()).map_err(|error| error.kind());
        assert!(told(r#"{"status":"healthy","backend":"local"}"#).is_ok());
        for (text, kind) in [
            ("[]", "bad_answer"),
            ("{}", "bad_answer"),
            (r#""healthy""#, "bad_answer"),
            (r#"{"status":"healthy"}"#, "bad_answer"),
            (r#"{"status":"healthy","backend":1}"#, "bad_answer"),
            (r#"{"backend":"local"}"#, "bad_answer"),
            (r#"{"status":"sealed","backend":"local"}"#, "unavailable"),
        ] {
            assert_eq!(told(text).unwrap_err(), kind, "{text}");
        }
    }
}
