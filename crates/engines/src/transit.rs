//! Transit: keys that never leave the vault, and encryption with them.
//!
//! A key has versions: encryption takes the newest, and a ciphertext names the one that opens it. What is
//! known of a key stands at `key/<name>`, and the bytes of each version at `version/<id>/<number>`, so
//! that a request reads two records. `id` is one that no other key ever has, of its name or not.

mod cipher;
mod crypt;
mod datakey;
mod error;
mod export;
mod key;
mod keys;
mod rotation;

pub use error::TransitError;

use key::{Key, KeyName};
use secretum_crypto::{RngRef, Timestamp};
use secretum_engine::{
    Access, Engine, EngineKind, Fault, MountStorage, RouteError, Routes, Setup, Verb, Writes,
};
use serde_json::value::RawValue;

/// A transit mount.
#[derive(Debug)]
pub struct Transit {
    store: MountStorage,
    rng: RngRef,
}

/// The kind `transit`.
pub(crate) fn kind() -> Result<EngineKind, RouteError> {
    EngineKind::secret::<Transit>(Transit::build)
}

impl Transit {
    /// Builds the engine of a mount.
    ///
    /// **Errors**: none of its own; the signature is that of every engine.
    pub fn build(setup: Setup) -> Result<Self, Fault> {
        Ok(Self {
            store: setup.store,
            rng: setup.rng,
        })
    }

    /// What is known of a key.
    ///
    /// **Errors**: [`TransitError::NoKey`].
    async fn key(&self, name: &KeyName) -> Result<Key, TransitError> {
        self.find(name).await?.ok_or(TransitError::NoKey)
    }
}

impl Engine for Transit {
    const KIND: &'static str = "transit";
    const ABOUT: &'static str = "Encryption with keys that stay in the vault";
    const ASPECTS: &'static [&'static str] = &[
        "keys",
        "encrypt",
        "decrypt",
        "rewrap",
        "datakey/plaintext",
        "datakey/wrapped",
        "export/encryption-key",
    ];

    fn routes() -> Routes<Self> {
        Routes::new()
            .on::<keys::ReadKey>(Verb::Read, "keys/{name}", Access::Token)
            .on::<keys::MakeKey>(Verb::Write, "keys/{name}", Access::Token)
            .on::<keys::DeleteKey>(Verb::Delete, "keys/{name}", Access::Token)
            .on::<keys::ListKeys>(Verb::List, "keys", Access::Token)
            .on::<keys::ConfigureKey>(Verb::Write, "keys/{name}/config", Access::Token)
            .on::<rotation::RotateKey>(Verb::Write, "keys/{name}/rotate", Access::Token)
            .action("rotate")
            .on::<rotation::TrimKey>(Verb::Write, "keys/{name}/trim", Access::Token)
            .upsert::<crypt::Encrypt>("encrypt/{name}", Access::Token)
            .action("encrypt")
            .on::<crypt::Decrypt>(Verb::Write, "decrypt/{name}", Access::Token)
            .action("decrypt")
            .on::<crypt::Rewrap>(Verb::Write, "rewrap/{name}", Access::Token)
            .action("rewrap")
            .on::<datakey::MakeDataKey>(Verb::Write, "datakey/{plaintext}/{name}", Access::Token)
            .action("generate")
            .on::<export::ExportKey>(Verb::Read, "export/{type}/{name}", Access::Token)
            .action("export")
            .on::<export::ExportKey>(Verb::Read, "export/{type}/{name}/{version}", Access::Token)
            .action("export")
    }

    async fn due(&self, data: &RawValue, now: Timestamp) -> Result<Writes, Fault> {
        self.rotate_when_due(data, now).await
    }
}
