//! `sys/capabilities`, `sys/capabilities-self`, `sys/capabilities-accessor`.

use super::{Sys, System};
use crate::decision;
use crate::tokens::Token;
use schemars::JsonSchema;
use secretum_api::fields::CommaList;
use secretum_engine::{Context, Fault, Handle, Reply};
use secretum_policy::Acl;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
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

/// Whose capabilities are asked for, and from where: Cedar's answer may depend on that.
struct Asker<'a> {
    system: &'a System,
    acl: &'a Acl,
    token: &'a Token,
    address: Option<IpAddr>,
}

/// The most paths of a request. Each costs several decisions.
const PATHS_MAX: usize = 500;

async fn capabilities(
    asker: &Asker<'_>,
    paths: CommaList,
    path: CommaList,
) -> Result<Reply<Capabilities>, Fault> {
    let paths = if paths.0.is_empty() { path.0 } else { paths.0 };
    if paths.len() > PATHS_MAX {
        return Err(Fault::invalid(format!(
            "{} paths are more than the {PATHS_MAX} of one request; send several",
            paths.len()
        )));
    }
    let mut answer = Capabilities::new();
    if let [only] = paths.as_slice() {
        answer.insert("capabilities".to_owned(), of(asker, only)?);
    }
    if paths.is_empty() {
        return Err(Fault::invalid("paths must be supplied"));
    }
    for path in paths {
        let found = of(asker, &path)?;
        answer.insert(path, found);
        // Others have their turn in between.
        tokio::task::yield_now().await;
    }
    Ok(Reply::data(answer))
}

fn of(asker: &Asker<'_>, path: &str) -> Result<Vec<&'static str>, Fault> {
    let path = path.trim_start_matches('/');
    let who = (asker.acl, asker.token);
    decision::capabilities(&asker.system.active, who, path, asker.address)
}

/// The same for a token that was looked up, if there is one.
async fn capabilities_of(
    found: Option<Arc<Token>>,
    unknown: &'static str,
    (paths, path): (CommaList, CommaList),
    context: &Context,
) -> Result<Reply<Capabilities>, Fault> {
    let system = System::of(context)?;
    let token = found.ok_or_else(|| Fault::invalid(unknown))?;
    let acl = system.active.policies.acl(&token.record.policies).await?;
    let asker = Asker {
        system: &system,
        acl: &acl,
        token: &token,
        address: context.remote_address,
    };
    capabilities(&asker, paths, path).await
}

impl Handle<OfToken> for Sys {
    type Data = Capabilities;
    type Error = Fault;

    async fn handle(&self, ask: OfToken, context: &Context) -> Result<Reply<Capabilities>, Fault> {
        let system = System::of(context)?;
        let token = system.active.tokens.find(&ask.token).await?;
        capabilities_of(token, "invalid token", (ask.paths, ask.path), context).await
    }
}

impl Handle<OfSelf> for Sys {
    type Data = Capabilities;
    type Error = Fault;

    async fn handle(&self, ask: OfSelf, context: &Context) -> Result<Reply<Capabilities>, Fault> {
        let system = System::of(context)?;
        let identity = system.identity()?;
        let asker = Asker {
            system: &system,
            acl: &identity.acl,
            token: &identity.token,
            address: context.remote_address,
        };
        capabilities(&asker, ask.paths, ask.path).await
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
        capabilities_of(token, "invalid accessor", (ask.paths, ask.path), context).await
    }
}
