//! Status and health.

use super::answer::{open_json, or_null};
use super::error::ApiError;
use super::{Api, Served};
use crate::rights::Operation;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use secretum_kms::{
    CircuitState, Health, KeyManagementService, KmsError, ResilientKms, SuppliedBy,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long what was found of the health is told again.
const HEALTH_KEPT: Duration = Duration::from_secs(1);

/// What the service is and did: for callers who may see it.
pub(super) async fn status(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, ApiError> {
    let caller = api.admit(&request, Operation::Status)?;
    let _place = api.place()?;
    let kms = api.kms.for_caller(&caller.name);
    let capabilities = kms.capabilities();
    let by = |who: SuppliedBy| match who {
        SuppliedBy::Provider => "provider",
        SuppliedBy::Layer => "service",
    };
    let status = json!({
        "backend": capabilities.provider,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": api.began.elapsed().as_secs(),
        "key": key(&api, &kms).await,
        "capabilities": {
            "rotation": capabilities.rotation,
            "listing": capabilities.listing,
            "context": by(capabilities.context),
            "data_keys": by(capabilities.data_keys),
            "re_encryption": by(capabilities.re_encryption),
        },
        "operations": operations(&api),
        "cache": cache(&api.kms),
        "circuit_breaker": circuit(&api.kms),
        "retries": api.kms.retries(),
        "others": api.watch.others.iter().map(other).collect::<Vec<_>>(),
    });
    Ok(open_json(&status))
}

async fn key(api: &Api, kms: &ResilientKms) -> Value {
    let id = api.default_key.as_str();
    match kms.key_info(&api.default_key).await {
        Ok(info) => json!({
            "id": id,
            "version": info.version.as_str(),
            "enabled": info.enabled,
            "rotated_at": or_null(info.rotated_at.map(|at| at.to_rfc3339())),
        }),
        Err(error) => {
            tracing::warn!(code = error.kind(), %error, "the key of the status was not described");
            json!({ "id": id, "error": error.kind() })
        }
    }
}

fn operations(api: &Api) -> Value {
    let counted = api.kms.metrics().snapshot().operations.into_iter();
    let counted = counted.map(|(operation, metrics)| {
        let total: u64 = metrics.outcomes.values().sum();
        let value = json!({ "total": total, "outcomes": metrics.outcomes });
        (operation.name().to_owned(), value)
    });
    Value::Object(counted.collect::<Map<_, _>>())
}

/// A key service that is asked over gRPC alone.
fn other((serves, kms): &Served) -> Value {
    json!({
        "serves": serves,
        "backend": kms.capabilities().provider,
        "cache": cache(kms),
        "circuit_breaker": circuit(kms),
        "retries": kms.retries(),
    })
}

fn circuit(kms: &ResilientKms) -> Value {
    or_null(kms.circuit_state().map(circuit_name))
}

fn cache(kms: &ResilientKms) -> Value {
    or_null(kms.cache_stats().map(|stats| {
        json!({
            "entries": stats.entries,
            "hits": stats.hits,
            "misses": stats.misses,
            "joined": stats.joined,
            "evictions": stats.evictions,
            "expirations": stats.expirations,
        })
    }))
}

fn circuit_name(state: CircuitState) -> &'static str {
    match state {
        CircuitState::Closed => "closed",
        CircuitState::Open => "open",
        CircuitState::HalfOpen => "half_open",
    }
}

/// Whether the service serves: open to everybody, and so without details.
pub(super) async fn health(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    match last_health(&api).await {
        Ok(health) => Ok(open_json(&json!({
            "status": "healthy",
            "backend": health.provider,
            "notes": health.notes,
        }))),
        Err(error) => Err(unhealthy(&error)),
    }
}

/// However many ask, the key service is asked once at a time, and once within [`HEALTH_KEPT`].
async fn last_health(api: &Api) -> secretum_kms::Result<Health> {
    let mut last = api.health.lock().await;
    if let Some((at, outcome)) = &*last
        && at.elapsed() < HEALTH_KEPT
    {
        return outcome.clone();
    }
    let outcome = api.kms.health_check().await;
    *last = Some((Instant::now(), outcome.clone()));
    outcome
}

fn unhealthy(error: &KmsError) -> ApiError {
    tracing::warn!(code = error.kind(), %error, "the key service is not in good health");
    let message = format!(
        "the key service does not serve ({}); the log of this service says why",
        error.kind()
    );
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unhealthy", message)
}
