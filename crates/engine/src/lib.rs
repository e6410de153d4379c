//! The framework that secret engines and auth methods are written against.
//!
//! An engine is a type with [`Engine::routes`]: one row per verb and path, each naming the access it
//! needs and the type of its request. The framework finds the row of a request, reads captures,
//! query and body into that type, calls [`Handle::handle`], and turns types and their doc comments
//! into help and OpenAPI. A handler reads through its [`MountStorage`] and returns a [`Reply`]; what
//! it wants written stands in the reply and is committed by core.
//!
//! Owns: routes, requests, replies, an engine's view of storage. Must not know: any engine, HTTP,
//! where engines are mounted.

#[cfg(feature = "conformance")]
pub mod conformance;
mod context;
mod fault;
mod input;
mod kind;
mod lease;
mod list_page;
mod mounted;
pub mod openapi;
mod operation;
mod pattern;
mod reply;
mod routes;
mod store;
mod table;
mod timer;
mod touch;

pub use context::{Caller, Context};
pub use fault::{Fault, RateFacts};
pub use input::{BODY_FIELDS_MAX, Body, Input, QUERY_PAIRS_MAX, read_object};
pub use kind::{Class, EngineKind, Setup};
pub use lease::{Lease, LeaseGrant, LeaseTerms, NewLease, ReplyLease};
pub use list_page::ListPage;
pub use mounted::{Mounted, MountedEngine, RowFacts, RowOutline};
pub use operation::{Access, Operation, Verb};
pub use pattern::RouteError;
pub use reply::{Listing, RawReply, Recorded, Reply, Shape, Standing, listing};
pub use routes::{Routes, Row, RowId};
pub use store::{LIST_NAMES_MAX, LIST_PAGE, MountStorage, Record, expect, to_json, unreadable};
pub use table::{Matched, RouteTable};
pub use timer::{Timer, TimerChange, TimerPlace, Writes, rearm};
pub use touch::{Touch, Touches};

use secretum_crypto::Timestamp;
use secretum_storage::Batch;
use serde_json::value::RawValue;
use std::future::Future;

/// A secret engine or an auth method.
pub trait Engine: Send + Sync + Sized + 'static {
    /// The word that enables it: `kv`, `transit`, `approle`.
    const KIND: &'static str;

    /// One sentence for listings and help.
    const ABOUT: &'static str;

    /// Whether its answers may be leases, or tokens: before its mount goes, these are ended.
    const LEASES: bool = false;

    /// Beginnings of paths, in whole segments, that say what about a secret is meant, not which secret: the
    /// resource that Cedar policies know goes without the first that fits.
    const ASPECTS: &'static [&'static str] = &[];

    /// The rows of the engine.
    fn routes() -> Routes<Self>;

    /// Ends what a lease stands for, and says what to write with its end. It may be called again for
    /// one that it ended before, and for one whose answer nobody got.
    fn revoke(&self, lease: &Lease) -> impl Future<Output = Result<Batch, Fault>> + Send {
        let reason = format!("`{}` cannot end the lease of `{}`", Self::KIND, lease.path);
        async { Err(Fault::Internal(reason)) }
    }

    /// How long a lease that is renewed now may live.
    fn lease_terms(&self, lease: &Lease) -> impl Future<Output = Result<LeaseTerms, Fault>> + Send {
        let terms = lease.terms;
        async move { Ok(terms) }
    }

    /// Makes what a lease stands for last so many seconds from now, and says what to write with that.
    fn renew(
        &self,
        _lease: &Lease,
        _seconds: u64,
    ) -> impl Future<Output = Result<Batch, Fault>> + Send {
        async { Ok(Batch::new()) }
    }

    /// Does what a [`Timer`] was set for, and says what to write. It may be called again for one that
    /// it was called for before, and for one whose answer nobody got; never before its time.
    fn due(
        &self,
        _data: &RawValue,
        _now: Timestamp,
    ) -> impl Future<Output = Result<Writes, Fault>> + Send {
        let reason = format!("`{}` sets no timers", Self::KIND);
        async { Err(Fault::Internal(reason)) }
    }
}

/// Answers one type of request.
pub trait Handle<R>: Engine {
    /// What the answer's `data` holds; `()` where it holds nothing.
    type Data: serde::Serialize + schemars::JsonSchema;

    /// Why it refuses.
    type Error: Into<Fault>;

    /// Reads what it needs and says what to answer and what to write. It commits nothing itself, and
    /// it may be called again where another request won the race for a key.
    fn handle(
        &self,
        request: R,
        context: &Context,
    ) -> impl Future<Output = Result<Reply<Self::Data>, Self::Error>> + Send;
}

/// Tells whether a write would create or update, for rows made by [`Routes::upsert`].
pub trait Exists<R>: Handle<R> {
    /// Whether what the captures name exists already.
    fn exists(
        &self,
        input: &Input<'_>,
        context: &Context,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}
