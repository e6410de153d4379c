//! Leases as engines see them: what they hand out for a time, and end when it is over.

use crate::Fault;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// How long a lease may live. Times are seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseTerms {
    /// The life it begins with and gets anew by each renewal; 0 for the default of its mount.
    pub ttl: u64,
    /// The longest from its issue to its end, however often it is renewed; 0 for that of its mount.
    pub max_ttl: u64,
}

/// A lease that an answer asks for.
pub struct NewLease {
    /// How long it may live.
    pub terms: LeaseTerms,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// What its engine needs to end it, as JSON text. It is stored encrypted.
    pub data: Box<RawValue>,
}

impl NewLease {
    /// A lease that can be renewed.
    ///
    /// **Errors**: [`Fault::Internal`] where `data` cannot be written as JSON.
    pub fn of<T: Serialize>(terms: LeaseTerms, data: &T) -> Result<Self, Fault> {
        Ok(Self {
            terms,
            renewable: true,
            data: to_raw_value(data).map_err(Fault::internal)?,
        })
    }
}

/// What it holds may be secret, and is not shown.
impl std::fmt::Debug for NewLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewLease")
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// A lease as the hooks of its engine get it.
pub struct Lease {
    /// The path that issued it, relative to the mount.
    pub path: String,
    /// What the engine said when it was issued.
    pub terms: LeaseTerms,
    /// What the engine gave to end it, as JSON text.
    pub data: Box<RawValue>,
}

impl Lease {
    /// Reads the engine's own data.
    ///
    /// **Errors**: [`Fault::Internal`] where it is not of this type.
    pub fn data<T: serde::de::DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_str(self.data.get()).map_err(|error| crate::unreadable("lease", &error))
    }
}

/// What it holds may be secret, and is not shown.
impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("path", &self.path)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// A lease as a caller is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct LeaseGrant {
    /// Its id: the path that issued it, and a random word.
    pub id: String,
    /// How long it lives from now, in seconds.
    pub duration_seconds: u64,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// The lease of an answer.
#[derive(Debug)]
pub enum ReplyLease {
    /// It is to be made, with what the handler wants written.
    Wanted(NewLease),
    /// It is there.
    Granted(LeaseGrant),
}
