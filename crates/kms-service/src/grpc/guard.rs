//! What goes around every call: who asks, its place among those at once, its time limit, its line in the
//! log, and its count.

use super::Grpc;
use super::status;
use crate::callers::{Caller, PeerNames, Stranger};
use crate::rights::Operation;
use crate::trail::{Attended, Trail};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{StatusCode, Version};
use opentelemetry::KeyValue;
use secretum_crypto::{SystemRng, random_uuid};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;
use tracing::Instrument;

/// Every method, as its path, and its name in counts.
const METHODS: [&str; 3] = [
    "/KeyService/Encrypt",
    "/KeyService/Decrypt",
    "/kms.API/GetDataKey",
];

/// A place among the calls at once. What goes on after its call was answered keeps it.
#[derive(Clone)]
pub(super) struct Place(#[expect(dead_code, reason = "it is held")] Arc<OwnedSemaphorePermit>);

/// Around a call.
pub(super) async fn guard(
    State(grpc): State<Arc<Grpc>>,
    mut request: Request,
    next: Next,
) -> Response {
    if !is_grpc(&request) {
        // A page in a browser could send anything else.
        let mut refused = Response::new(Body::from("this listener speaks gRPC\n"));
        *refused.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return refused;
    }
    let began = Instant::now();
    let id = random_uuid(&SystemRng).unwrap_or_default();
    let path = request.uri().path();
    let known = METHODS.into_iter().find(|method| *method == path);
    let method = known.unwrap_or("other");
    let watch = grpc.api.watch();
    let provider = grpc.provider(method);
    let attended = Attended::begin(request.extensions_mut(), &watch.recorder, provider);
    let trail = attended.trail().clone();
    if let Some(known) = known {
        trail.operation(operation(known));
    }
    let traced = watch.traces.as_ref();
    let traced = traced.map(|traces| traces.begin(request.headers()));
    let span = tracing::info_span!("call", id = %id);
    let limit = grpc.api.limits().timeout;
    let run = async {
        let _place = match admit(&grpc, &mut request, &trail) {
            Ok(place) => place,
            Err(refused) => return refused.into_http(),
        };
        match tokio::time::timeout(limit, next.run(request)).await {
            Ok(response) => response,
            Err(_) => status::timeout(limit).into_http(),
        }
    };
    let run = run.instrument(span.clone());
    let response = match &traced {
        Some(traced) => traced.around(run).await,
        None => run.await,
    };
    let code = status::code(&response);
    let refused = (code != 0).then(|| status::word(code));
    attended.answered(refused).instrument(span.clone()).await;
    span.in_scope(|| {
        tracing::info!(
            method,
            code,
            microseconds = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
    });
    if let Some(traced) = traced {
        let of_request = KeyValue::new("kms.request_id", id);
        traced.describe(method.trim_start_matches('/').to_owned(), [of_request]);
        let told = KeyValue::new("rpc.grpc.status_code", i64::from(code));
        traced.end(told, status::is_ours(code));
    }
    grpc.api.count_grpc(method, code);
    response
}

fn is_grpc(request: &Request) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.map(|kind| kind.as_bytes());
    request.version() == Version::HTTP_2
        && kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// Finds out who asks, tells the service, and takes a place.
fn admit(grpc: &Grpc, request: &mut Request, trail: &Trail) -> Result<Place, Status> {
    let caller = identify(grpc, request).map_err(|stranger| {
        trail.refusal(stranger.code());
        status::stranger(stranger)
    })?;
    trail.caller(&caller);
    request.extensions_mut().insert(caller);
    let place = grpc.api.try_place().ok_or_else(|| {
        Status::resource_exhausted("there are too many operations at once; try again in a second")
    })?;
    let place = Place(Arc::new(place));
    request.extensions_mut().insert(place.clone());
    Ok(place)
}

/// What a method asks for.
fn operation(method: &str) -> Operation {
    match method {
        "/KeyService/Encrypt" => Operation::Encrypt,
        "/KeyService/Decrypt" => Operation::Decrypt,
        _ => Operation::DataKey,
    }
}

fn identify(grpc: &Grpc, request: &Request) -> Result<Arc<Caller>, Stranger> {
    let header = request.headers().get(AUTHORIZATION);
    let header = header.map(|header| header.as_bytes());
    let peer = request.extensions().get::<PeerNames>();
    let callers = grpc.api.callers();
    match (callers.local(), header, peer) {
        (Some(local), None, None) => Ok(Arc::clone(local)),
        _ => callers.identify(header, peer),
    }
}
