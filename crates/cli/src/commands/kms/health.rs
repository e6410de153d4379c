//! `kms status`, `kms health`, `kms rotate` and `kms create-key`: the key service itself.

use super::connection::{self, Connection, Opened, Route};
use super::shown;
use crate::arguments::flags::Field;
use crate::failure::Failure;
use crate::output::{Style, console};
use clap::Args;
use secretum_client::{Json, Object};
use secretum_kms::{KeyId, SuppliedBy};
use std::path::Path;

/// Shows which key service is used, its key, and what it can do
///
/// A kms-service tells what it did, too.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Status {
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Asks whether the key service serves; ends with 2 where it does not.
#[derive(Args)]
pub(crate) struct Health {
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Adds a version to a key
///
/// It encrypts from now on; what was encrypted before opens as before. `kms re-encrypt` and `kms
/// migrate` bring that under the new version.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Rotate {
    /// Key to rotate [default: that of the configuration, or of the service]
    #[arg(long, value_name = "NAME", value_parser = connection::key)]
    key: Option<KeyId>,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Makes a key where kms.toml has its keys
///
/// With age it is a key pair in the two files that kms.toml names, the private one for its owner alone
/// (mode 0600); files that are there are not touched. With local it is an entry of the file of keys,
/// which is made where it is not there. Else the key service makes it, AWS under an alias, Google Cloud in
/// a key ring that is there.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CreateKey {
    /// Name of the key [default: that of the configuration]; with age there is none
    #[arg(long, value_name = "NAME", value_parser = connection::key)]
    key: Option<KeyId>,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

impl CreateKey {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let style = self.connection.style(self.field.field.clone())?;
        let made = self.connection.create_key(self.key.as_ref()).await?;
        show(&shown::key(&made), &style)
    }
}

impl Status {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let style = self.connection.style(self.field.field.clone())?;
        let opened = self.connection.open()?;
        let status = match &opened.route {
            Route::Service(remote) => object(remote.status().await?),
            Route::Direct {
                file, audit_key, ..
            } => {
                let mut status = status(&opened, file).await;
                if let Some(key) = audit_key {
                    status.insert("audit_public_key", key.as_str());
                }
                status
            }
        };
        show(&status, &style)
    }
}

impl Health {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let style = self.connection.style(self.field.field.clone())?;
        let opened = self.connection.open()?;
        let health = match &opened.route {
            Route::Service(remote) => remote.health().await?,
            Route::Direct { .. } => {
                let found = opened.kms.health_check().await?;
                let mut health = Object::new();
                health.insert("status", "healthy");
                health.insert("backend", found.provider);
                let notes = found.notes.into_iter().map(Json::from);
                health.insert("notes", Json::Array(notes.collect()));
                health
            }
        };
        show(&health, &style)
    }
}

impl Rotate {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let style = self.connection.style(self.field.field.clone())?;
        let opened = self.connection.open()?;
        let key = opened.key(self.key.as_ref());
        let info = opened.kms.rotate_key(&key).await?;
        show(&shown::key(&info), &style)
    }
}

fn show(object: &Object, style: &Style) -> Result<(), Failure> {
    console::out(&shown::whole(object, style)?)
}

/// The members of an answer that should be an object.
fn object(answer: Json) -> Object {
    match answer {
        Json::Object(object) => object,
        _ => Object::new(),
    }
}

/// What is told of a service that is used from this machine.
async fn status(opened: &Opened, file: &Path) -> Object {
    let capabilities = opened.kms.capabilities();
    let by = |who| match who {
        SuppliedBy::Provider => "provider",
        SuppliedBy::Layer => "secretum",
    };
    let mut abilities = Object::new();
    abilities.insert("rotation", capabilities.rotation);
    abilities.insert("listing", capabilities.listing);
    abilities.insert("context", by(capabilities.context));
    abilities.insert("data_keys", by(capabilities.data_keys));
    abilities.insert("re_encryption", by(capabilities.re_encryption));
    let mut status = Object::new();
    status.insert("backend", capabilities.provider);
    status.insert("version", env!("CARGO_PKG_VERSION"));
    status.insert("config", file.display().to_string());
    status.insert("key", key(opened).await);
    status.insert("capabilities", abilities);
    status
}

/// The default key; of one that is not there, why.
async fn key(opened: &Opened) -> Object {
    let mut key = Object::new();
    key.insert("id", opened.default_key.as_str());
    match opened.kms.key_info(&opened.default_key).await {
        Ok(info) => {
            key.insert("version", info.version.as_str());
            key.insert("enabled", info.enabled);
            let rotated_at = info.rotated_at.map(|at| Json::from(at.to_rfc3339()));
            key.insert("rotated_at", rotated_at.unwrap_or_default());
        }
        Err(error) => key.insert("error", error.to_string()),
    }
    key
}
