//! Rekeying: another unseal key, in other shares, for the same root key.
//!
//! Two records change, the seal's description and the root key's, in one commit: after a crash at any
//! moment either the old shares open the vault or the new ones do. Keyring and records stay as they
//! are.

use crate::seal::{CONFIG_KEY, ROOT_KEY, SealConfig, combine, config_text};
use crate::{Barrier, BarrierError, Result, record};
use bytes::Bytes;
use secretum_crypto::{Aead, Key256, SecretBytes};
use secretum_storage::{Batch, Change, Entry, Key, Precondition, Revision, Storage, StorageError};

/// A seal that was drawn and protects nothing yet.
#[derive(Debug)]
pub struct NewSeal {
    config: SealConfig,
    unseal: Key256,
}

impl NewSeal {
    /// Number of shares.
    pub fn shares(&self) -> u8 {
        self.config.shares
    }

    /// How many of them unseal.
    pub fn threshold(&self) -> u8 {
        self.config.threshold
    }

    /// Whether these shares make its unseal key.
    pub fn is_made_of(&self, shares: &[SecretBytes]) -> bool {
        combine(shares).is_ok_and(|key| key == self.unseal)
    }
}

/// A seal that was put in the place of another.
#[derive(Debug)]
pub struct Rekeyed {
    /// What stood there before; ciphertext under the old unseal key.
    before: [Bytes; 2],
    revision: Option<Revision>,
    /// Why it is not known whether the commit was made: from now on either seal may be the one that
    /// is in force. `None` where it was made for sure.
    pub doubt: Option<StorageError>,
}

impl Barrier {
    /// Draws an unseal key and splits it; nothing is stored.
    ///
    /// **Errors**: [`BarrierError::SealConfig`] as [`SealConfig::shamir`], [`BarrierError::Crypto`].
    pub fn draw_seal(&self, config: SealConfig) -> Result<(NewSeal, Vec<SecretBytes>)> {
        let unseal = Key256::random(&*self.rng)?;
        let shares = self.split(&config, &unseal)?;
        Ok((NewSeal { config, unseal }, shares))
    }

    /// Whether these shares open the vault, which is open already.
    ///
    /// **Errors**: [`BarrierError::WrongShares`] where they do not, [`BarrierError::Sealed`],
    /// [`BarrierError::Storage`].
    pub async fn verify_shares(&self, shares: &[SecretBytes]) -> Result<()> {
        let open = self.keys()?;
        let root = self.open_root(&combine(shares)?).await?;
        if root == open.root {
            Ok(())
        } else {
            Err(BarrierError::WrongShares)
        }
    }

    /// Puts a new seal in the place of the one in force, and commits `along` with it.
    ///
    /// Where the storage failed in a way that leaves open what it did, this is told in
    /// [`Rekeyed::doubt`]: whoever has the new shares must not throw them away, nor the old ones.
    ///
    /// **Errors**: [`BarrierError::Sealed`], [`BarrierError::Storage`],
    /// [`BarrierError::Damaged`]; the old seal is then in force.
    pub async fn rekey(&self, seal: &NewSeal, along: Batch) -> Result<Rekeyed> {
        let puts = along.steps().iter();
        let puts = puts.filter(|step| matches!(step.change, Change::Put(_)));
        let puts = puts.count() as u64;
        let open = self.count_encryptions(self.keys()?, puts).await?;
        let held = self
            .seal_config()
            .await?
            .ok_or(BarrierError::NotInitialized)?;
        let mut config = seal.config.clone();
        (config.cluster_id, config.cluster_name) = (held.cluster_id, held.cluster_name);
        let (old_config, old_root) = (self.core_record(CONFIG_KEY), self.core_record(ROOT_KEY));
        let (old_config, old_root) = (old_config.await?, old_root.await?);
        let at = |entry: &Entry| Precondition::At(entry.revision);
        let root = self.seal_root(&open.root, &seal.unseal)?;
        let batch = Batch::new()
            .put_if(
                Key::try_from(CONFIG_KEY)?,
                at(&old_config),
                config_text(&config)?,
            )
            .put_if(Key::try_from(ROOT_KEY)?, at(&old_root), root)
            .and(self.seal_batch(&open, along)?);
        let before = [old_config.value, old_root.value];
        let (revision, doubt) = match self.inner.commit(batch).await {
            Ok(revision) => (Some(revision), None),
            Err(error) if error.applied_nothing() => return Err(error.into()),
            Err(error) => (None, Some(error)),
        };
        Ok(Rekeyed {
            before,
            revision,
            doubt,
        })
    }

    /// Puts the seal back that was in force before, for shares that nobody got.
    ///
    /// **Errors**: [`BarrierError::Storage`]: also where the seal was changed again meanwhile.
    pub async fn undo_rekey(&self, rekeyed: Rekeyed, along: Batch) -> Result<()> {
        let open = self.keys()?;
        let [config, root] = rekeyed.before;
        let expect = match rekeyed.revision {
            Some(revision) => Precondition::At(revision),
            None => Precondition::Present,
        };
        let batch = Batch::new()
            .put_if(Key::try_from(CONFIG_KEY)?, expect, config)
            .put_if(Key::try_from(ROOT_KEY)?, expect, root)
            .and(self.seal_batch(&open, along)?);
        self.inner.commit(batch).await?;
        Ok(())
    }

    /// The root key as it is stored under this unseal key.
    pub(crate) fn seal_root(&self, root: &Key256, unseal: &Key256) -> Result<Vec<u8>> {
        let cipher = Aead::aes_256_gcm(unseal)?;
        let key = ROOT_KEY.as_bytes();
        Ok(record::seal(&cipher, 0, key, root.expose(), &*self.rng)?)
    }

    /// The stored root key, if this is its unseal key.
    pub(crate) async fn open_root(&self, unseal: &Key256) -> Result<Key256> {
        let entry = self.core_record(ROOT_KEY).await?;
        let root = record::open(
            &Aead::aes_256_gcm(unseal)?,
            ROOT_KEY.as_bytes(),
            &entry.value,
        )
        .map_err(|_| BarrierError::WrongShares)?;
        Ok(Key256::from_slice(SecretBytes::new(root).expose())?)
    }

    async fn core_record(&self, key: &'static str) -> Result<Entry> {
        let entry = self.inner.get(&Key::try_from(key)?).await?;
        entry.ok_or(BarrierError::Damaged { key })
    }
}
