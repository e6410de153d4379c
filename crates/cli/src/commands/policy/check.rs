//! `policy check`: whether a token may do something, and which policy says so.

use crate::arguments::flags::{Connection, key_value, pairs};
use crate::failure::{During, Failure};
use crate::output::{console, secret};
use crate::session::Session;
use clap::Args;
use secretum_client::{Json, Request, SecretString};
use serde::Serialize;
use std::collections::BTreeMap;

/// The exit code where the answer is no.
const REFUSED: u8 = 2;

/// Tells whether a token may do something, and which policy decides
///
/// Without -token and -accessor it is one's own token. Nothing is done. Needs sudo on
/// sys/policies/check. The exit code is 0 if it may, 2 if not.
///
///   policy check read secret/data/app
///   policy check -accessor=… update secret/data/app
///   policy check -token=- -parameter=ttl=2h update auth/token/create
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Check {
    /// create, read, update, patch, delete, list or scan
    operation: String,
    /// Path of the API, as policies in HCL have it
    path: String,
    /// The token; - for standard input
    #[arg(long, conflicts_with = "accessor")]
    token: Option<String>,
    /// The accessor of the token
    #[arg(long)]
    accessor: Option<String>,
    /// A field that the request would have; may be given more than once
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = key_value)]
    parameters: Vec<(String, String)>,
    /// Where the request would come from
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Serialize)]
struct Body<'a> {
    operation: &'a str,
    path: &'a str,
    token: &'a str,
    accessor: &'a str,
    ip: &'a str,
    parameters: BTreeMap<String, String>,
}

impl Check {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let token = self.token.as_deref();
        let token = token.map(|token| session.secret(Some(token), "Token"));
        let token = token.transpose()?;
        let body = Body {
            operation: &self.operation,
            path: &self.path,
            token: token.as_ref().map_or("", SecretString::expose),
            accessor: self.accessor.as_deref().unwrap_or_default(),
            ip: self.ip.as_deref().unwrap_or_default(),
            parameters: pairs(self.parameters),
        };
        let request = Request::put("sys/policies/check").json(&body)?;
        let answer = session.client.act(request).await;
        let answer = answer.during(|| "checking policies".to_owned())?;
        let answer = answer
            .ok_or_else(|| Failure::Missing("the server does not say what it thinks".to_owned()))?;
        let is_allowed = answer.data.get("allowed").and_then(Json::as_bool) == Some(true);
        if session.style.is_table() {
            show(&answer.data, is_allowed)?;
        } else {
            secret::show(&answer, &session.style)?;
        }
        if is_allowed {
            Ok(())
        } else {
            Err(Failure::Silent(REFUSED))
        }
    }
}

/// What decided, in a line each.
fn show(data: &Json, is_allowed: bool) -> Result<(), Failure> {
    let text = |of: &Json, key: &str| {
        let found = of.get(key).and_then(Json::as_str);
        found.unwrap_or_default().to_owned()
    };
    let verdict = if is_allowed { "allowed" } else { "refused" };
    let (operation, path) = (text(data, "operation"), text(data, "path"));
    console::line(&format!("{verdict}: {operation} {path}"))?;
    console::line(&format!("  needs     {}", text(data, "access")))?;
    let (action, resource) = (text(data, "cedar_action"), text(data, "cedar_resource"));
    console::line(&format!(
        "  in Cedar  action == Action::{action:?}, resource == Secret::{resource:?}"
    ))?;
    for (key, language) in [("policy", "HCL"), ("cedar_policy", "Cedar")] {
        let Some(said) = data.get(key).filter(|said| !said.is_null()) else {
            continue;
        };
        let id = text(said, "policy_id");
        let id = if id.is_empty() {
            "no rule of it".to_owned()
        } else {
            id
        };
        console::line(&format!("  {language:<9} {}: {id}", text(said, "decision")))?;
    }
    Ok(())
}
