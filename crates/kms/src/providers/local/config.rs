//! `[kms.local]`.

use super::{EnvKeyProvider, NAME};
use crate::config::Environment;
use crate::config::backend::{Asked, Making, Settings, Table, check_stage};
use crate::config::section::Reader;
use crate::resilience::recorded;
use crate::{KeyId, KmsError, KmsOperation, Provider, Result};
use async_trait::async_trait;
use secretum_crypto::{RngRef, SecretString};
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const TABLE: Table = Table {
    keys: &["keys_path", "keys_variable", "allow_in_production"],
    keys_old: &[],
    default_key: None,
    read: |reader, asked| Some(Arc::new(settings(reader, asked)?)),
};

/// The variable that holds the keys where none is named.
const VARIABLE: &str = "SECRETUM_KMS_KEYS";

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalKeys {
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

#[async_trait]
impl Settings for LocalKeys {
    fn provider(&self, making: &Making<'_>) -> Result<Arc<dyn Provider>> {
        let rng = Arc::clone(&making.observers.rng);
        Ok(Arc::new(match self {
            Self::File(path) => EnvKeyProvider::from_file(path, rng)?,
            Self::Variable(name) => of_variable(name, making.environment, rng)?,
        }))
    }

    /// Makes the file, with the key in it, where it is not there.
    async fn create_file(&self, making: &Making<'_>, named: Option<&KeyId>) -> Result<bool> {
        let path = match self {
            Self::File(path) if !path.exists() => path,
            Self::File(_) | Self::Variable(_) => return Ok(false),
        };
        let key = named.unwrap_or(making.default_key);
        let rng = Arc::clone(&making.observers.rng);
        let made = async { EnvKeyProvider::create_file(path, key, rng) };
        let what = (KmsOperation::CreateKey, Some(key));
        recorded(making.observers, NAME, what, made).await?;
        Ok(true)
    }
}

fn settings(reader: &mut Reader<'_>, asked: Asked<'_>) -> Option<LocalKeys> {
    check_stage(reader, asked)?;
    let local = asked.table;
    match (local.has("keys_path"), local.has("keys_variable")) {
        (true, true) => {
            reader.fault(
                local.at,
                "[kms.local] has both keys_path and keys_variable; leave one of them out",
            );
            None
        }
        (true, false) => local.path(reader, "keys_path").map(LocalKeys::File),
        (false, true) => {
            let found = local.text(reader, "keys_variable")?;
            Some(LocalKeys::Variable(found.value))
        }
        (false, false) => Some(LocalKeys::Variable(VARIABLE.to_owned())),
    }
}

fn of_variable(name: &str, environment: &Environment, rng: RngRef) -> Result<EnvKeyProvider> {
    let keys = environment.get(name);
    let keys = keys.ok_or(KmsError::NotConfigured {
        provider: NAME,
        what: "its keys in the environment",
        remedy: "set the variable that keys_variable names, SECRETUM_KMS_KEYS where it names none, to \
                 name:version:key",
    })?;
    EnvKeyProvider::from_text(&SecretString::new(keys), rng)
}
