//! Revoking tokens.

use super::{System, TokenEngine};
use crate::tokens::{Token, TokenKind};
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::Deserialize;

/// Refuses a token that nothing is kept of, and so nothing can end but its time and its parent.
fn check_kind(token: &Token) -> Result<(), Fault> {
    match token.record.kind {
        TokenKind::Service => Ok(()),
        TokenKind::Batch => Err(Fault::invalid("batch tokens cannot be revoked")),
    }
}

/// Ends a token and all that it made.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Revoke {
    /// The token.
    #[serde(default)]
    token: String,
}

/// Ends the caller's token and all that it made.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RevokeSelf {}

/// Ends the token of an accessor and all that it made.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RevokeAccessor {
    /// The accessor.
    #[serde(default)]
    accessor: String,
}

/// Ends a token; what it made stays, without a parent.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RevokeOrphan {
    /// The token.
    #[serde(default)]
    token: String,
}

impl Handle<Revoke> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: Revoke, context: &Context) -> Result<Reply<()>, Fault> {
        if request.token.is_empty() {
            return Err(Fault::invalid("missing token ID"));
        }
        let active = &System::of(context)?.active;
        if let Some(token) = active.tokens.find(&request.token).await? {
            check_kind(&token)?;
        }
        // A token that is not there is revoked already; what it made may still be ending.
        if let Some(id) = active.tokens.id_of(&request.token) {
            active.tokens.revoke(active, &id).await?;
        }
        Ok(Reply::empty())
    }
}

impl Handle<RevokeSelf> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: RevokeSelf, context: &Context) -> Result<Reply<()>, Fault> {
        let system = System::of(context)?;
        let (active, token) = (&system.active, &system.identity()?.token);
        check_kind(token)?;
        active.tokens.revoke(active, &token.id).await?;
        Ok(Reply::empty())
    }
}

impl Handle<RevokeAccessor> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: RevokeAccessor, context: &Context) -> Result<Reply<()>, Fault> {
        let active = &System::of(context)?.active;
        if request.accessor.is_empty() {
            return Err(Fault::invalid("missing accessor"));
        }
        match active.tokens.find_by_accessor(&request.accessor).await? {
            Some(token) => {
                active.tokens.revoke(active, &token.id).await?;
                Ok(Reply::empty())
            }
            None => Ok(Reply::empty().warn("No token found with this accessor")),
        }
    }
}

impl Handle<RevokeOrphan> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: RevokeOrphan, context: &Context) -> Result<Reply<()>, Fault> {
        if request.token.is_empty() {
            return Err(Fault::invalid("missing token ID"));
        }
        let active = &System::of(context)?.active;
        let token = active.tokens.find(&request.token).await?;
        let token = token.ok_or_else(|| Fault::invalid("token to revoke not found"))?;
        active.tokens.revoke_orphan(active, &token.id).await?;
        Ok(Reply::empty())
    }
}
