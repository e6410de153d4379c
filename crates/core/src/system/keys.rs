//! `sys/seal`, `sys/key-status`, `sys/rotate`, `sys/rotate/config`.

use super::Sys;
use crate::error::barrier;
use schemars::JsonSchema;
use secretum_api::fields::{Count, Seconds};
use secretum_barrier::RotationConfig;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};

/// Seals the vault: ends every request, then forgets the keys.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Seal {}

/// Tells the active term of the keyring.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadKeyStatus {}

/// Adds a term to the keyring; what is written from now on is encrypted under it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Rotate {}

/// Tells when the keyring gets a new term by itself.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadRotation {}

/// Changes when the keyring gets a new term by itself; what is left out stays as it is.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct WriteRotation {
    /// Encryptions of one term, from 1,000,000 to 3,865,470,566.
    #[serde(default)]
    max_operations: Option<Count>,
    /// Age of a term, at least 24 hours; 0 for any.
    #[serde(default)]
    interval: Option<Seconds>,
    /// Whether the age counts.
    #[serde(default)]
    enabled: Option<bool>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Rotation {
    max_operations: u64,
    /// Seconds.
    interval: u64,
    enabled: bool,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Term {
    term: u32,
    install_time: String,
    encryptions: u64,
}

impl Handle<Seal> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: Seal, _: &Context) -> Result<Reply<()>, Fault> {
        self.core()?.seal_soon();
        Ok(Reply::empty())
    }
}

impl Handle<ReadKeyStatus> for Sys {
    type Data = Term;
    type Error = Fault;

    async fn handle(&self, _: ReadKeyStatus, _: &Context) -> Result<Reply<Term>, Fault> {
        let status = self.core()?.barrier.key_status().map_err(barrier)?;
        Ok(Reply::data(Term {
            term: status.term,
            install_time: status.install_time,
            encryptions: status.encryptions,
        }))
    }
}

impl Handle<Rotate> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: Rotate, _: &Context) -> Result<Reply<()>, Fault> {
        self.core()?.barrier.rotate().await.map_err(barrier)?;
        Ok(Reply::empty())
    }
}

impl Handle<ReadRotation> for Sys {
    type Data = Rotation;
    type Error = Fault;

    async fn handle(&self, _: ReadRotation, _: &Context) -> Result<Reply<Rotation>, Fault> {
        let rotation = self.core()?.barrier.rotation_config().map_err(barrier)?;
        Ok(Reply::data(Rotation {
            max_operations: rotation.max_operations,
            interval: rotation.interval_seconds,
            enabled: rotation.enabled,
        }))
    }
}

impl Handle<WriteRotation> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: WriteRotation, _: &Context) -> Result<Reply<()>, Fault> {
        let core = self.core()?;
        let held = core.barrier.rotation_config().map_err(barrier)?;
        let config = RotationConfig {
            max_operations: request.max_operations.map_or(held.max_operations, |n| n.0),
            interval_seconds: request.interval.map_or(held.interval_seconds, |ttl| ttl.0),
            enabled: request.enabled.unwrap_or(held.enabled),
        };
        core.barrier
            .set_rotation_config(config)
            .await
            .map_err(barrier)?;
        Ok(Reply::empty())
    }
}
