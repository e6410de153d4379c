//! `auth/token/tidy`.

use super::{System, TokenEngine};
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::Deserialize;
use std::sync::Arc;
use tracing::Instrument;

/// Removes what stands around tokens without a token; goes on behind the answer.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Tidy {}

impl Handle<Tidy> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: Tidy, context: &Context) -> Result<Reply<()>, Fault> {
        let active = Arc::clone(&System::of(context)?.active);
        if !active.tokens.begin_tidying() {
            return Ok(Reply::empty()
                .accepted()
                .warn("Tidy operation already in progress."));
        }
        let own = Arc::clone(&active);
        active.spawn(async move { own.tokens.tidy(&own).await }.in_current_span());
        Ok(Reply::empty().accepted().warn(
            "Tidy operation successfully started. Any information from the operation will be \
             printed to the server's log.",
        ))
    }
}
