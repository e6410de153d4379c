//! `KeyService`: the key service of SOPS.
//!
//! A key of SOPS names its key service and the key there. It is served by a provider of this program
//! where one of its kind is configured, and never by another one than it names: an address in a request
//! is compared with the configured one, not asked.
//!
//! A ciphertext is the text that stands in the file.

mod clouds;

use self::clouds::Clouds;
use super::wire::key::KeyType;
use super::wire::key_service_server::KeyService;
use super::wire::{
    DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, Key, VaultKey,
};
use super::{Grpc, caller, check, status};
use crate::ServiceError;
use crate::callers::Caller;
use crate::config::SopsProvider;
use crate::rights::Operation;
use crate::trail::Trail;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use secretum_crypto::SecretBytes;
use secretum_kms::{
    AgeRecipients, AgeSettings, Ciphertext, EncryptionContext, Environment, KeyId,
    KeyManagementService, KeyVersion, Observers, ProviderKms, ResilientKms, VaultSettings, Wrapped,
    create_resilient_kms,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

/// The providers behind the key service.
#[derive(Debug, Default)]
pub(crate) struct SopsKeys {
    age: Option<ResilientKms>,
    vault: Option<(VaultSettings, ResilientKms)>,
    clouds: Clouds,
}

/// What a request means.
struct Asked {
    key: KeyId,
    /// The key by the name that rights are given for.
    named: KeyId,
    context: EncryptionContext,
    text: Text,
}

impl Asked {
    fn of(key: KeyId, text: Text) -> Self {
        Self {
            named: key.clone(),
            key,
            context: EncryptionContext::default(),
            text,
        }
    }
}

/// How a ciphertext stands in the file.
#[derive(Debug, Clone, Copy)]
enum Text {
    /// As the key service gave it, which was text.
    Own,
    Base64,
    /// Of the other alphabet, without padding, and what Azure itself gave.
    OfAzure,
}

impl Text {
    fn written(self, bytes: &[u8]) -> Result<Vec<u8>, Status> {
        Ok(match self {
            Self::Own => bytes.to_vec(),
            Self::Base64 => STANDARD.encode(bytes).into_bytes(),
            Self::OfAzure => {
                let bare = clouds::bare_of_azure(bytes);
                let bare = bare.ok_or_else(|| Status::internal("it is not of RSA-OAEP-256"))?;
                URL_SAFE_NO_PAD.encode(bare).into_bytes()
            }
        })
    }

    fn read(self, text: Vec<u8>) -> Result<Vec<u8>, Status> {
        let read = match self {
            Self::Own => Ok(text),
            Self::Base64 => STANDARD.decode(text),
            Self::OfAzure => URL_SAFE_NO_PAD.decode(text),
        };
        read.map_err(|_| Status::invalid_argument("the ciphertext is not in base64"))
    }
}

impl SopsKeys {
    /// Opens providers. Whoever takes the records and counts of a provider is told by
    /// `observers`.
    ///
    /// **Errors**: [`ServiceError::Kms`].
    pub(crate) fn open(
        providers: &[SopsProvider],
        mut observers: impl FnMut(&'static str) -> Observers,
    ) -> Result<Self, ServiceError> {
        let environment = Environment::process();
        let mut keys = Self::default();
        for (name, config) in providers {
            let observers = observers(name);
            let backend = &config.backend;
            if let Some(age) = backend.settings::<AgeSettings>() {
                let provider = AgeRecipients::open(age.files.private.clone())?;
                let rng = Arc::clone(&observers.rng);
                let inner = Arc::new(ProviderKms::with_rng(Arc::new(provider), rng));
                let resilience = config.resilience.clone();
                keys.age = Some(ResilientKms::new(inner, resilience, observers));
                continue;
            }
            let kms = create_resilient_kms(config, &environment, observers)?;
            match backend.settings::<VaultSettings>() {
                Some(settings) => keys.vault = Some((settings.clone(), kms)),
                None => keys.clouds.take(backend, kms),
            }
        }
        Ok(keys)
    }

    /// The providers that are served.
    pub(crate) fn services(&self) -> impl Iterator<Item = &ResilientKms> {
        let vault = self.vault.iter().map(|(_, kms)| kms);
        self.age.iter().chain(vault).chain(self.clouds.services())
    }

    /// The provider and the key that a key of SOPS means.
    fn find(&self, key: Option<Key>) -> Result<(&ResilientKms, Asked), Status> {
        let key = key.and_then(|key| key.key_type);
        let key = key.ok_or_else(|| Status::invalid_argument("the request names no key"))?;
        match key {
            KeyType::AgeKey(key) => {
                let kms = self.age.as_ref().ok_or_else(|| not_configured("age"))?;
                Ok((kms, Asked::of(key_id(key.recipient)?, Text::Own)))
            }
            KeyType::VaultKey(key) => self.vault_key(key),
            KeyType::KmsKey(key) => self.clouds.aws(key),
            KeyType::GcpKmsKey(key) => self.clouds.gcp(key),
            KeyType::AzureKeyvaultKey(key) => self.clouds.azure(key),
            KeyType::PgpKey(_) => Err(Status::unimplemented(
                "keys of PGP are not served here; have SOPS use its own key service for them",
            )),
            KeyType::HckmsKey(_) => Err(Status::unimplemented(
                "keys of Huawei Cloud KMS are not served here; have SOPS use its own key service for \
                 them",
            )),
        }
    }

    fn vault_key(&self, key: VaultKey) -> Result<(&ResilientKms, Asked), Status> {
        let configured = self.vault.as_ref();
        let (settings, kms) = configured.ok_or_else(|| not_configured("vault"))?;
        // The token must not go where a request says.
        if !settings.are_of(&key.vault_address, &key.engine_path) {
            return Err(Status::failed_precondition(
                "the key is of another server or engine than [kms.vault] of this service names",
            ));
        }
        Ok((kms, Asked::of(key_id(key.key_name)?, Text::Own)))
    }
}

fn key_id(id: String) -> Result<KeyId, Status> {
    KeyId::new(id).map_err(|error| status::kms(&error))
}

fn not_configured(provider: &str) -> Status {
    Status::failed_precondition(format!(
        "keys of this kind need the provider `{provider}`; write it in providers of [service.sops], and \
         its table [kms.{provider}]"
    ))
}

/// How a key is named, wherever it is, where that could be a key.
fn name(key: &KeyType) -> Option<&str> {
    let name = match key {
        KeyType::AgeKey(key) => &key.recipient,
        KeyType::VaultKey(key) => &key.key_name,
        KeyType::KmsKey(key) => &key.arn,
        KeyType::GcpKmsKey(key) => &key.resource_id,
        KeyType::AzureKeyvaultKey(key) => &key.name,
        KeyType::PgpKey(key) => &key.fingerprint,
        KeyType::HckmsKey(key) => &key.key_id,
    };
    KeyId::new(name.as_str()).is_ok().then_some(name)
}

/// The provider that a key is of.
fn provider(key: &KeyType) -> &'static str {
    match key {
        KeyType::AgeKey(_) => "age",
        KeyType::VaultKey(_) => "vault",
        KeyType::KmsKey(_) => "aws",
        KeyType::GcpKmsKey(_) => "gcp",
        KeyType::AzureKeyvaultKey(_) => "azure",
        KeyType::PgpKey(_) => "pgp",
        KeyType::HckmsKey(_) => "hckms",
    }
}

/// The service.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<Grpc>);

impl Service {
    fn find(
        &self,
        key: Option<Key>,
        (caller, trail): (&Caller, &Trail),
        operation: Operation,
    ) -> Result<(ResilientKms, Asked), Status> {
        let keys = self.0.sops.as_ref();
        let keys = keys.ok_or_else(|| Status::unimplemented("SOPS is not served here"))?;
        if let Some(kind) = key.as_ref().and_then(|key| key.key_type.as_ref()) {
            trail.provider(provider(kind));
            if let Some(named) = name(kind) {
                trail.key(named);
            }
        }
        let (kms, asked) = keys.find(key)?;
        check(trail, caller, operation, asked.named.as_str())?;
        Ok((kms.for_caller(&caller.name), asked))
    }
}

#[tonic::async_trait]
impl KeyService for Service {
    async fn encrypt(
        &self,
        request: Request<EncryptRequest>,
    ) -> Result<Response<EncryptResponse>, Status> {
        let (caller, trail) = (caller(&request)?, Trail::of(request.extensions()));
        let EncryptRequest { key, plaintext } = request.into_inner();
        let plaintext = SecretBytes::new(plaintext);
        let (kms, asked) = self.find(key, (&caller, &trail), Operation::Encrypt)?;
        trail.is_asked();
        let made = kms.encrypt(&asked.key, plaintext.expose(), &asked.context);
        let made = made.await;
        let made = made.map_err(|error| status::kms(&error))?;
        if made.form() != secretum_kms::Form::Native {
            return Err(Status::invalid_argument(
                "the plaintext is larger than the key service itself encrypts",
            ));
        }
        let ciphertext = asked.text.written(&made.wrapped().bytes)?;
        Ok(Response::new(EncryptResponse { ciphertext }))
    }

    async fn decrypt(
        &self,
        request: Request<DecryptRequest>,
    ) -> Result<Response<DecryptResponse>, Status> {
        let (caller, trail) = (caller(&request)?, Trail::of(request.extensions()));
        let DecryptRequest { key, ciphertext } = request.into_inner();
        let (kms, asked) = self.find(key, (&caller, &trail), Operation::Decrypt)?;
        let wrapped = Wrapped {
            key: asked.key,
            version: KeyVersion::default(),
            bytes: asked.text.read(ciphertext)?,
        };
        let provider = kms.capabilities().provider;
        let ciphertext = Ciphertext::native(provider, wrapped);
        let ciphertext = ciphertext.map_err(|error| status::kms(&error.into()))?;
        trail.is_asked();
        let opened = kms.decrypt(&ciphertext, &asked.context).await;
        let opened = opened.map_err(|error| status::kms(&error))?;
        let plaintext = Bytes::from_owner(Zeroizing::new(opened.into_exposed()));
        Ok(Response::new(DecryptResponse { plaintext }))
    }
}
