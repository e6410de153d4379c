//! `[kms.age]`.

use super::{AgeFiles, AgeProvider, NAME};
use crate::config::backend::{Asked, Making, Settings, Table, check_stage};
use crate::config::section::Reader;
use crate::resilience::recorded;
use crate::{KeyId, KmsError, KmsOperation, Provider, Result};
use async_trait::async_trait;
use std::sync::Arc;

pub(crate) const TABLE: Table = Table {
    keys: KEYS,
    keys_old: KEYS_OLD,
    default_key: None,
    read: |reader, asked| Some(Arc::new(settings(reader, asked)?)),
};

const KEYS: &[&str] = &[
    "public_key_path",
    "private_key_path",
    "armor",
    "allow_in_production",
];

const KEYS_OLD: &[(&str, &str)] = &[
    ("recipients_path", "public_key_path"),
    (
        "recipient",
        "the recipient into a file, and its path as public_key_path",
    ),
    ("identity_path", "private_key_path"),
    ("key_path", "private_key_path"),
    ("key_file", "private_key_path"),
];

/// Keys of age in files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgeSettings {
    /// Where they are.
    pub files: AgeFiles,
    /// Whether age files are text.
    pub armor: bool,
}

#[async_trait]
impl Settings for AgeSettings {
    fn provider(&self, making: &Making<'_>) -> Result<Arc<dyn Provider>> {
        let clock = Arc::clone(&making.observers.clock);
        let key = making.default_key.clone();
        let provider = AgeProvider::open(key, self.files.clone(), self.armor, clock)?;
        Ok(Arc::new(provider))
    }

    /// Makes a key pair in the two files.
    async fn create_file(&self, making: &Making<'_>, named: Option<&KeyId>) -> Result<bool> {
        if named.is_some() {
            return Err(KmsError::Refused {
                provider: NAME,
                reason: "a key pair has no name but its public key; leave the name out".to_owned(),
            });
        }
        let made = async { self.files.generate(making.observers.clock.now()) };
        let what = (KmsOperation::CreateKey, None);
        recorded(making.observers, NAME, what, made).await?;
        Ok(true)
    }
}

fn settings(reader: &mut Reader<'_>, asked: Asked<'_>) -> Option<AgeSettings> {
    check_stage(reader, asked)?;
    let faults = reader.faults.len();
    let age = asked.table;
    let files = AgeFiles {
        public: age.path(reader, "public_key_path"),
        private: age.path(reader, "private_key_path"),
    };
    let armor = age.switch(reader, "armor").unwrap_or(false);
    if reader.faults.len() > faults {
        return None;
    }
    if files.public.is_none() && files.private.is_none() {
        reader.fault(
            Some(age.at.unwrap_or(asked.at)),
            "the backend `age` has no keys; write public_key_path and private_key_path in [kms.age]",
        );
        return None;
    }
    Some(AgeSettings { files, armor })
}
