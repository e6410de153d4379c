//! `policy check`: whether a token may do something, and which policy says so.

use crate::arguments::flags::{Connection, duration, key_value};
use crate::failure::{During, Failure};
use crate::output::{console, secret};
use crate::session::Session;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use secretum_client::{Json, Request, SecretString};
use secretum_policy::Operation;
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
///   policy check -parameter=source=app create secret/copy/app2
///   policy check -parameter='tags:=["a", 1]' -for-wrap-ttl=60s create secret/app
///
/// Where a request does something on other paths too, as a copy does, each has to be allowed.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Check {
    /// What would be done
    #[arg(ignore_case = true, value_parser = operation())]
    operation: String,
    /// Path of the API, as policies in HCL have it
    path: String,
    /// The token; - for standard input
    #[arg(long, conflicts_with = "accessor")]
    token: Option<String>,
    /// The accessor of the token
    #[arg(long)]
    accessor: Option<String>,
    /// A field that the request would have: a text, or with := any JSON; may be given more than once
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, Json)>,
    /// Where the request would come from
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// The life that the wrapped answer of the request would have
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    for_wrap_ttl: Option<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    wrap_ttl: Option<&'a str>,
    parameters: BTreeMap<String, Json>,
}

/// Reads one of the words that policies have, in whatever case.
fn operation() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(Operation::ALL.map(Operation::name))
        .map(|word: String| word.to_lowercase())
}

/// Reads `name=text` or `name:=json`.
fn parameter(text: &str) -> Result<(String, Json), String> {
    let (name, value) = key_value(text)?;
    match name.strip_suffix(':') {
        Some(name) if !name.is_empty() => {
            let value = Json::parse(&value)
                .map_err(|error| format!("what stands behind := is no JSON: {error}"))?;
            Ok((name.to_owned(), value))
        }
        _ => Ok((name, Json::from(value))),
    }
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
            wrap_ttl: self.for_wrap_ttl.as_deref(),
            parameters: self.parameters.into_iter().collect(),
        };
        let request = Request::put("sys/policies/check").json(&body)?;
        let answer = session.client.act(request).await;
        let answer = answer.during(|| "checking policies".to_owned())?;
        let answer = answer
            .ok_or_else(|| Failure::Missing("the server does not say what it thinks".to_owned()))?;
        let is_allowed = is_allowed(&answer.data);
        if session.style.is_table() {
            show(&answer.data)?;
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
fn show(data: &Json) -> Result<(), Failure> {
    console::line(&verdict(data))?;
    console::line(&format!("  needs     {}", text(data, "access")))?;
    let (action, resource) = (text(data, "cedar_action"), text(data, "cedar_resource"));
    console::line(&format!(
        "  in Cedar  action == Action::{action:?}, resource == Secret::{resource:?}"
    ))?;
    show_deciding(data)?;
    if let Some(most) = data.get("page_limit").and_then(Json::as_u64) {
        console::line(&format!(
            "  in pages  of at most {most} names: with limit, or it is refused"
        ))?;
    }
    let touches = data.get("touches").and_then(Json::as_array);
    for touch in touches.into_iter().flatten() {
        console::line(&format!("touches, {}", verdict(touch)))?;
        show_deciding(touch)?;
    }
    Ok(())
}

fn is_allowed(of: &Json) -> bool {
    of.get("allowed").and_then(Json::as_bool) == Some(true)
}

fn verdict(of: &Json) -> String {
    let word = if is_allowed(of) { "allowed" } else { "refused" };
    format!("{word}: {} {}", text(of, "operation"), text(of, "path"))
}

fn show_deciding(of: &Json) -> Result<(), Failure> {
    for (key, language) in [("policy", "HCL"), ("cedar_policy", "Cedar")] {
        let Some(said) = of.get(key).filter(|said| !said.is_null()) else {
            continue;
        };
        let id = match text(said, "policy_id") {
            "" => "no rule of it",
            id => id,
        };
        console::line(&format!("  {language:<9} {}: {id}", text(said, "decision")))?;
    }
    Ok(())
}

fn text<'j>(of: &'j Json, key: &str) -> &'j str {
    of.get(key).and_then(Json::as_str).unwrap_or_default()
}
