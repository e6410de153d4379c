//! `kms.API`: data keys by their identifiers.

use super::guard::Place;
use super::wire::kms::api_server::Api;
use super::wire::kms::{GetDataKeyRequest, GetDataKeyResponse};
use super::{Grpc, caller, check, status};
use crate::callers::Caller;
use crate::data_keys::{DataKeyError, check_id};
use crate::rights::Operation;
use crate::trail::Trail;
use bytes::Bytes;
use opentelemetry::trace::FutureExt as _;
use secretum_crypto::SecretBytes;
use secretum_kms::KmsOperation;
use std::sync::Arc;
use tonic::{Request, Response, Status};
use tracing::Instrument;
use zeroize::Zeroizing;

/// The service.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<Grpc>);

#[tonic::async_trait]
impl Api for Service {
    async fn get_data_key(
        &self,
        request: Request<GetDataKeyRequest>,
    ) -> Result<Response<GetDataKeyResponse>, Status> {
        let caller = caller(&request)?;
        let place = request.extensions().get::<Place>().cloned();
        let trail = Trail::of(request.extensions());
        let asked = request.into_inner();
        check_id(&asked.data_key_id).map_err(|error| status::data_key(&error))?;
        check(&trail, &caller, Operation::DataKey, &asked.data_key_id)?;
        // It is recorded where it is done.
        trail.is_asked();
        let grpc = Arc::clone(&self.0);
        // It goes on where the caller goes away: what was made is kept, and recorded.
        let work = async move {
            let _place = place;
            key(&grpc, &caller, asked).await
        };
        let done = tokio::spawn(work.in_current_span().with_current_context()).await;
        let key = done.map_err(|_| Status::internal("the call was ended"))??;
        let data_key = Bytes::from_owner(Zeroizing::new(key.into_exposed()));
        Ok(Response::new(GetDataKeyResponse { data_key }))
    }
}

async fn key(
    grpc: &Grpc,
    caller: &Caller,
    asked: GetDataKeyRequest,
) -> Result<SecretBytes, Status> {
    let Some(keys) = &grpc.data_keys else {
        return Err(Status::unimplemented("data keys are not served here"));
    };
    let begun = grpc.api.watch().recorder.begin();
    let len = usize::try_from(asked.length).unwrap_or(usize::MAX);
    let outcome = keys.key(&caller.name, &asked.data_key_id, len).await;
    let asked_for = (Some(caller.name.as_str()), KmsOperation::GenerateDataKey);
    let id = (keys.name(), Some(asked.data_key_id.as_str()));
    let recorded = begun.end(asked_for, id, told(&outcome)).await;
    recorded.map_err(|error| {
        tracing::error!(%error, "the key is withheld");
        Status::internal("the audit record was not taken, so the result is withheld")
    })?;
    outcome.map_err(|error| status::data_key(&error))
}

fn told(outcome: &Result<SecretBytes, DataKeyError>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(DataKeyError::Kms(error)) => error.kind(),
        Err(DataKeyError::Id | DataKeyError::Length | DataKeyError::OtherLength { .. }) => {
            "data_key_spec"
        }
        Err(DataKeyError::Storage(_) | DataKeyError::Record { .. }) => "storage",
        Err(DataKeyError::Crypto(_)) => "crypto",
    }
}
