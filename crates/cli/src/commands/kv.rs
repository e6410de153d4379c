//! `kv`: key-value secrets, version 1 and 2.

mod diff;
mod find;
mod get;
mod list;
mod location;
mod metadata;
mod patch;
mod put;
mod rollback;
mod show;
mod upgrade;
mod versions;

use crate::failure::Failure;
use clap::Subcommand;

/// What to do with key-value secrets.
#[derive(Subcommand)]
pub(crate) enum Command {
    Get(get::Get),
    Put(put::Put),
    Patch(patch::Patch),
    List(list::List),
    Scan(list::Scan),
    Find(find::Find),
    Diff(diff::Diff),
    /// Deletes a secret.
    ///
    /// With version 2 it is the newest version, or those named, and they can be brought back by
    /// `kv undelete`.
    Delete(versions::Versions),
    /// Brings deleted versions back.
    #[command(mut_arg("versions", |versions| versions.required(true)))]
    Undelete(versions::Versions),
    /// Removes the data of versions for ever.
    #[command(mut_arg("versions", |versions| versions.required(true)))]
    Destroy(versions::Versions),
    Rollback(rollback::Rollback),
    /// Works with what is known of a secret
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Metadata(metadata::Command),
    EnableVersioning(upgrade::EnableVersioning),
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Get(command) => command.run().await,
            Self::Put(command) => command.run().await,
            Self::Patch(command) => command.run().await,
            Self::List(command) => command.run().await,
            Self::Scan(command) => command.run().await,
            Self::Find(command) => command.run().await,
            Self::Diff(command) => command.run().await,
            Self::Delete(command) => command.delete().await,
            Self::Undelete(command) => command.undelete().await,
            Self::Destroy(command) => command.destroy().await,
            Self::Rollback(command) => command.run().await,
            Self::Metadata(command) => command.run().await,
            Self::EnableVersioning(command) => command.run().await,
        }
    }
}
