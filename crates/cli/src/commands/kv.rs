//! `kv`: key-value secrets, version 1 and 2.

mod diff;
mod export;
mod find;
mod get;
mod import;
mod list;
pub(crate) mod location;
mod metadata;
mod patch;
mod put;
mod rollback;
mod show;
mod transfer;
mod tree;
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
    /// Copies a secret with all its versions and what is known of it, in one write
    ///
    /// The server does it, within one mount; the engine must be of version 2. The token needs read on
    /// data/ and metadata/ of the source, update on undelete/ of it, create or update on data/ and
    /// metadata/ of the destination, and on copy/DESTINATION.
    ///
    ///   kv copy secret/app/database secret/old/database
    ///   kv copy -mount=secret -cas=3 app/database backup
    #[command(visible_alias = "cp", verbatim_doc_comment)]
    Copy(transfer::Transfer),
    /// Moves a secret with all its versions and what is known of it, in one write
    ///
    /// As kv copy; the token needs delete on metadata/ of the source, too.
    ///
    ///   kv move secret/app/database secret/app/db
    #[command(visible_alias = "mv", verbatim_doc_comment)]
    Move(transfer::Transfer),
    Export(export::Export),
    Import(import::Import),
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
            Self::Copy(command) => command.copy().await,
            Self::Move(command) => command.rename().await,
            Self::Export(command) => command.run().await,
            Self::Import(command) => command.run().await,
            Self::Metadata(command) => command.run().await,
            Self::EnableVersioning(command) => command.run().await,
        }
    }
}
