//! What the providers that speak KMIP share: messages, objects, and how keys are used.
//!
//! - `version` is the versions of the protocol;
//! - `message` puts a request into a message, and takes the answer out of one;
//! - `attributes` is what is said of an object, in the form of each version;
//! - `objects` finds the object that a key stands for;
//! - `sealed` is the bytes that are kept;
//! - `server` is the operations, one function each;
//! - `keys` wraps, unwraps and rotates.
//!
//! Must not know: how a message gets to the server, which an [`Exchange`] does.
//!
//! # Keys and objects
//!
//! A key is a name, which objects of the server have; each of its versions is an object, and the version
//! is the object's unique identifier. It stands in each ciphertext, and decrypts it whatever became of
//! the name. A server with the operation ReKey moves the name to the new object. For one without, the
//! new object gets the name and a number, `name@2`, and stands in the object group `secretum-kms:name`;
//! the highest number encrypts.

mod attributes;
mod keys;
mod message;
mod objects;
#[cfg(test)]
pub(crate) mod pairs;
mod sealed;
mod server;
mod version;

pub(crate) use self::keys::KmipKeys;
#[cfg(feature = "kmip")]
pub(crate) use self::message::Refusal;
pub(crate) use self::message::{payload_of, request_of};
pub(crate) use self::version::Version;

use crate::Result;
use crate::ttlv::Node;
use async_trait::async_trait;
use std::fmt;

/// The way to a server.
#[async_trait]
pub(crate) trait Exchange: Send + Sync + fmt::Debug {
    /// The provider's name.
    fn provider(&self) -> &'static str;

    /// The version that the server and this library speak.
    async fn version(&self) -> Result<Version>;

    /// Sends a message, and gives the answer. What is repeatable may be sent twice.
    async fn exchange(&self, message: &Node, repeatable: bool) -> Result<Node>;
}
