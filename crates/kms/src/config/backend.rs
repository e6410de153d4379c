//! [`Backend`]: the provider that serves, by its table.

use super::section::{Found, Reader, Section, nearest};
use super::{Environment, Stage};
use crate::providers::{ALL, EVERY, TABLES};
use crate::{KeyId, Observers, Provider, Result};
use async_trait::async_trait;
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// A provider and its settings.
#[derive(Debug, Clone)]
pub struct Backend {
    name: &'static str,
    settings: Arc<dyn Settings>,
}

impl Backend {
    /// The name of the provider, as it stands in ciphertexts and configurations.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its settings, where they are of this type: `AwsSettings` and its like, as each provider has
    /// them.
    pub fn settings<T: 'static>(&self) -> Option<&T> {
        let settings: &dyn Any = self.settings.as_ref();
        settings.downcast_ref()
    }

    /// As of [`Settings::provider`].
    pub(super) fn provider(&self, making: &Making<'_>) -> Result<Arc<dyn Provider>> {
        self.settings.provider(making)
    }

    /// As of [`Settings::create_file`].
    pub(super) async fn create_file(
        &self,
        making: &Making<'_>,
        named: Option<&KeyId>,
    ) -> Result<bool> {
        self.settings.create_file(making, named).await
    }
}

/// What a table of a provider says.
#[async_trait]
pub(crate) trait Settings: Any + Debug + Send + Sync {
    /// The provider of these settings.
    ///
    /// **Errors**: [`crate::KmsError`], where its keys or credentials cannot be read.
    fn provider(&self, making: &Making<'_>) -> Result<Arc<dyn Provider>>;

    /// Makes a key whose file must be there before the provider can be, has it recorded, and says
    /// whether that is so.
    ///
    /// **Errors**: where the file cannot be made.
    async fn create_file(&self, _making: &Making<'_>, _named: Option<&KeyId>) -> Result<bool> {
        Ok(false)
    }
}

/// What providers are made with beside their settings.
#[allow(dead_code, reason = "each provider takes what it needs of it")]
pub(crate) struct Making<'a> {
    pub(crate) default_key: &'a KeyId,
    pub(crate) environment: &'a Environment,
    pub(crate) observers: &'a Observers,
}

/// How the table of a provider is read.
pub(crate) struct Table {
    /// Its keys.
    pub(crate) keys: &'static [&'static str],
    /// Keys of before or of elsewhere, and what to write instead.
    pub(crate) keys_old: &'static [(&'static str, &'static str)],
    /// The key that names the default key, where it has one.
    pub(crate) default_key: Option<&'static str>,
    /// Reads it.
    pub(crate) read: fn(&mut Reader<'_>, Asked<'_>) -> Option<Arc<dyn Settings>>,
}

impl Table {
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        let found = TABLES.iter().find(|(known, _)| *known == name);
        found.map(|(_, table)| table)
    }
}

/// A table that is read.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "each provider takes what it needs of it")]
pub(crate) struct Asked<'a> {
    pub(crate) table: Section<'a>,
    pub(crate) stage: Stage,
    /// Where the provider is named: there is told what is wrong where the table is not there.
    pub(crate) at: usize,
}

/// A provider that there is, also where this program was built without it.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// The name of its table.
    pub(crate) table: &'static str,
    /// That as it is written.
    pub(crate) header: &'static str,
}

impl Named {
    /// Its table in `[kms]`.
    pub(super) fn table<'a>(self, reader: &mut Reader<'_>, kms: Section<'a>) -> Section<'a> {
        kms.below(reader, self.name, self.table)
    }

    pub(super) fn find(name: &str) -> Option<Self> {
        EVERY.iter().find(|known| known.name == name).copied()
    }
}

/// Looks at the names in the tables of all backends, those too that do not serve.
pub(super) fn check_names(reader: &mut Reader<'_>, kms: Section<'_>) {
    for named in EVERY {
        let table = named.table(reader, kms);
        if let Some(known) = Table::of(named.name) {
            table.only(reader, known.keys, known.keys_old);
        }
    }
}

pub(super) fn backend(
    reader: &mut Reader<'_>,
    kms: Section<'_>,
    stage: Stage,
    named: Option<&str>,
) -> Option<Backend> {
    let key = stage.backend_key();
    if named.is_none() && !kms.has(key) {
        reader.fault(
            kms.at,
            format!(
                "[kms] names no `{key}`; write {key} = \"…\", one of {}",
                ALL.join(", ")
            ),
        );
        return None;
    }
    let Found { value, at } = match named {
        Some(name) => Found {
            value: name.to_owned(),
            at: kms.at.unwrap_or_default(),
        },
        None => kms.text(reader, key)?,
    };
    let Some(known) = Named::find(&value) else {
        let mut message = format!("`{key}` names no provider of this program");
        let replaced = NAMES_OLD.iter().find(|(gone, _)| *gone == value);
        match replaced.map(|(_, new)| *new).or(nearest(&value, ALL)) {
            Some(near) => message.push_str(&format!("; did you mean `{near}`?")),
            None => message.push_str(&format!("; it has {}", ALL.join(", "))),
        }
        reader.fault(Some(at), message);
        return None;
    };
    let Some(read) = Table::of(known.name).map(|table| table.read) else {
        let message = format!(
            "`{key}` names the provider `{value}`, which this program was built without; build it with the \
             feature `{value}`"
        );
        reader.fault(Some(at), message);
        return None;
    };
    let table = known.table(reader, kms);
    let faults = reader.faults.len();
    let settings = read(reader, Asked { table, stage, at })?;
    (reader.faults.len() == faults).then_some(Backend {
        name: known.name,
        settings,
    })
}

/// What providers are called elsewhere, and here.
const NAMES_OLD: &[(&str, &str)] = &[
    ("aws-kms", "aws"),
    ("aws_kms", "aws"),
    ("azure-key-vault", "azure"),
    ("azure_keyvault", "azure"),
    ("bao", "vault"),
    ("cosmian-kms", "cosmian"),
    ("cosmian_kms", "cosmian"),
    ("env", "local"),
    ("gcp-kms", "gcp"),
    ("gcp_kms", "gcp"),
    ("hashicorp", "vault"),
    ("openbao", "vault"),
    ("transit", "vault"),
];

/// Refuses keys in files for production, unless the table of the backend says it once more.
#[cfg(any(feature = "age", feature = "local"))]
pub(crate) fn check_stage(reader: &mut Reader<'_>, asked: Asked<'_>) -> Option<()> {
    let Asked { table, stage, at } = asked;
    let allowed = table.switch(reader, "allow_in_production");
    if stage == Stage::Development || allowed == Some(true) {
        return Some(());
    }
    reader.fault(
        Some(at),
        format!(
            "a production environment does not take keys from files: name a key service as \
             prod_backend, or write allow_in_production = true in [{}] as well",
            table.name
        ),
    );
    None
}
