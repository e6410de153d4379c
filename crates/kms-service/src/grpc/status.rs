//! Errors into the status of gRPC. What the caller can mend is told in full; what only the operator can
//! is logged in full.

use crate::callers::Stranger;
use crate::data_keys::DataKeyError;
use crate::data_keys::storage::StorageError;
use axum::response::Response;
use secretum_kms::KmsError;
use std::time::Duration;
use tonic::{Code, Status};

/// The code of an answer, by its number. What fails is told in the head.
pub(super) fn code(response: &Response) -> i32 {
    let told = response.headers().get(Status::GRPC_STATUS);
    told.map_or(0, |told| i32::from(Code::from_bytes(told.as_bytes())))
}

/// The name of such a code, in audit records.
pub(super) fn word(code: i32) -> &'static str {
    match Code::from_i32(code) {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
        Code::Unknown => "unknown",
    }
}

/// Whether such a code tells of a fault of the service.
pub(super) fn is_ours(code: i32) -> bool {
    matches!(
        Code::from_i32(code),
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

pub(super) fn timeout(after: Duration) -> Status {
    Status::deadline_exceeded(format!(
        "the call was not done within {} ms; try again, or raise timeout",
        after.as_millis()
    ))
}

pub(super) fn stranger(stranger: Stranger) -> Status {
    Status::unauthenticated(match stranger {
        Stranger::NothingShown => {
            "nobody in particular asks; send `authorization: Bearer <token>`, show a client \
             certificate, or have local_rights written in [service.grpc]"
        }
        Stranger::NoBearer => "the metadata `authorization` holds no bearer token",
        Stranger::UnknownToken => {
            "the token is none that this service knows; have its SHA-256 added to the configuration"
        }
        Stranger::UnknownCertificate => {
            "no name in the client certificate is one that this service knows"
        }
    })
}

pub(super) fn kms(error: &KmsError) -> Status {
    let code = match error {
        KmsError::Format(_)
        | KmsError::OtherProvider { .. }
        | KmsError::KeyId { .. }
        | KmsError::Context { .. }
        | KmsError::DataKeySpec { .. }
        | KmsError::NotAuthentic { .. }
        | KmsError::PlaintextTooLarge { .. } => Code::InvalidArgument,
        KmsError::KeyNotFound { .. } | KmsError::KeyVersionNotFound { .. } => Code::NotFound,
        KmsError::KeyExists { .. } => Code::AlreadyExists,
        KmsError::KeyDisabled { .. } | KmsError::OtherRegion { .. } => Code::FailedPrecondition,
        KmsError::Unsupported { .. } => Code::Unimplemented,
        KmsError::Throttled { .. } | KmsError::RateLimited { .. } => Code::ResourceExhausted,
        KmsError::Timeout { .. } => Code::DeadlineExceeded,
        KmsError::CircuitOpen { .. } => Code::Unavailable,
        _ => return operators(error),
    };
    Status::new(code, error.to_string())
}

/// A fault of the service or of what stands behind it: its text names files and addresses.
fn operators(error: &KmsError) -> Status {
    let (code, message) = match error {
        KmsError::Unavailable { .. } => (
            Code::Unavailable,
            "the key service behind this one cannot be reached; try again",
        ),
        KmsError::FileLocked { .. } => (
            Code::Unavailable,
            "another process is changing the keys; nothing was done, try again",
        ),
        KmsError::NotConfigured { .. } => (
            Code::Unimplemented,
            "this service is not configured for it; the log says what is missing",
        ),
        KmsError::AccessDenied { .. } | KmsError::Credentials { .. } | KmsError::Refused { .. } => {
            (
                Code::FailedPrecondition,
                "the key service behind this one did not do it; the log says why",
            )
        }
        _ => (
            Code::Internal,
            "this service could not do it; its log says why",
        ),
    };
    tracing::error!(code = error.kind(), %error, "an operation failed");
    Status::new(code, message)
}

pub(super) fn data_key(error: &DataKeyError) -> Status {
    match error {
        DataKeyError::Id | DataKeyError::Length => Status::invalid_argument(error.to_string()),
        DataKeyError::OtherLength { .. } => Status::failed_precondition(error.to_string()),
        DataKeyError::Kms(KmsError::OtherProvider { found, configured }) => {
            Status::failed_precondition(format!(
                "this data key was wrapped by `{found}`, and this service is configured with \
                 `{configured}`; have it configured with `{found}`"
            ))
        }
        // Of a record, not of what the caller sent.
        DataKeyError::Record { .. }
        | DataKeyError::Kms(KmsError::NotAuthentic { .. } | KmsError::Format(_)) => {
            tracing::error!(%error, "a data key does not open");
            Status::data_loss("the record of this data key does not open; have it restored")
        }
        DataKeyError::Kms(error) => kms(error),
        DataKeyError::Storage(StorageError::Failed { .. } | StorageError::Gone { .. }) => {
            tracing::error!(%error, "a data key was not read or kept");
            Status::unavailable("the storage of data keys does not serve; try again")
        }
        DataKeyError::Storage(_) | DataKeyError::Crypto(_) => {
            tracing::error!(%error, "a data key was not read or kept");
            Status::internal("this service could not do it; its log says why")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_kms::KeyId;

    #[test]
    fn what_only_the_operator_can_mend_is_not_told() {
        let refused = KmsError::AccessDenied {
            provider: "vault",
            reason: "planted".to_owned(),
        };
        let status = kms(&refused);
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(!status.message().contains("planted"));
        let key = KeyId::new("k").unwrap();
        assert_eq!(
            kms(&KmsError::NotAuthentic { key }).code(),
            Code::InvalidArgument
        );
    }

    #[test]
    fn what_can_be_tried_again_is_told_from_what_cannot() {
        let provider = "local";
        let key = KeyId::new("k").unwrap();
        let locked = KmsError::FileLocked {
            path: "/planted".into(),
            after: Duration::from_secs(10),
        };
        let lacking = KmsError::NotConfigured {
            provider,
            what: "a private key",
            remedy: "name it",
        };
        for (error, code) in [
            (locked, Code::Unavailable),
            (KmsError::KeyExists { provider, key }, Code::AlreadyExists),
            (lacking, Code::Unimplemented),
        ] {
            let status = kms(&error);
            assert_eq!(status.code(), code);
            assert!(!status.message().contains("planted"));
        }
    }

    #[test]
    fn a_storage_that_comes_back_is_asked_again() {
        let name = "n".to_owned();
        let gone = data_key(&StorageError::Gone { name }.into());
        assert_eq!(gone.code(), Code::Unavailable);
        let status = data_key(&StorageError::Overwrites.into());
        assert_eq!(status.code(), Code::Internal);
    }

    #[test]
    fn a_record_that_does_not_open_is_a_loss_and_no_fault_of_the_caller() {
        let key = KeyId::new("k").unwrap();
        let lost = data_key(&KmsError::NotAuthentic { key }.into());
        assert_eq!(lost.code(), Code::DataLoss);
    }
}
