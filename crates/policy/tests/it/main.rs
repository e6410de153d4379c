//! Policies: what is read, what is decided, and properties of any rules.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cedar_decisions;
mod cedar_documentation;
mod cedar_properties;
mod cedar_translation;
mod corpus;
mod decisions;
mod mounts;
mod parameters;
mod priority;
mod properties;
mod reading;
mod reference;
mod templates;

use secretum_policy::{AccessRequest, Acl, Decision, Operation, Policy};
use std::sync::Arc;

fn policy(name: &str, text: &str) -> Arc<Policy> {
    Arc::new(Policy::parse(name, text).unwrap())
}

fn acl(texts: &[&str]) -> Acl {
    let named = texts.iter().enumerate();
    let policies: Vec<_> = named
        .map(|(at, text)| policy(&format!("p{at}"), text))
        .collect();
    Acl::new(&policies)
}

fn ask(acl: &Acl, operation: Operation, path: &str) -> Decision {
    acl.decide(&AccessRequest {
        path,
        operation,
        parameters: None,
        wrap_ttl: None,
    })
}
