//! The body of a request, on its way to a handler.

use futures::FutureExt;
use schemars::JsonSchema;
use secretum_api::fields::{CommaList, Count, JsonObject, KeyValues, Seconds};
use secretum_crypto::{SystemClock, SystemRng};
use secretum_engine::{
    Access, Body, Context, Engine, Fault, Handle, Input, Matched, Mounted, MountedEngine, Reply,
    RouteTable, Routes, Verb,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Answers what it was sent.
struct Echo;

#[derive(Deserialize, Serialize, JsonSchema)]
struct Fields {
    path: String,
    #[serde(default)]
    data: Option<JsonObject>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    number: Option<u64>,
    #[serde(default)]
    flag: Option<bool>,
    #[serde(default)]
    ttl: Option<Seconds>,
    #[serde(default)]
    count: Option<Count>,
    #[serde(default)]
    list: Option<CommaList>,
    #[serde(default)]
    pairs: Option<KeyValues>,
}

const FIELDS: [&str; 9] = [
    "path", "data", "text", "number", "flag", "ttl", "count", "list", "pairs",
];

#[derive(Deserialize, Serialize, JsonSchema)]
struct Whole {
    path: String,
    #[serde(default)]
    all: Option<JsonObject>,
}

impl Engine for Echo {
    const KIND: &'static str = "echo";
    const ABOUT: &'static str = "Answers what it was sent.";

    fn routes() -> Routes<Self> {
        Routes::new()
            .on::<Fields>(Verb::Write, "fields/{path+}", Access::Token)
            .on::<Whole>(Verb::Write, "whole/{path+}", Access::Token)
            .whole_body("all")
    }
}

impl Handle<Fields> for Echo {
    type Data = Fields;
    type Error = Fault;

    async fn handle(&self, request: Fields, _: &Context) -> Result<Reply<Fields>, Fault> {
        Ok(Reply::data(request))
    }
}

impl Handle<Whole> for Echo {
    type Data = Whole;
    type Error = Fault;

    async fn handle(&self, request: Whole, _: &Context) -> Result<Reply<Whole>, Fault> {
        Ok(Reply::data(request))
    }
}

const PATH: &str = "the/path";

/// A body reaches its handler with the text of its numbers, never names another path, and each field
/// that nobody knows is told.
pub(crate) fn run(data: &[u8]) {
    let Ok(raw) = serde_json::from_slice::<&RawValue>(data) else {
        return;
    };
    let Ok(body) = Body::new(raw) else {
        assert!(!raw.get().starts_with('{'));
        return;
    };
    if let Some((answer, _)) = ask("whole", body) {
        assert_eq!(answer.get("all").map(|all| all.get()), Some(raw.get()));
    }
    let Some((answer, warnings)) = ask("fields", body) else {
        return;
    };
    let path = answer.get("path").map(|path| path.get().trim_matches('"'));
    assert_eq!(path, Some(PATH));
    let Ok(sent) = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw.get()) else {
        unreachable!("what was answered was read");
    };
    let sent_data = sent.get("data").map_or("null", |data| data.get());
    assert_eq!(answer.get("data").map(|data| data.get()), Some(sent_data));
    if let Some(text) = sent.get("text").filter(|text| is_number(text)) {
        // A number where a text is asked for is its text.
        let seen: Option<String> = answer
            .get("text")
            .and_then(|text| serde_json::from_str(text.get()).ok());
        assert_eq!(seen.as_deref(), Some(text.get()));
    }
    for (name, value) in sent {
        let unknown = !FIELDS.contains(&name.as_str()) && value.get() != "null";
        assert!(!unknown || warnings.contains(&name), "`{name}` is not told");
    }
}

fn is_number(raw: &RawValue) -> bool {
    raw.get()
        .starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

type Answer = BTreeMap<String, Box<RawValue>>;

/// What the engine answers, and its warnings.
fn ask(folder: &str, body: Body<'_>) -> Option<(Answer, String)> {
    thread_local! {
        static ENGINE: Option<MountedEngine<Echo>> = RouteTable::new(Echo::routes())
            .ok()
            .map(|table| MountedEngine::new(Echo, Arc::new(table)));
    }
    let path = format!("{folder}/{PATH}");
    ENGINE.with(|engine| {
        let engine = engine.as_ref()?;
        let Matched::Row(row, captures) = engine.find(Verb::Write, &path) else {
            unreachable!("there is a row");
        };
        let input = Input {
            captures,
            query: &[],
            body: Some(body),
            whole_body: engine.facts(row)?.whole_body,
        };
        let reply = engine.call(row, &input, &context()).now_or_never();
        match reply {
            Some(Ok(reply)) => {
                let answer = serde_json::from_str(reply.data?.get());
                Some((answer.unwrap_or_default(), reply.warnings.concat()))
            }
            Some(Err(Fault::Invalid(_))) => None,
            other => unreachable!("{other:?}"),
        }
    })
}

/// What surrounds a request of nobody.
pub(crate) fn context() -> Context {
    Context {
        request_id: "request".to_owned(),
        operation: Verb::Write.operation(),
        mount_path: Arc::from("mount/"),
        caller: None,
        has_sudo: false,
        remote_address: None,
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
        system: None,
    }
}
