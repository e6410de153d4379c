//! `auth/token`: creating, looking up, renewing and revoking tokens.

mod create;
mod facts;
mod lookup;
mod renew;
mod revoke;
mod roles;
mod tidy;

use super::System;
use crate::tokens::Token;
use create::{Create, CreateByRole, CreateOrphan};
use lookup::{ListAccessors, Lookup, LookupAccessor, LookupSelf};
use renew::{Renew, RenewAccessor, RenewSelf};
use revoke::{Revoke, RevokeAccessor, RevokeOrphan, RevokeSelf};
use roles::{DeleteRole, ListRoles, ReadRole, WriteRole};
use secretum_engine::{Access, Engine, Fault, Routes, Verb};
use std::sync::Arc;

/// The engine of `auth/token`.
#[derive(Debug)]
pub(crate) struct TokenEngine;

impl Engine for TokenEngine {
    const KIND: &'static str = "token";
    const ABOUT: &'static str = "Token based credentials";

    fn routes() -> Routes<Self> {
        Routes::new()
            .on::<Create>(Verb::Write, "create", Access::Token)
            .asking_sudo()
            .on::<CreateOrphan>(Verb::Write, "create-orphan", Access::Token)
            .asking_sudo()
            .on::<CreateByRole>(Verb::Write, "create/{role_name}", Access::Token)
            .asking_sudo()
            .on::<ListRoles>(Verb::List, "roles", Access::Token)
            .on::<ReadRole>(Verb::Read, "roles/{name}", Access::Token)
            .upsert::<WriteRole>("roles/{name}", Access::Token)
            .on::<DeleteRole>(Verb::Delete, "roles/{name}", Access::Token)
            .on::<Lookup>(Verb::Write, "lookup", Access::Token)
            .on::<Lookup>(Verb::Read, "lookup", Access::Token)
            .on::<LookupSelf>(Verb::Read, "lookup-self", Access::Token)
            .on::<LookupSelf>(Verb::Write, "lookup-self", Access::Token)
            .on::<LookupAccessor>(Verb::Write, "lookup-accessor", Access::Token)
            .on::<Renew>(Verb::Write, "renew", Access::Token)
            .on::<RenewSelf>(Verb::Write, "renew-self", Access::Token)
            .on::<RenewAccessor>(Verb::Write, "renew-accessor", Access::Token)
            .on::<Revoke>(Verb::Write, "revoke", Access::Token)
            .on::<RevokeSelf>(Verb::Write, "revoke-self", Access::Token)
            .on::<RevokeAccessor>(Verb::Write, "revoke-accessor", Access::Token)
            .on::<RevokeOrphan>(Verb::Write, "revoke-orphan", Access::Sudo)
            .on::<tidy::Tidy>(Verb::Write, "tidy", Access::Token)
            .on::<ListAccessors>(Verb::List, "accessors", Access::Sudo)
    }
}

/// The token of a text, or the caller's own where the text is empty.
async fn named(system: &System, text: &str) -> Result<(Arc<Token>, String), Fault> {
    if text.is_empty() {
        let own = system.token.as_ref().map(|token| token.expose().to_owned());
        let token = &system.identity()?.token;
        return Ok((
            system.active.tokens.newest(token).await?,
            own.unwrap_or_default(),
        ));
    }
    let token = system
        .active
        .tokens
        .find(text)
        .await?
        .ok_or(Fault::BadToken)?;
    Ok((token, text.to_owned()))
}

async fn by_accessor(system: &System, accessor: &str) -> Result<Arc<Token>, Fault> {
    if accessor.is_empty() {
        return Err(Fault::invalid("missing accessor"));
    }
    let token = system.active.tokens.find_by_accessor(accessor).await?;
    token.ok_or_else(|| Fault::invalid("invalid accessor"))
}
