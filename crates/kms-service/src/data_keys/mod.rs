//! [`DataKeys`]: data keys by their identifiers. One identifier has one key, whoever asks for it first.
//!
//! - Cluster mode derives it from a master secret: nothing is kept.
//! - External mode makes it at random, has the key service wrap it, and keeps it in a [`Storage`].
//!
//! - [`place`] reads what is configured by URIs and tables;
//! - [`storage`] keeps wrapped keys, `replacing` changes what is kept, [`record`] is its form;
//! - [`kept`] is the way through all of them, for rotations;
//! - `cloud` is the storages of the clouds;
//! - [`wrapping`] reads which key service wraps;
//! - [`wrapper`] is that key service, and its key.

#[cfg(any(
    feature = "storage-aws",
    feature = "storage-azure",
    feature = "storage-gcp"
))]
mod cloud;
pub(crate) mod kept;
pub(crate) mod place;
mod record;
mod replacing;
pub(crate) mod storage;
pub(crate) mod wrapper;
pub(crate) mod wrapping;

use place::Place;
use record::{Record, RecordError};
use secretum_crypto::{CryptoError, SecretBytes, hkdf_sha256};
use secretum_kms::{
    DATA_KEY_BYTES_MAX, DataKeySpec, EncryptionContext, KeyId, KeyManagementService, KmsConfig,
    KmsError, ResilientKms,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use storage::{Storage, StorageError, Written};
use tokio::sync::Semaphore;
use wrapper::Wrapper;

/// The most bytes of an identifier.
pub(crate) const DATA_KEY_ID_BYTES_MAX: usize = 1024;

/// The least bytes of the master secret of cluster mode.
pub(crate) const MASTER_BYTES_MIN: usize = 16;

/// The least bytes of its salt.
pub(crate) const SALT_BYTES_MIN: usize = 32;

/// Where data keys come from, as it is configured.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Cluster mode.
    Cluster(Arc<Master>),
    /// External mode: wrapped by a key service, and kept.
    External {
        /// By which.
        wrapping: Wrapping,
        /// Where the wrapped keys are kept.
        storage: Arc<Place>,
    },
}

/// What wraps data keys.
#[derive(Debug, Clone)]
pub(crate) struct Wrapping {
    pub(crate) source: KeySource,
    /// Whether the key-encryption key is made where it is missing.
    pub(crate) creates: bool,
}

/// Where the key-encryption key is.
#[derive(Debug, Clone)]
pub(crate) enum KeySource {
    /// In the key service of `[kms]`; the configured default where none is named.
    Configured(Option<KeyId>),
    /// In another one: its provider, and its configuration, whose default key it is.
    Other {
        provider: &'static str,
        config: Box<KmsConfig>,
    },
}

/// The secret that all keys of cluster mode are derived from.
pub(crate) struct Master {
    /// The secret itself.
    pub(crate) secret: SecretBytes,
    /// What it is salted with.
    pub(crate) salt: SecretBytes,
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Master").finish_non_exhaustive()
    }
}

/// Why there is no data key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataKeyError {
    #[error(
        "the identifier of a data key has 1 to {DATA_KEY_ID_BYTES_MAX} bytes without control characters"
    )]
    Id,
    #[error("a data key has 1 to {DATA_KEY_BYTES_MAX} bytes; ask for that many")]
    Length,
    #[error("the data key of this identifier has {has} bytes; ask for that many")]
    OtherLength { has: usize },
    #[error(transparent)]
    Kms(#[from] KmsError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the record `{name}` of the storage is no wrapped data key: {source}")]
    Record { name: String, source: RecordError },
    #[error("cryptography failed: {0}")]
    Crypto(#[from] CryptoError),
}

/// Data keys by their identifiers.
#[derive(Debug)]
pub(crate) enum DataKeys {
    Cluster(Arc<Master>),
    External(Box<External>),
}

impl DataKeys {
    /// The data key of an identifier, for a caller.
    ///
    /// **Units and limits**: identifiers of [`DATA_KEY_ID_BYTES_MAX`] bytes, keys of
    /// [`DATA_KEY_BYTES_MAX`].
    pub(crate) async fn key(
        &self,
        caller: &str,
        id: &str,
        len: usize,
    ) -> Result<SecretBytes, DataKeyError> {
        check_id(id)?;
        let spec = DataKeySpec::bytes(len).map_err(|_| DataKeyError::Length)?;
        match self {
            Self::Cluster(master) => Ok(master.derive(id, len)?),
            Self::External(external) => external.key(caller, id, spec).await,
        }
    }

    /// The name in audit records.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Cluster(_) => "cluster-kms",
            Self::External(_) => External::NAME,
        }
    }
}

pub(crate) fn check_id(id: &str) -> Result<(), DataKeyError> {
    let fits = (1..=DATA_KEY_ID_BYTES_MAX).contains(&id.len());
    match fits && !id.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(DataKeyError::Id),
    }
}

impl Master {
    fn derive(&self, id: &str, len: usize) -> Result<SecretBytes, CryptoError> {
        let info = format!("key-{id}");
        hkdf_sha256(
            self.secret.expose(),
            self.salt.expose(),
            info.as_bytes(),
            len,
        )
    }
}

/// How many records of the first version are given their identifiers at once. Who asks for more waits.
const TELLING_MAX: usize = 16;

/// Random data keys, wrapped and kept.
#[derive(Debug)]
pub(crate) struct External {
    pub(crate) wrapper: Arc<Wrapper>,
    pub(crate) storage: Arc<Storage>,
    /// Whether the storage replaces no records of the first version: it is not tried again.
    stays: Arc<AtomicBool>,
    /// Who writes identifiers.
    telling: Arc<Semaphore>,
}

/// INVARIANT: a record opens for the identifier that it was made for alone.
pub(crate) fn context(id: &str) -> Result<EncryptionContext, KmsError> {
    EncryptionContext::of([("data_key_id", id)])
}

impl External {
    /// The name in audit records.
    const NAME: &str = "data-keys";

    pub(crate) fn new(wrapper: Arc<Wrapper>, storage: Arc<Storage>) -> Self {
        Self {
            wrapper,
            storage,
            stays: Arc::default(),
            telling: Arc::new(Semaphore::new(TELLING_MAX)),
        }
    }

    async fn key(
        &self,
        caller: &str,
        id: &str,
        spec: DataKeySpec,
    ) -> Result<SecretBytes, DataKeyError> {
        let kms = self.wrapper.for_caller(caller);
        let name = self.storage.name(id);
        let context = context(id)?;
        if let Some(record) = self.storage.read(&name).await? {
            return self.open(&kms, id, &record, spec).await;
        }
        let made = self.wrapper.generate(&kms, spec, &context).await?;
        let record = Record::new(id, made.wrapped);
        match self.storage.create(&name, record.to_bytes()).await? {
            Written::First => Ok(made.plaintext),
            // Another was faster: its key is the one.
            Written::Second => {
                let record = self.storage.read(&name).await?;
                let record = record.ok_or_else(|| StorageError::Gone { name: name.clone() })?;
                self.open(&kms, id, &record, spec).await
            }
        }
    }

    async fn open(
        &self,
        kms: &ResilientKms,
        id: &str,
        bytes: &[u8],
        spec: DataKeySpec,
    ) -> Result<SecretBytes, DataKeyError> {
        let record = Record::from_bytes(bytes).and_then(|record| record.check(id));
        let record = record.map_err(|source| DataKeyError::Record {
            name: self.storage.name(id),
            source,
        })?;
        let key = kms.decrypt_data_key(&record.wrapped, &context(id)?).await?;
        if key.len() != spec.len() {
            return Err(DataKeyError::OtherLength { has: key.len() });
        }
        if record.id.is_none() {
            self.tell_id(id, bytes, record).await;
        }
        Ok(key)
    }

    /// Writes the identifier beside a wrapped key of the first version, without which it cannot be wrapped
    /// anew. Nobody waits for that, and that it cannot be written keeps nobody from the key.
    async fn tell_id(&self, id: &str, old: &[u8], record: Record) {
        if self.stays.load(Ordering::Relaxed) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.telling).acquire_owned().await else {
            return;
        };
        let new = Record::new(id, record.wrapped).to_bytes();
        let (name, old) = (self.storage.name(id), old.to_vec());
        let (storage, stays) = (Arc::clone(&self.storage), Arc::clone(&self.stays));
        tokio::spawn(async move {
            let _permit = permit;
            let Err(error) = storage.replace(&name, &old, new).await else {
                return;
            };
            if !error.is_lasting() {
                tracing::warn!(%error, "a record of the first version stays until it is asked for again");
            } else if !stays.swap(true, Ordering::Relaxed) {
                tracing::warn!(%error, "records of the first version stay as they are, and are not wrapped anew");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(byte: u8) -> DataKeys {
        let secret = || SecretBytes::new(vec![byte; 32]);
        DataKeys::Cluster(Arc::new(Master {
            secret: secret(),
            salt: secret(),
        }))
    }

    #[tokio::test]
    async fn cluster_keys_are_those_of_the_published_vectors() {
        for (byte, id, wanted) in [
            (
                0,
                "00000000-0000-0000-0000-000000000000",
                "2b5c829f691bfd4232f8aac464bccc07e605c7c8e82cbca09837e86d0b6d0665",
            ),
            (
                0xff,
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
                "1484aa39d3415e906e07940ff215d8b1eee705d3027dba93306af4abff4f70be",
            ),
        ] {
            let key = cluster(byte).key("caller", id, 32).await.unwrap();
            assert_eq!(hex::encode(key.expose()), wanted);
        }
    }

    #[tokio::test]
    async fn identifiers_and_lengths_have_their_edges() {
        let keys = cluster(1);
        let ask = async |id: &str, len| keys.key("caller", id, len).await.map(|key| key.len());
        let most = "i".repeat(DATA_KEY_ID_BYTES_MAX);
        assert_eq!(
            ask(&most, DATA_KEY_BYTES_MAX).await.unwrap(),
            DATA_KEY_BYTES_MAX
        );
        assert_eq!(ask("ä", 1).await.unwrap(), 1);
        for id in ["", "a\nb", &format!("{most}i")] {
            assert!(matches!(ask(id, 32).await, Err(DataKeyError::Id)));
        }
        for len in [0, DATA_KEY_BYTES_MAX + 1] {
            assert!(matches!(ask("a", len).await, Err(DataKeyError::Length)));
        }
    }
}
