//! Messages: a request in one, and what an answer says.

use super::Version;
use crate::error::shown;
use crate::ttlv::{MESSAGE_BYTES_MAX, Node, Tag};
use crate::{KmsError, Result};

const SUCCESS: u32 = 0;

/// Why a server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The number of its reason; 0 where it gave none.
    pub(crate) reason: u32,
    /// What it said.
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) const ITEM_NOT_FOUND: u32 = 0x01;
    pub(crate) const AUTHENTICATION_NOT_SUCCESSFUL: u32 = 0x03;
    pub(crate) const OPERATION_NOT_SUPPORTED: u32 = 0x05;
    pub(crate) const PERMISSION_DENIED: u32 = 0x0c;
    pub(crate) const INTERNAL_SERVER_ERROR: u32 = 0x2a;
    pub(crate) const OBJECT_DESTROYED: u32 = 0x36;
    pub(crate) const OBJECT_NOT_FOUND: u32 = 0x37;
    pub(crate) const NOT_AUTHORISED: u32 = 0x39;
    pub(crate) const SERVER_LIMIT_EXCEEDED: u32 = 0x3a;

    /// Whether the object is not there.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(
            self.reason,
            Self::ITEM_NOT_FOUND | Self::OBJECT_NOT_FOUND | Self::OBJECT_DESTROYED
        )
    }

    /// Whether a right is missing; a state of the object that does not permit it reads the same.
    pub(crate) fn is_denial(&self) -> bool {
        matches!(self.reason, Self::PERMISSION_DENIED | Self::NOT_AUTHORISED)
    }

    /// The error of a refusal that has no better one.
    pub(crate) fn into_error(self, provider: &'static str) -> KmsError {
        let name = Tag::RESULT_REASON.value_name(self.reason);
        let reason = format!("{} ({})", self.message, name.unwrap_or("no known reason"));
        match self.reason {
            Self::AUTHENTICATION_NOT_SUCCESSFUL => KmsError::Credentials { provider, reason },
            Self::PERMISSION_DENIED | Self::NOT_AUTHORISED => {
                KmsError::AccessDenied { provider, reason }
            }
            Self::SERVER_LIMIT_EXCEEDED => KmsError::Throttled {
                provider,
                retry_after: None,
            },
            Self::INTERNAL_SERVER_ERROR => KmsError::Unavailable {
                provider,
                reason,
                source: None,
            },
            _ => KmsError::Refused { provider, reason },
        }
    }
}

/// A message with one request.
pub(crate) fn request_of(
    version: Version,
    operation: u32,
    payload: impl IntoIterator<Item = Node>,
) -> Node {
    let limit = i32::try_from(MESSAGE_BYTES_MAX).unwrap_or(i32::MAX);
    let header = [
        version.node(),
        Node::integer(Tag::MAXIMUM_RESPONSE_SIZE, limit),
        Node::integer(Tag::BATCH_COUNT, 1),
    ];
    let item = [
        Node::enumeration(Tag::OPERATION, operation),
        Node::structure(Tag::REQUEST_PAYLOAD, payload),
    ];
    Node::structure(
        Tag::REQUEST_MESSAGE,
        [
            Node::structure(Tag::REQUEST_HEADER, header),
            Node::structure(Tag::BATCH_ITEM, item),
        ],
    )
}

/// What a message answers to one request.
///
/// **Errors**: [`KmsError::BadAnswer`], where it is no answer.
pub(crate) fn payload_of(
    provider: &'static str,
    operation: u32,
    answer: Node,
) -> Result<std::result::Result<Node, Refusal>> {
    let bad = |reason: &str| KmsError::BadAnswer {
        provider,
        reason: reason.to_owned(),
    };
    if answer.tag != Tag::RESPONSE_MESSAGE {
        return Err(bad("it is no response of KMIP"));
    }
    let item = answer.into_first(Tag::BATCH_ITEM);
    let item = item.ok_or_else(|| bad("it answers nothing"))?;
    let status = item.enumeration_of(Tag::RESULT_STATUS);
    if status != Some(SUCCESS) {
        let said = item
            .text_of(Tag::RESULT_MESSAGE)
            .unwrap_or("it says no more");
        return Ok(Err(Refusal {
            reason: item.enumeration_of(Tag::RESULT_REASON).unwrap_or(0),
            message: shown(said),
        }));
    }
    // An error of the whole message names no operation; a success does.
    if item.enumeration_of(Tag::OPERATION) != Some(operation) {
        return Err(bad("it answers another request"));
    }
    let payload = item.into_first(Tag::RESPONSE_PAYLOAD);
    Ok(Ok(
        payload.unwrap_or(Node::structure(Tag::RESPONSE_PAYLOAD, []))
    ))
}
