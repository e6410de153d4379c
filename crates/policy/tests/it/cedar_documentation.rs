//! The examples of the documentation mean what stands below them.

use secretum_api::fields::Seconds;
use secretum_crypto::Timestamp;
use secretum_policy::cedar::{
    Action, Ask, Caller, CallerEntity, Cedar, Circumstances, Document, Resource, Verdict, Wanted,
};
use serde_json::{Map, Value};
use std::time::Duration;

const TEXT: &str = include_str!("../../../../docs/development/cedar-secret-policies.md");

/// The blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let parts = TEXT.split(fence.as_str()).skip(1);
    parts
        .map(|part| part.split_once("\n```").unwrap().0)
        .collect()
}

/// `User::"ann" in Group::"a" in Role::"b"`
fn caller(text: &str) -> Caller {
    let mut parts = text.split(" in ").map(|part| {
        let (kind, id) = part.trim().split_once("::").unwrap();
        (kind, id.trim_matches('"').to_owned())
    });
    let (kind, name) = parts.next().unwrap();
    let (mut roles, mut groups) = (Vec::new(), Vec::new());
    for (kind, name) in parts {
        match kind {
            "Role" => roles.push(name),
            "Group" => groups.push(name),
            other => panic!("{other}"),
        }
    }
    let login = match kind {
        "User" => Some(CallerEntity::User(name.clone())),
        "Service" => Some(CallerEntity::Service(name.clone())),
        "Token" => None,
        other => panic!("{other}"),
    };
    Caller::new(login.as_ref(), &name, &roles, &groups).unwrap()
}

/// `read secret/dev/db ttl=1h path=secret/data/dev/db`
fn decide(cedar: &Cedar, caller: &Caller, asked: &str) -> &'static str {
    let mut words = asked.split_whitespace();
    let (action, id) = (words.next().unwrap(), words.next().unwrap());
    let pairs = words.map(|word| word.split_once('=').unwrap());
    let mut fields: Map<String, Value> = pairs
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect();
    let path = fields.remove("path");
    let path = path.as_ref().and_then(Value::as_str).unwrap_or(id);
    let ttl = fields.get("ttl").and_then(Value::as_str);
    let ttl = ttl.map_or(3_600, |ttl| Seconds::parse(ttl).unwrap().0);
    let (mount, logical) = id.split_once('/').unwrap();
    let ask = Ask {
        caller,
        action: Action::named(action).unwrap(),
        resource: &Resource::new(mount, logical, path, "kv"),
        around: Circumstances {
            ttl: Duration::from_secs(ttl),
            time: Timestamp::from_unix_seconds(1_800_000_000),
            ip: None,
            mfa: false,
            wrap_ttl: Duration::ZERO,
            parameters: Some(&fields),
        },
    };
    match cedar.decide(&ask, Wanted::Both).unwrap() {
        Verdict::Silent => "silent",
        Verdict::Permitted(_) => "permit",
        Verdict::Forbidden(_) => "forbid",
    }
}

#[test]
fn examples_mean_what_stands_below_them() {
    let (documents, decisions) = (blocks("cedar"), blocks("decisions"));
    assert_eq!(documents.len(), decisions.len());
    assert!(documents.len() >= 5);
    for (document, decisions) in documents.into_iter().zip(decisions) {
        let cedar = Cedar::default();
        let read = Document::read("example", document);
        let read = read.unwrap_or_else(|error| panic!("{document}: {error}"));
        assert!(read.warnings().is_empty(), "{:?}", read.warnings());
        cedar.put(read);
        for line in decisions.lines() {
            let columns: Vec<&str> = line.split('|').map(str::trim).collect();
            let found = decide(&cedar, &caller(columns[0]), columns[1]);
            assert_eq!(found, columns[2], "{line}");
        }
    }
}

#[test]
fn every_action_stands_in_the_documentation() {
    for action in Action::all() {
        let name = format!("`{}`", action.name());
        assert!(TEXT.contains(&name), "{name}");
    }
}
