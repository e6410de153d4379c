//! `auth/token/tidy`.

use super::{System, TokenEngine};
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::Deserialize;
use std::sync::Arc;

/// Removes what stands around tokens without a token; goes on behind the answer.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Tidy {}

impl Handle<Tidy> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: Tidy, context: &Context) -> Result<Reply<()>, Fault> {
        let active = Arc::clone(&System::of(context)?.active);
        let own = Arc::clone(&active);
        let round = async move { own.tokens.tidy(&own).await };
        Ok(active.tokens.tidying.begin_behind(&active, round))
    }
}
