//! Looking tokens up, and listing them.

use super::facts::TokenFacts;
use super::{System, TokenEngine, by_accessor, named};
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Listing, Reply, listing};
use serde::Deserialize;

/// Describes a token.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Lookup {
    /// The token; the caller's own where it is missing.
    #[serde(default)]
    token: String,
}

/// Describes the caller's token.
#[derive(Deserialize, JsonSchema)]
pub(super) struct LookupSelf {
    /// Accepted for compatibility.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    token: String,
}

/// Describes the token of an accessor.
#[derive(Deserialize, JsonSchema)]
pub(super) struct LookupAccessor {
    /// The accessor.
    #[serde(default)]
    accessor: String,
}

/// Lists the accessors of all tokens.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListAccessors {}

async fn facts(context: &Context, token: &str) -> Result<Reply<TokenFacts>, Fault> {
    let system = System::of(context)?;
    let (token, id) = named(&system, token).await?;
    Ok(Reply::data(TokenFacts::of(&token, id, context.clock.now())))
}

impl Handle<Lookup> for TokenEngine {
    type Data = TokenFacts;
    type Error = Fault;

    async fn handle(&self, ask: Lookup, context: &Context) -> Result<Reply<TokenFacts>, Fault> {
        facts(context, &ask.token).await
    }
}

impl Handle<LookupSelf> for TokenEngine {
    type Data = TokenFacts;
    type Error = Fault;

    async fn handle(&self, _: LookupSelf, context: &Context) -> Result<Reply<TokenFacts>, Fault> {
        facts(context, "").await
    }
}

impl Handle<LookupAccessor> for TokenEngine {
    type Data = TokenFacts;
    type Error = Fault;

    async fn handle(
        &self,
        ask: LookupAccessor,
        context: &Context,
    ) -> Result<Reply<TokenFacts>, Fault> {
        let token = by_accessor(&*System::of(context)?, &ask.accessor).await?;
        Ok(Reply::data(TokenFacts::of(
            &token,
            String::new(),
            context.clock.now(),
        )))
    }
}

impl Handle<ListAccessors> for TokenEngine {
    type Data = Listing;
    type Error = Fault;

    async fn handle(&self, _: ListAccessors, context: &Context) -> Result<Reply<Listing>, Fault> {
        listing(System::of(context)?.active.tokens.accessors().await?)
    }
}
