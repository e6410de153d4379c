//! The seal: how the root key is kept, made by [`Barrier::initialize`], opened by
//! [`Barrier::unseal`].
//!
//! Shamir: shares make the unseal key, which opens the stored root key. With a single share, the
//! share is the unseal key itself.

use crate::keyring::{KEYRING_KEY, Keyring};
use crate::{Barrier, BarrierError, Open, Result};
use secretum_crypto::{CryptoError, Key256, SecretBytes, random_uuid, shamir};
use secretum_storage::{Batch, Key, Precondition, Revision, Storage, StorageError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub(crate) const CONFIG_KEY: &str = "core/seal";
pub(crate) const ROOT_KEY: &str = "core/root";
const KEY_BYTES: usize = 32;

/// The stored, public description of the seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealConfig {
    /// The form of this record.
    format: u32,
    /// `shamir`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Number of shares.
    pub shares: u8,
    /// How many of them unseal.
    pub threshold: u8,
    /// Id of the cluster, a UUID.
    pub cluster_id: String,
    /// Name of the cluster.
    pub cluster_name: String,
}

const FORMAT: u32 = 1;

impl SealConfig {
    /// A Shamir seal.
    ///
    /// **Errors**: [`BarrierError::SealConfig`] unless 1 ≤ threshold ≤ shares ≤ 255 and more than one
    /// share needs more than one to unseal.
    pub fn shamir(shares: u64, threshold: u64) -> Result<Self> {
        let refuse = |text| Err(BarrierError::SealConfig(text));
        let (Ok(shares), Ok(threshold)) = (u8::try_from(shares), u8::try_from(threshold)) else {
            return refuse("secret_shares and secret_threshold must be at most 255");
        };
        if shares == 0 || threshold == 0 {
            return refuse("secret_shares and secret_threshold must be at least 1");
        }
        if threshold > shares {
            return refuse("secret_threshold cannot be larger than secret_shares");
        }
        if shares > 1 && threshold == 1 {
            return refuse("secret_threshold must be greater than one for multiple shares");
        }
        Ok(Self {
            format: FORMAT,
            kind: "shamir".to_owned(),
            shares,
            threshold,
            cluster_id: String::new(),
            cluster_name: String::new(),
        })
    }

    fn share_bytes(&self) -> usize {
        if self.shares == 1 {
            KEY_BYTES
        } else {
            KEY_BYTES + 1
        }
    }
}

/// How far the seal is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealStatus {
    /// The seal's description; `None` before init.
    pub config: Option<SealConfig>,
    /// Whether the keys are not in memory.
    pub sealed: bool,
    /// Shares given so far.
    pub progress: usize,
    /// Id of this attempt to unseal; empty before the first share.
    pub nonce: String,
}

/// What init gives, once.
#[derive(Debug)]
pub struct Initialized {
    /// The shares of the unseal key.
    pub shares: Vec<SecretBytes>,
}

/// An attempt to unseal.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    nonce: String,
    shares: Vec<SecretBytes>,
}

impl Barrier {
    /// Makes a vault in an empty storage, with what it starts with, in one commit; leaves it sealed.
    ///
    /// `contents` is called with the shares while the barrier holds the new keys, so that it can
    /// derive its own, and must not read or write the storage.
    ///
    /// **Errors**: [`BarrierError::AlreadyInitialized`], also where another call was first; those of
    /// `contents`. The storage is then as it was.
    pub async fn initialize<E: From<BarrierError>>(
        &self,
        mut config: SealConfig,
        contents: impl FnOnce(&[SecretBytes]) -> Result<Batch, E>,
    ) -> Result<Initialized, E> {
        if self.seal_config().await?.is_some() {
            return Err(BarrierError::AlreadyInitialized.into());
        }
        config.cluster_id = random_uuid(&*self.rng).map_err(BarrierError::from)?;
        config.cluster_name = format!("secretum-cluster-{}", cluster_suffix(&config.cluster_id));
        let (open, core_records, shares) = self.conceive(&config)?;
        let open = Arc::new(open);
        *self.open.write() = Some(Arc::clone(&open));
        let contents = contents(&shares);
        self.seal();
        let contents = self.seal_batch(&open, contents?);
        let batch = core_records.and(contents.map_err(BarrierError::from)?);
        match self.inner.commit(batch).await {
            Ok(_) => Ok(Initialized { shares }),
            Err(StorageError::Conflict { .. }) => Err(BarrierError::AlreadyInitialized.into()),
            Err(error) => Err(BarrierError::from(error).into()),
        }
    }

    /// Makes the keys of a vault, the records that keep them, and the shares.
    fn conceive(&self, config: &SealConfig) -> Result<(Open, Batch, Vec<SecretBytes>)> {
        let unseal = Key256::random(&*self.rng)?;
        let root = Key256::random(&*self.rng)?;
        let keyring = Keyring::generate(self.clock.now(), &*self.rng)?;
        let sealed_root = self.seal_root(&root, &unseal)?;
        let text = config_text(config)?;
        let absent = Precondition::Absent;
        let sealed_keyring = keyring.seal(&root, &*self.rng)?;
        let records = Batch::new()
            .put_if(Key::try_from(CONFIG_KEY)?, absent, text)
            .put_if(Key::try_from(ROOT_KEY)?, absent, sealed_root)
            .put_if(Key::try_from(KEYRING_KEY)?, absent, sealed_keyring);
        let open = Open {
            root,
            keyring,
            revision: Revision::default(),
            used: AtomicU64::new(0),
        };
        Ok((open, records, self.split(config, &unseal)?))
    }

    /// The seal's description; `None` before init.
    ///
    /// **Errors**: [`BarrierError::Storage`], [`BarrierError::Damaged`].
    pub async fn seal_config(&self) -> Result<Option<SealConfig>> {
        let Some(entry) = self.inner.get(&Key::try_from(CONFIG_KEY)?).await? else {
            return Ok(None);
        };
        let config: SealConfig = serde_json::from_slice(&entry.value)
            .map_err(|_| BarrierError::Damaged { key: CONFIG_KEY })?;
        if config.format == FORMAT {
            Ok(Some(config))
        } else {
            Err(BarrierError::Damaged { key: CONFIG_KEY })
        }
    }

    /// How far the seal is open.
    ///
    /// **Errors**: [`BarrierError::Storage`], [`BarrierError::Damaged`].
    pub async fn seal_status(&self) -> Result<SealStatus> {
        let config = self.seal_config().await?;
        let progress = self.progress.lock();
        Ok(SealStatus {
            config,
            sealed: self.is_sealed(),
            progress: progress.shares.len(),
            nonce: progress.nonce.clone(),
        })
    }

    /// Forgets the shares given so far.
    pub fn reset_unseal(&self) {
        *self.progress.lock() = Progress::default();
    }

    /// Takes one share; with the last of them, opens the barrier. A share that was given already
    /// counts once.
    ///
    /// **Errors**: [`BarrierError::NotInitialized`], [`BarrierError::ShareLength`];
    /// [`BarrierError::WrongShares`] where the shares do not open the vault, which forgets them all.
    pub async fn unseal(&self, share: SecretBytes) -> Result<SealStatus> {
        let config = self
            .seal_config()
            .await?
            .ok_or(BarrierError::NotInitialized)?;
        if !self.is_sealed() {
            return self.seal_status().await;
        }
        let (expected, actual) = (config.share_bytes(), share.len());
        if expected != actual {
            return Err(BarrierError::ShareLength { expected, actual });
        }
        if let Some(shares) = self.collect(&config, share)? {
            self.open_with(&combine(&shares)?).await?;
        }
        self.seal_status().await
    }

    /// Adds a share to the attempt; gives all of them, and ends the attempt, when there are enough.
    fn collect(&self, config: &SealConfig, share: SecretBytes) -> Result<Option<Vec<SecretBytes>>> {
        let mut progress = self.progress.lock();
        if progress.nonce.is_empty() {
            progress.nonce = random_uuid(&*self.rng)?;
        }
        if !progress.shares.contains(&share) {
            progress.shares.push(share);
        }
        if progress.shares.len() < usize::from(config.threshold) {
            return Ok(None);
        }
        Ok(Some(std::mem::take(&mut *progress).shares))
    }

    async fn open_with(&self, unseal: &Key256) -> Result<()> {
        let root = self.open_root(unseal).await?;
        let open = self.read_keyring(&root).await?;
        *self.open.write() = Some(Arc::new(open));
        Ok(())
    }

    pub(crate) fn split(&self, config: &SealConfig, unseal: &Key256) -> Result<Vec<SecretBytes>> {
        let secret = SecretBytes::new(unseal.expose().to_vec());
        if config.shares == 1 {
            return Ok(vec![secret]);
        }
        let (shares, threshold) = (usize::from(config.shares), usize::from(config.threshold));
        Ok(shamir::split(&secret, shares, threshold, &*self.rng)?)
    }
}

pub(crate) fn combine(shares: &[SecretBytes]) -> Result<Key256> {
    let wrong = |_: CryptoError| BarrierError::WrongShares;
    match shares {
        [only] => Key256::from_slice(only.expose()).map_err(wrong),
        _ => Key256::from_slice(shamir::combine(shares).map_err(wrong)?.expose()).map_err(wrong),
    }
}

/// A seal's description as it is stored.
pub(crate) fn config_text(config: &SealConfig) -> Result<Vec<u8>> {
    serde_json::to_vec(config).map_err(|_| BarrierError::Damaged { key: CONFIG_KEY })
}

fn cluster_suffix(cluster_id: &str) -> &str {
    cluster_id.split('-').next().unwrap_or_default()
}
