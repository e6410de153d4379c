//! The backup of a rekey: its shares, each encrypted for its holder, kept in the vault until somebody
//! deletes them.

use crate::active::Active;
use secretum_crypto::SecretBytes;
use secretum_engine::{Fault, to_json, unreadable};
use secretum_storage::{Batch, Key};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where it stands.
const BACKUP_KEY: &str = "sys/rekey-backup";

/// Encrypted shares of a rekey.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Backup {
    /// The nonce of the rekey.
    pub(crate) nonce: String,
    /// The encrypted shares in hex, by the fingerprints of their holders' keys.
    pub(crate) keys: BTreeMap<String, Vec<String>>,
}

impl Backup {
    /// A backup of encrypted shares, of which each is for the key at its place.
    pub(crate) fn new(nonce: &str, fingerprints: &[String], encrypted: &[SecretBytes]) -> Self {
        let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (fingerprint, share) in fingerprints.iter().zip(encrypted) {
            let of_holder = keys.entry(fingerprint.clone()).or_default();
            of_holder.push(hex::encode(share.expose()));
        }
        Self {
            nonce: nonce.to_owned(),
            keys,
        }
    }
}

/// What writes a backup, and what puts back what stands there now; both nothing without one.
pub(super) async fn exchange(
    active: &Active,
    backup: Option<&Backup>,
) -> Result<(Batch, Batch), Fault> {
    let Some(backup) = backup else {
        return Ok((Batch::new(), Batch::new()));
    };
    let key = Key::try_from(BACKUP_KEY)?;
    let before = match active.storage.get(&key).await? {
        Some(entry) => Batch::new().put(key.clone(), entry.value),
        None => Batch::new().delete(key.clone()),
    };
    Ok((Batch::new().put(key, to_json(backup)?), before))
}

/// The newest backup.
///
/// **Errors**: [`Fault::Invalid`] where there is none.
pub(crate) async fn read_backup(active: &Active) -> Result<Backup, Fault> {
    let entry = active.storage.get(&Key::try_from(BACKUP_KEY)?).await?;
    let entry = entry.ok_or_else(|| Fault::invalid("no backed-up keys found"))?;
    serde_json::from_slice(&entry.value).map_err(|error| unreadable("rekey backup", &error))
}

/// What must be committed to have no backup.
pub(crate) fn delete_backup() -> Result<Batch, Fault> {
    Ok(Batch::new().delete(Key::try_from(BACKUP_KEY)?))
}
