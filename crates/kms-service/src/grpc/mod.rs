//! gRPC: the key service of SOPS, and data keys by their identifiers.
//!
//! Owns: messages, status codes of gRPC, and the order of checks, which is that of HTTP: who asks, is
//! there room, the message, may they do this with this key, the call.
//!
//! Must not know: connections and TLS.
//!
//! - `wire` is what `proto/` becomes;
//! - `guard` goes around every call;
//! - `sops` and `data_keys` are the services;
//! - `status` turns errors into status.

mod data_keys;
mod guard;
mod sops;
mod status;
mod wire;

pub(crate) use sops::SopsKeys;

use crate::api::Api;
use crate::callers::Caller;
use crate::data_keys::DataKeys;
use crate::rights::Operation;
use crate::trail::Trail;
use axum::Router;
use std::sync::Arc;
use tonic::{Request, Status};
use wire::key_service_server::KeyServiceServer;
use wire::kms::api_server::ApiServer;

/// The most bytes of a message: a data key and all that a key service puts around it have room.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// What is served, and what calls need.
#[derive(Debug)]
pub(crate) struct Grpc {
    /// Callers, limits and counts are those of the other listener.
    pub(crate) api: Arc<Api>,
    pub(crate) sops: Option<SopsKeys>,
    pub(crate) data_keys: Option<Arc<DataKeys>>,
}

impl Grpc {
    /// Whose keys a method asks for, as far as its name tells.
    fn provider(&self, method: &str) -> &'static str {
        match &self.data_keys {
            Some(keys) if method.starts_with("/kms.API/") => keys.name(),
            _ => "sops",
        }
    }
}

/// Every service that is configured.
pub(crate) fn router(grpc: Arc<Grpc>) -> Router {
    let mut routes = tonic::service::Routes::default();
    if grpc.sops.is_some() {
        let service = KeyServiceServer::new(sops::Service(Arc::clone(&grpc)));
        routes = routes.add_service(service.max_decoding_message_size(MESSAGE_BYTES_MAX));
    }
    if grpc.data_keys.is_some() {
        let service = ApiServer::new(data_keys::Service(Arc::clone(&grpc)));
        routes = routes.add_service(service.max_decoding_message_size(MESSAGE_BYTES_MAX));
    }
    let around = axum::middleware::from_fn_with_state(grpc, guard::guard);
    routes.into_axum_router().layer(around)
}

/// Who asks, as the guard found.
fn caller<T>(request: &Request<T>) -> Result<Arc<Caller>, Status> {
    let caller = request.extensions().get::<Arc<Caller>>();
    caller
        .cloned()
        .ok_or_else(|| Status::unauthenticated("nobody in particular asks"))
}

/// Whether the caller may do this with this key.
fn check(trail: &Trail, caller: &Caller, operation: Operation, key: &str) -> Result<(), Status> {
    trail.key(key);
    if caller.rights.permit(operation, key) {
        return Ok(());
    }
    trail.refusal("forbidden");
    Err(Status::permission_denied(format!(
        "`{}` may not {operation} with the key `{key}`; give it the right in the configuration of the \
         service",
        caller.name
    )))
}
