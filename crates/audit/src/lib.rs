//! Audit: what was asked, by whom, and what was answered, one JSON object a line.
//!
//! A [`Subject`] borrows from a request, a [`Record`] from its answer. Each [`Device`] writes them in its own words:
//! every sensitive string becomes an HMAC under the device's key ([`conceal()`]), and each line is
//! chained to the one before. What is below that is a sink: where bytes go. The [`Broker`] lets a
//! request go on once one device took its record. A [`Queue`] takes records to the thread that writes them,
//! those of other logs too.
//!
//! Owns: records, their concealment, the chain, devices. Must not know: policies, engines, storage.

mod broker;
mod chain;
mod conceal;
#[cfg(test)]
mod conformance;
mod device;
mod elide;
mod file;
mod form;
mod head;
mod options;
mod queue;
mod record;
mod sink;
pub mod verify;
mod writer;

pub use broker::{Broker, Entry, Pending};
pub use conceal::conceal;
pub use device::{Device, DeviceConfig, Sent};
pub use head::HeadState;
pub use options::DeviceOptions;
pub use queue::{Answer, Batches, Lines, PATIENCE, Queue};
pub use record::{
    AuthPart, AuthWords, Decision, ErrorPart, Issued, Record, RecordedHeader, RequestPart,
    ResponsePart, Subject,
};

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What to do about a file that cannot be written, behind the system's words.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "; free some space there, and it goes on"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "; check the mount and the permissions"
        }
        _ => "",
    }
}

/// Why a record could not be written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// Devices are enabled, and none of them took the record.
    #[error("no audit device took the record")]
    NoDeviceTookIt,
    /// The device has more waiting than it may.
    #[error("the audit device `{device}` does not keep up")]
    Busy {
        /// Path of the device.
        device: String,
    },
    /// The device did not answer in time.
    #[error("the audit device `{device}` did not answer in time")]
    TimedOut {
        /// Path of the device.
        device: String,
    },
    /// The device's file cannot be written.
    #[error("the audit file `{}` cannot be written: {source}{}", path.display(), advice(source))]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// What the device writes to does not take it.
    #[error("nothing can be written to `{place}`: {reason}")]
    Unreachable {
        /// The address, path or name.
        place: String,
        /// Why, in the words of the system.
        reason: String,
    },
    /// The device's file is being written by another.
    #[error(
        "the audit file `{}` is still being written, by a device that was removed or by another \
         process: try again, or choose another file",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// An option of a device is wrong.
    #[error("{0}")]
    Option(String),
}
