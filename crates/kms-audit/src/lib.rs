//! Audit records of key services on the devices that `[service.audit]` of `kms.toml` names, for every program
//! that works by that file.
//!
//! [`AuditConfig`] is what is configured, [`AuditLog`] the devices of a program that is their only writer, and
//! [`Visit`] one that is open while a record is written, for commands of which many run at once. Records
//! are chained and signed by the crate `audit`, with one key (`key`) for all devices.
//!
//! Must not know: what is recorded, who asks for it, and how.

mod config;
mod error;
mod key;
mod log;
mod visit;

pub use config::{AuditConfig, DEVICES_MAX};
pub use error::AuditLogError;
pub use log::AuditLog;
pub use visit::Visit;
