//! `config`: the settings of a mount.

use super::meta::{MountSettings, VersionsKept};
use super::{CONFIG_KEY, Kv2};
use crate::kv::KvError;
use schemars::JsonSchema;
use secretum_api::fields::{Seconds, go_duration};
use secretum_engine::{Context, Handle, Reply, expect, to_json};
use secretum_storage::Batch;
use serde::{Deserialize, Serialize};

/// Reads the settings of the mount.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadConfig {}

/// Changes the settings of the mount; what is not named stays.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct WriteConfig {
    /// Versions that a secret keeps; 0 for ten.
    #[serde(default)]
    max_versions: Option<VersionsKept>,
    /// Whether a write must name the newest version.
    #[serde(default)]
    cas_required: Option<bool>,
    /// Whether a change of a secret's settings must name the newest version of its metadata.
    #[serde(default)]
    metadata_cas_required: Option<bool>,
    /// The life of a new version; 0 for no end.
    #[serde(default)]
    delete_version_after: Option<Seconds>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Settings {
    max_versions: u64,
    cas_required: bool,
    metadata_cas_required: bool,
    delete_version_after: String,
}

impl Handle<ReadConfig> for Kv2 {
    type Data = Settings;
    type Error = KvError;

    async fn handle(&self, _: ReadConfig, _: &Context) -> Result<Reply<Settings>, KvError> {
        let settings = self.settings().await?;
        Ok(Reply::data(Settings {
            max_versions: settings.max_versions,
            cas_required: settings.cas_required,
            metadata_cas_required: settings.metadata_cas_required,
            delete_version_after: go_duration(Seconds(settings.delete_version_after).duration()),
        }))
    }
}

impl Handle<WriteConfig> for Kv2 {
    type Data = ();
    type Error = KvError;

    async fn handle(&self, request: WriteConfig, _: &Context) -> Result<Reply<()>, KvError> {
        let record = self.store.get(CONFIG_KEY).await?;
        let mut settings: MountSettings = match &record {
            Some(record) => record.json()?,
            None => MountSettings::default(),
        };
        settings.max_versions = request
            .max_versions
            .map_or(settings.max_versions, u64::from);
        settings.cas_required = request.cas_required.unwrap_or(settings.cas_required);
        settings.metadata_cas_required = request
            .metadata_cas_required
            .unwrap_or(settings.metadata_cas_required);
        if let Some(life) = request.delete_version_after {
            settings.delete_version_after = life.0;
        }
        let place = self.store.key(CONFIG_KEY)?;
        Ok(Reply::wrote(Batch::new().put_if(
            place,
            expect(record.as_ref()),
            to_json(&settings)?,
        )))
    }
}
