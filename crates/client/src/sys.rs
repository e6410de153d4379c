//! [`Sys`]: the system's own calls: seal, mounts, policies, audit, capabilities, leases.

mod audit;
mod capabilities;
mod ceremonies;
mod leases;
mod mounts;
mod policies;
mod seal;
mod wrapping;

pub use audit::{AuditDevice, EnableAudit};
pub use ceremonies::{Ceremony, NewShares, Rekey, RekeyStatus, RootStatus};
pub use leases::Leases;
pub use mounts::{EnableMount, Mount, MountConfig, MountOf, TuneMount};
pub use policies::Language;
pub use seal::{Health, Init, InitAnswer, KeyStatus, Leader, SealStatus};

use crate::Client;

/// The system's own calls.
#[derive(Debug, Clone, Copy)]
pub struct Sys<'a> {
    client: &'a Client,
}

impl<'a> Sys<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }
}
