//! `kms`: encrypts, decrypts and makes data keys, by the library or by a `kms-service`.
//!
//! [`connection`] turns flags and environment into a service, either one behind the same trait:
//! `kms.toml` opened here, or [`remote`], which speaks to a `kms-service`. The commands stand above
//! that trait and know neither. [`audit`] has what is done here recorded. [`pipe`] is where bytes come from and go to, [`output`] writes a file
//! whole or not at all, [`form`] tells what a file is by its beginning.
//!
//! Must not know: how a key service does its work, and the vault.

mod audit;
mod behind;
mod connection;
mod data_key;
mod encrypt;
mod export;
mod file;
mod form;
mod health;
mod interrupt;
mod migrate;
mod output;
mod pipe;
mod re_encrypt;
mod remote;
mod shown;

use crate::failure::Failure;
use clap::Subcommand;

/// What to do with a key service.
#[derive(Subcommand)]
pub(crate) enum Command {
    Encrypt(encrypt::Encrypt),
    Decrypt(encrypt::Decrypt),
    GenerateKey(data_key::GenerateKey),
    DecryptKey(data_key::DecryptKey),
    EncryptFile(file::EncryptFile),
    DecryptFile(file::DecryptFile),
    ReEncrypt(re_encrypt::ReEncrypt),
    Export(export::Export),
    CreateKey(health::CreateKey),
    Rotate(health::Rotate),
    Status(health::Status),
    Health(health::Health),
    Migrate(migrate::Migrate),
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Encrypt(command) => command.run().await,
            Self::Decrypt(command) => command.run().await,
            Self::GenerateKey(command) => command.run().await,
            Self::DecryptKey(command) => command.run().await,
            Self::EncryptFile(command) => command.run().await,
            Self::DecryptFile(command) => command.run().await,
            Self::ReEncrypt(command) => command.run().await,
            Self::Export(command) => command.run().await,
            Self::CreateKey(command) => command.run().await,
            Self::Rotate(command) => command.run().await,
            Self::Status(command) => command.run().await,
            Self::Health(command) => command.run().await,
            Self::Migrate(command) => command.run().await,
        }
    }
}
