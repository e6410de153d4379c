//! The six operations.

use super::Api;
use super::answer::Answer;
use super::body::{self, Body};
use super::error::ApiError;
use super::fields::Fields;
use crate::callers::Caller;
use crate::rights::Operation;
use crate::trail::Trail;
use axum::extract::{Request, State};
use secretum_kms::{Ciphertext, KeyId, KeyManagementService, ResilientKms};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

type Outcome = Result<Answer, ApiError>;

/// A request that was let in and read.
struct Asked {
    api: Arc<Api>,
    caller: Arc<Caller>,
    trail: Trail,
    kms: ResilientKms,
    body: Body,
    _place: OwnedSemaphorePermit,
}

impl Asked {
    async fn read(api: Arc<Api>, request: Request, operation: Operation) -> Result<Self, ApiError> {
        let caller = api.admit(&request, operation)?;
        let trail = Trail::of(request.extensions());
        let place = api.place()?;
        let body = body::read(&api, request).await?;
        Ok(Self {
            kms: api.kms.for_caller(&caller.name),
            api,
            caller,
            trail,
            body,
            _place: place,
        })
    }

    fn fields(&self, known: &[&str]) -> Result<Fields<'_>, ApiError> {
        Fields::read(&self.body.bytes, known)
    }

    fn check(&self, operation: Operation, key: &KeyId) -> Result<(), ApiError> {
        let key = key.as_str();
        self.trail.key(key);
        if self.caller.rights.permit(operation, key) {
            return Ok(());
        }
        Err(ApiError::forbidden(&self.caller, operation, Some(key)))
    }

    /// The key service, which is asked now.
    fn kms(&self) -> &ResilientKms {
        self.trail.is_asked();
        &self.kms
    }

    /// The key that is named, or the configured one.
    fn key(&self, fields: &Fields<'_>, operation: Operation) -> Result<KeyId, ApiError> {
        let key = fields.key("key_id")?;
        let key = key.unwrap_or_else(|| self.api.default_key.clone());
        self.check(operation, &key)?;
        Ok(key)
    }

    /// The ciphertext, whose key is the one that is named where one is.
    fn ciphertext(
        &self,
        fields: &Fields<'_>,
        operation: Operation,
    ) -> Result<Ciphertext, ApiError> {
        let ciphertext = fields.ciphertext()?;
        self.check(operation, ciphertext.key())?;
        match fields.key("key_id")? {
            Some(key) if key != *ciphertext.key() => Err(ApiError::bad(
                "other_key",
                format!(
                    "the ciphertext was made with the key `{}`, not with `{key}`; name that one, or none",
                    ciphertext.key()
                ),
            )),
            _ => Ok(ciphertext),
        }
    }
}

pub(super) async fn encrypt(State(api): State<Arc<Api>>, request: Request) -> Outcome {
    let operation = Operation::Encrypt;
    let asked = Asked::read(api, request, operation).await?;
    let fields = asked.fields(&["plaintext", "context", "key_id"])?;
    let key = asked.key(&fields, operation)?;
    let context = fields.context("context")?.unwrap_or_default();
    let plaintext = fields.plaintext()?;
    let made = asked
        .kms()
        .encrypt(&key, plaintext.expose(), &context)
        .await?;
    Ok(Answer::default().ciphertext(&made))
}

pub(super) async fn decrypt(State(api): State<Arc<Api>>, request: Request) -> Outcome {
    let operation = Operation::Decrypt;
    let asked = Asked::read(api, request, operation).await?;
    let fields = asked.fields(&["ciphertext", "context", "key_id"])?;
    let ciphertext = asked.ciphertext(&fields, operation)?;
    let context = fields.context("context")?.unwrap_or_default();
    let plaintext = asked.kms().decrypt(&ciphertext, &context).await?;
    let answer = Answer::default().plaintext(&plaintext);
    Ok(answer.with("key_id", ciphertext.key().as_str()))
}

pub(super) async fn generate_key(State(api): State<Arc<Api>>, request: Request) -> Outcome {
    let operation = Operation::GenerateKey;
    let asked = Asked::read(api, request, operation).await?;
    let fields = asked.fields(&["key_spec", "context", "key_id", "without_plaintext"])?;
    let key = asked.key(&fields, operation)?;
    let spec = fields.key_spec()?;
    let context = fields.context("context")?.unwrap_or_default();
    let answer = Answer::default().with("key_spec", spec.to_string());
    if fields.switch("without_plaintext")? {
        let kms = asked.kms();
        let wrapped = kms
            .generate_data_key_without_plaintext(&key, spec, &context)
            .await?;
        return Ok(answer.ciphertext(&wrapped));
    }
    let made = asked.kms().generate_data_key(&key, spec, &context).await?;
    Ok(answer.plaintext(&made.plaintext).ciphertext(&made.wrapped))
}

pub(super) async fn decrypt_key(State(api): State<Arc<Api>>, request: Request) -> Outcome {
    let operation = Operation::DecryptKey;
    let asked = Asked::read(api, request, operation).await?;
    let fields = asked.fields(&["ciphertext", "context", "key_id"])?;
    let wrapped = asked.ciphertext(&fields, operation)?;
    let context = fields.context("context")?.unwrap_or_default();
    let plaintext = asked.kms().decrypt_data_key(&wrapped, &context).await?;
    let answer = Answer::default().plaintext(&plaintext);
    Ok(answer.with("key_id", wrapped.key().as_str()))
}

/// Under the newest version of the same key, or another key; bound to the same context, or another.
pub(super) async fn re_encrypt(State(api): State<Arc<Api>>, request: Request) -> Outcome {
    let operation = Operation::ReEncrypt;
    let asked = Asked::read(api, request, operation).await?;
    let known = [
        "ciphertext",
        "context",
        "key_id",
        "new_key_id",
        "new_context",
    ];
    let fields = asked.fields(&known)?;
    let old = asked.ciphertext(&fields, operation)?;
    let new_key = fields
        .key("new_key_id")?
        .unwrap_or_else(|| old.key().clone());
    asked.check(operation, &new_key)?;
    let context = fields.context("context")?.unwrap_or_default();
    let new_context = fields
        .context("new_context")?
        .unwrap_or_else(|| context.clone());
    let kms = asked.kms();
    let made = kms
        .re_encrypt(&old, &context, &new_key, &new_context)
        .await?;
    Ok(Answer::default().ciphertext(&made))
}

pub(super) async fn rotate(State(api): State<Arc<Api>>, request: Request) -> Outcome {
    let operation = Operation::Rotate;
    let asked = Asked::read(api, request, operation).await?;
    let fields = asked.fields(&["key_id"])?;
    let key = asked.key(&fields, operation)?;
    let info = asked.kms().rotate_key(&key).await?;
    Ok(Answer::default()
        .with("key_id", info.key.as_str())
        .with("key_version", info.version.as_str())
        .with("enabled", info.enabled))
}
