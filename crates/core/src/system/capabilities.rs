//! `sys/capabilities`, `sys/capabilities-self`, `sys/capabilities-accessor`.

use super::{Sys, System};
use crate::tokens::Token;
use schemars::JsonSchema;
use secretum_api::fields::CommaList;
use secretum_engine::{Context, Fault, Handle, Reply};
use secretum_policy::Acl;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tells what a token may do on paths.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct OfToken {
    /// The token.
    #[serde(default)]
    token: String,
    /// The paths.
    #[serde(default)]
    paths: CommaList,
    /// The older name of `paths`.
    #[serde(default)]
    path: CommaList,
}

/// Tells what the caller may do on paths.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct OfSelf {
    /// The paths.
    #[serde(default)]
    paths: CommaList,
    /// The older name of `paths`.
    #[serde(default)]
    path: CommaList,
}

/// Tells what the token of an accessor may do on paths.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct OfAccessor {
    /// The accessor.
    #[serde(default)]
    accessor: String,
    /// The paths.
    #[serde(default)]
    paths: CommaList,
    /// The older name of `paths`.
    #[serde(default)]
    path: CommaList,
}

/// Capabilities by path; of a single path also under `capabilities`.
type Capabilities = BTreeMap<String, Vec<&'static str>>;

fn capabilities(
    acl: &Acl,
    paths: CommaList,
    path: CommaList,
) -> Result<Reply<Capabilities>, Fault> {
    let paths = if paths.0.is_empty() { path.0 } else { paths.0 };
    let mut answer = Capabilities::new();
    if let [only] = paths.as_slice() {
        answer.insert("capabilities".to_owned(), of(acl, only));
    }
    if paths.is_empty() {
        return Err(Fault::invalid("paths must be supplied"));
    }
    for path in paths {
        let found = of(acl, &path);
        answer.insert(path, found);
    }
    Ok(Reply::data(answer))
}

fn of(acl: &Acl, path: &str) -> Vec<&'static str> {
    acl.capabilities(path.trim_start_matches('/'))
}

async fn acl(
    system: &System,
    token: Option<Arc<Token>>,
    unknown: &'static str,
) -> Result<Arc<Acl>, Fault> {
    let token = token.ok_or_else(|| Fault::invalid(unknown))?;
    system.active.policies.acl(&token.record.policies).await
}

impl Handle<OfToken> for Sys {
    type Data = Capabilities;
    type Error = Fault;

    async fn handle(&self, ask: OfToken, context: &Context) -> Result<Reply<Capabilities>, Fault> {
        let system = System::of(context)?;
        let token = system.active.tokens.find(&ask.token).await?;
        capabilities(
            &*acl(&system, token, "invalid token").await?,
            ask.paths,
            ask.path,
        )
    }
}

impl Handle<OfSelf> for Sys {
    type Data = Capabilities;
    type Error = Fault;

    async fn handle(&self, ask: OfSelf, context: &Context) -> Result<Reply<Capabilities>, Fault> {
        let system = System::of(context)?;
        capabilities(&system.identity()?.acl, ask.paths, ask.path)
    }
}

impl Handle<OfAccessor> for Sys {
    type Data = Capabilities;
    type Error = Fault;

    async fn handle(
        &self,
        ask: OfAccessor,
        context: &Context,
    ) -> Result<Reply<Capabilities>, Fault> {
        let system = System::of(context)?;
        let token = system.active.tokens.find_by_accessor(&ask.accessor).await?;
        capabilities(
            &*acl(&system, token, "invalid accessor").await?,
            ask.paths,
            ask.path,
        )
    }
}
