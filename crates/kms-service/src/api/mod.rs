//! HTTP: requests into calls of the key management service, and their results into answers.
//!
//! Owns: paths, bodies, status codes, the codes of errors, and the order of checks: who asks, may they
//! do this at all, is there room, the body, may they do this with this key, the call.
//!
//! Must not know: connections and TLS. It is told whose certificate a connection showed by a
//! [`PeerNames`] among the request's extensions.

mod answer;
mod body;
mod documentation;
mod error;
mod fields;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod guard;
mod metrics;
mod operations;
mod status;
mod unread;

use crate::callers::{Caller, Callers, PeerNames};
use crate::config::Limits;
use crate::recorder::Recorder;
use crate::rights::Operation;
use crate::trail::Trail;
use axum::Router;
use axum::extract::Request;
use axum::routing::{get, post};
use error::ApiError;
use http::header::{AUTHORIZATION, HOST};
use parking_lot::{Mutex, RwLock};
use secretum_kms::{Health, KeyId, KmsMetrics, ResilientKms};
use secretum_process::Traces;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of all bodies together that are in memory at once.
const BODIES_BYTES_MAX: usize = 256 << 20;

/// What is counted of bodies: 1 KiB, so that a permit's number stays small.
const BODY_UNIT_BYTES: usize = 1024;

/// A key service, and what is served by it.
pub(crate) type Served = (&'static str, ResilientKms);

/// Who is told of requests, and what is told of key services besides that of `[kms]`.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) recorder: Recorder,
    pub(crate) traces: Option<Arc<Traces>>,
    /// Counts, by the provider.
    pub(crate) other_metrics: Vec<(&'static str, Arc<KmsMetrics>)>,
    /// Everything else, by what they serve.
    pub(crate) others: Vec<Served>,
}

/// What requests need.
#[derive(Debug)]
pub(crate) struct Api {
    kms: ResilientKms,
    default_key: KeyId,
    callers: RwLock<Arc<Callers>>,
    is_open: bool,
    limits: Limits,
    places: Arc<Semaphore>,
    body_room: Arc<Semaphore>,
    began: Instant,
    answers: Mutex<BTreeMap<u16, u64>>,
    grpc_answers: Mutex<BTreeMap<(&'static str, i32), u64>>,
    watch: Watch,
    health: tokio::sync::Mutex<Option<(Instant, secretum_kms::Result<Health>)>>,
}

impl Api {
    pub(crate) fn new(
        kms: ResilientKms,
        default_key: KeyId,
        callers: Callers,
        limits: Limits,
        watch: Watch,
    ) -> Self {
        let is_open = callers.are_everybody();
        let room = BODIES_BYTES_MAX.max(limits.body_bytes_max) / BODY_UNIT_BYTES + 1;
        Self {
            kms,
            default_key,
            callers: RwLock::new(Arc::new(callers)),
            is_open,
            limits,
            places: Arc::new(Semaphore::new(limits.requests_max)),
            body_room: Arc::new(Semaphore::new(room)),
            began: Instant::now(),
            answers: Mutex::new(BTreeMap::new()),
            grpc_answers: Mutex::new(BTreeMap::new()),
            watch,
            health: tokio::sync::Mutex::new(None),
        }
    }

    /// Knows other callers from now on.
    pub(crate) fn set_callers(&self, callers: Callers) {
        *self.callers.write() = Arc::new(callers);
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    pub(crate) fn callers(&self) -> Arc<Callers> {
        Arc::clone(&self.callers.read())
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Counts an answer over gRPC, by its method and code.
    pub(crate) fn count_grpc(&self, method: &'static str, code: i32) {
        *self.grpc_answers.lock().entry((method, code)).or_default() += 1;
    }

    /// Who asks, where they may do such a thing at all.
    fn admit(&self, request: &Request, operation: Operation) -> Result<Arc<Caller>, ApiError> {
        let trail = Trail::of(request.extensions());
        trail.operation(operation);
        let caller = self.identify(request)?;
        trail.caller(&caller);
        if caller.rights.permit_any(operation) {
            return Ok(caller);
        }
        Err(ApiError::forbidden(&caller, operation, None))
    }

    fn identify(&self, request: &Request) -> Result<Arc<Caller>, ApiError> {
        if self.is_open {
            check_host(request)?;
        }
        let header = request.headers().get(AUTHORIZATION);
        let peer = request.extensions().get::<PeerNames>();
        let header = header.map(|header| header.as_bytes());
        Ok(self.callers().identify(header, peer)?)
    }

    /// A place among the operations at once.
    fn place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let overloaded = || ApiError::overloaded("operations at once");
        self.try_place().ok_or_else(overloaded)
    }

    /// The same, where there is one.
    pub(crate) fn try_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }
}

/// Where nobody proves who they are, a page in a browser on this machine must not get in by a name of
/// its own that resolves to loopback.
fn check_host(request: &Request) -> Result<(), ApiError> {
    let header = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let host = header.or(request
        .uri()
        .authority()
        .map(|authority| authority.as_str()));
    let name = host.map(|host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    });
    let name = name.map(|name| name.trim_matches(['[', ']']));
    let is_loopback = |name: &str| {
        let address: Option<std::net::IpAddr> = name.parse().ok();
        name.eq_ignore_ascii_case("localhost") || address.is_some_and(|ip| ip.is_loopback())
    };
    match name {
        Some(name) if is_loopback(name) => Ok(()),
        _ => Err(ApiError::host()),
    }
}

/// Every path.
pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/api/v1/kms/encrypt", post(operations::encrypt))
        .route("/api/v1/kms/decrypt", post(operations::decrypt))
        .route("/api/v1/kms/generate-key", post(operations::generate_key))
        .route("/api/v1/kms/decrypt-key", post(operations::decrypt_key))
        .route("/api/v1/kms/re-encrypt", post(operations::re_encrypt))
        .route("/api/v1/kms/rotate", post(operations::rotate))
        .route("/api/v1/kms/status", get(status::status))
        .route("/api/v1/kms/health", get(status::health))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(documentation::openapi))
        .route("/", get(documentation::page))
        .fallback(|| async { ApiError::no_such_path() })
        .method_not_allowed_fallback(|| async { ApiError::method() })
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&api),
            guard::guard,
        ))
        .with_state(api)
}
