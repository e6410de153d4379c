//! `kv metadata`: what is known of a secret, and how long its versions stay.

use super::location::{Location, Place};
use super::show;
use crate::arguments::flags::{self, Connection, Field};
use crate::commands::generic::nothing_at;
use crate::commands::outcome;
use crate::failure::{During, Failure};
use crate::output::secret;
use crate::session::Session;
use clap::{Args, Subcommand};
use secretum_client::kv::MetadataSettings;
use std::collections::BTreeMap;

/// What to do with what is known of a secret.
#[derive(Subcommand)]
pub(crate) enum Command {
    Get(Get),
    Put(Put),
    Patch(Patch),
    Delete(Delete),
}

/// Shows what is known of a secret and its versions.
#[derive(Args)]
pub(crate) struct Get {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Sets what is known of a secret.
///
/// Custom metadata that is given takes the place of all that was there.
#[derive(Args)]
pub(crate) struct Put {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    connection: Connection,
}

/// Changes some of what is known of a secret, and leaves the rest.
#[derive(Args)]
pub(crate) struct Patch {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    settings: Settings,
    /// Key of the custom metadata to remove; may be given more than once
    #[arg(long, value_name = "KEY")]
    remove_custom_metadata: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Removes a secret with all its versions and all that is known of it, for ever.
#[derive(Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    connection: Connection,
}

/// How a secret's versions are kept.
#[derive(Args)]
#[group(skip)]
pub(crate) struct Settings {
    /// Whether a write must say which version it follows
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    cas_required: Option<flags::GoBool>,
    /// How many versions are kept; 0 for the engine's choice
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    max_versions: Option<i64>,
    /// How long a version lives; 0s for ever
    #[arg(long, value_name = "DURATION")]
    delete_version_after: Option<String>,
    /// Custom metadata; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = flags::key_value)]
    custom_metadata: Vec<(String, String)>,
}

impl Settings {
    fn metadata(self, removed: Vec<String>) -> MetadataSettings {
        let mut custom: BTreeMap<String, Option<String>> = self
            .custom_metadata
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect();
        custom.extend(removed.into_iter().map(|key| (key, None)));
        MetadataSettings {
            cas_required: self.cas_required.map(|value| value.0),
            // Vault takes a negative number for no change.
            max_versions: self
                .max_versions
                .and_then(|count| u64::try_from(count).ok()),
            delete_version_after: self.delete_version_after,
            custom_metadata: (!custom.is_empty()).then_some(custom),
        }
    }
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Get(command) => command.run().await,
            Self::Put(command) => command.run().await,
            Self::Patch(command) => command.run().await,
            Self::Delete(command) => command.run().await,
        }
    }
}

impl Get {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::with_field(&self.connection, self.field)?;
        let location = find(&self.place, &session).await?;
        let path = location.api_path("metadata");
        let found = session
            .client
            .kv2(&location.mount)
            .metadata(&location.path)
            .await;
        let found = found
            .during(|| format!("reading {path}"))?
            .ok_or_else(|| nothing_at(&path))?;
        let style = &session.style;
        if style.field.is_none() && style.is_table() && found.wrap_info.is_none() {
            show::metadata(&found, &path)
        } else {
            secret::show(&found, style)
        }
    }
}

impl Put {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let location = find(&self.place, &session).await?;
        let settings = self.settings.metadata(Vec::new());
        let kv = session.client.kv2(&location.mount);
        let written = kv.put_metadata(&location.path, &settings).await;
        outcome::written(written, &session, &location.api_path("metadata"))
    }
}

impl Patch {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let location = find(&self.place, &session).await?;
        let settings = self.settings.metadata(self.remove_custom_metadata);
        let kv = session.client.kv2(&location.mount);
        let written = kv.patch_metadata(&location.path, &settings).await;
        outcome::written(written, &session, &location.api_path("metadata"))
    }
}

impl Delete {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let location = find(&self.place, &session).await?;
        let path = location.api_path("metadata");
        let deleted = session
            .client
            .kv2(&location.mount)
            .delete_metadata(&location.path)
            .await;
        outcome::deleted(deleted, &session, &path)
    }
}

async fn find(place: &Place, session: &Session) -> Result<Location, Failure> {
    let location = place.find(session).await?;
    location.needs_version_2("kv metadata")?;
    Ok(location)
}
