//! Numbers in the text format of Prometheus.

use super::Api;
use super::error::ApiError;
use crate::rights::Operation;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use secretum_kms::{CircuitState, KeyManagementService, KmsMetricsSnapshot, ResilientKms};
use std::fmt::Write;
use std::sync::Arc;

/// The numbers of the key service, and of the requests.
pub(super) async fn metrics(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, ApiError> {
    api.admit(&request, Operation::Status)?;
    let provider = api.kms.capabilities().provider;
    let mut all = vec![(provider, api.kms.metrics().snapshot())];
    let others = api.watch.other_metrics.iter();
    all.extend(others.map(|(name, metrics)| (*name, metrics.snapshot())));
    let all: Vec<_> = all
        .iter()
        .map(|(name, snapshot)| (*name, snapshot))
        .collect();
    let mut text = KmsMetricsSnapshot::all_to_prometheus(&all);
    numbers(&api, &mut text);
    answers(&api, &mut text);
    grpc_answers(&api, &mut text);
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, text).into_response())
}

/// A number's name, kind, meaning and value.
type Number = (&'static str, &'static str, &'static str, u64);

/// The numbers of every key service, those of one name together.
fn numbers(api: &Api, text: &mut String) {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    let own = ("http", api.kms.clone());
    for (serves, kms) in std::iter::once(&own).chain(&api.watch.others) {
        let provider = kms.capabilities().provider;
        for (name, kind, help, value) in of_service(kms) {
            let head = head(name, kind, help);
            let line = format!(
                "secretum_kms_{name}{{provider=\"{provider}\",serves=\"{serves}\"}} {value}"
            );
            match lines.iter_mut().find(|(known, _)| *known == head) {
                Some((_, lines)) => lines.push(line),
                None => lines.push((head, vec![line])),
            }
        }
    }
    let uptime = api.began.elapsed().as_secs();
    lines.push((
        head("uptime_seconds", "gauge", "Since the start."),
        vec![format!("secretum_kms_uptime_seconds {uptime}")],
    ));
    for (head, lines) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{head}\n{}", lines.join("\n"));
    }
}

fn head(name: &str, kind: &str, help: &str) -> String {
    format!("# HELP secretum_kms_{name} {help}\n# TYPE secretum_kms_{name} {kind}")
}

fn of_service(kms: &ResilientKms) -> Vec<Number> {
    let (gauge, counter) = ("gauge", "counter");
    let mut numbers = vec![(
        "retries_total",
        counter,
        "Tries after the first of a call.",
        kms.retries(),
    )];
    if let Some(stats) = kms.cache_stats() {
        let entries = u64::try_from(stats.entries).unwrap_or(u64::MAX);
        numbers.extend([
            ("cache_entries", gauge, "Data keys that are kept.", entries),
            (
                "cache_hits_total",
                counter,
                "Calls that it answered.",
                stats.hits,
            ),
            (
                "cache_misses_total",
                counter,
                "Calls that went through.",
                stats.misses,
            ),
            (
                "cache_joined_total",
                counter,
                "Calls that waited for another.",
                stats.joined,
            ),
            (
                "cache_evictions_total",
                counter,
                "Data keys that made room.",
                stats.evictions,
            ),
            (
                "cache_expirations_total",
                counter,
                "Data keys that ended.",
                stats.expirations,
            ),
        ]);
    }
    if let Some(state) = kms.circuit_state() {
        let number = match state {
            CircuitState::Closed => 0,
            CircuitState::HalfOpen => 1,
            CircuitState::Open => 2,
        };
        numbers.push((
            "circuit_state",
            gauge,
            "0 closed, 1 half open, 2 open.",
            number,
        ));
    }
    numbers
}

fn answers(api: &Api, text: &mut String) {
    const ANSWERS: &str = "secretum_kms_http_answers_total";
    let _ = writeln!(
        text,
        "# HELP {ANSWERS} Answers by their status.\n# TYPE {ANSWERS} counter"
    );
    for (status, count) in api.answers.lock().iter() {
        let _ = writeln!(text, "{ANSWERS}{{status=\"{status}\"}} {count}");
    }
}

fn grpc_answers(api: &Api, text: &mut String) {
    const ANSWERS: &str = "secretum_kms_grpc_answers_total";
    let _ = writeln!(
        text,
        "# HELP {ANSWERS} Answers over gRPC by their method and code.\n# TYPE {ANSWERS} counter"
    );
    for ((method, code), count) in api.grpc_answers.lock().iter() {
        let _ = writeln!(
            text,
            "{ANSWERS}{{method=\"{method}\",code=\"{code}\"}} {count}"
        );
    }
}
