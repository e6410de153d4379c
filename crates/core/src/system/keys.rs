//! `sys/seal`, `sys/key-status`, `sys/rotate`.

use super::{Sys, System};
use crate::error::barrier;
use schemars::JsonSchema;
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

    async fn handle(&self, _: ReadKeyStatus, context: &Context) -> Result<Reply<Term>, Fault> {
        let status = System::of(context)?
            .active
            .core
            .barrier
            .key_status()
            .map_err(barrier)?;
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

    async fn handle(&self, _: Rotate, context: &Context) -> Result<Reply<()>, Fault> {
        System::of(context)?
            .active
            .core
            .barrier
            .rotate()
            .await
            .map_err(barrier)?;
        Ok(Reply::empty())
    }
}
