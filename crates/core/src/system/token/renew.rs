//! Renewing tokens.

use super::{System, TokenEngine, by_accessor, named};
use crate::tokens::{Token, auth};
use schemars::JsonSchema;
use secretum_api::fields::Seconds;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::Deserialize;

/// Gives a token a longer life.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Renew {
    /// The token; the caller's own where it is missing.
    #[serde(default)]
    token: String,
    /// The life wanted.
    #[serde(default)]
    increment: Seconds,
}

/// Gives the caller's token a longer life.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RenewSelf {
    /// The life wanted.
    #[serde(default)]
    increment: Seconds,
    /// Accepted for compatibility.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    token: String,
}

/// Gives the token of an accessor a longer life.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RenewAccessor {
    /// The accessor.
    #[serde(default)]
    accessor: String,
    /// The life wanted.
    #[serde(default)]
    increment: Seconds,
}

/// Renews a token; what is answered names it by `text`.
fn renewed(
    system: &System,
    token: &Token,
    text: String,
    wanted: Seconds,
) -> Result<Reply<()>, Fault> {
    // The mount that issued it says how long, as it is tuned now.
    let lives = system.active.mounts.lives_at(&token.record.path);
    let renewal = system.active.tokens.renew(token, wanted.0, lives)?;
    let auth = auth(text, &renewal.record, renewal.given.seconds);
    let reply = Reply::renewed(auth).with_writes(renewal.writes);
    Ok(renewal.given.warning.into_iter().fold(reply, Reply::warn))
}

impl Handle<Renew> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: Renew, context: &Context) -> Result<Reply<()>, Fault> {
        let system = System::of(context)?;
        let (token, text) = named(&system, &request.token)
            .await
            .map_err(|fault| match fault {
                Fault::BadToken => Fault::invalid("token not found"),
                other => other,
            })?;
        renewed(&system, &token, text, request.increment)
    }
}

impl Handle<RenewSelf> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: RenewSelf, context: &Context) -> Result<Reply<()>, Fault> {
        let system = System::of(context)?;
        let (token, text) = named(&system, "").await?;
        renewed(&system, &token, text, request.increment)
    }
}

impl Handle<RenewAccessor> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: RenewAccessor, context: &Context) -> Result<Reply<()>, Fault> {
        let system = System::of(context)?;
        let token = by_accessor(&system, &request.accessor).await?;
        renewed(&system, &token, String::new(), request.increment)
    }
}
