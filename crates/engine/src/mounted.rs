//! [`Mounted`]: an engine with its table, its type forgotten.

use crate::input::Input;
use crate::openapi::Document;
use crate::reply::{RawReply, Recorded, Shape};
use crate::{
    Access, Context, Engine, Fault, Lease, LeaseTerms, Matched, RouteTable, RowId, Touch, Verb,
    Writes,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use secretum_crypto::Timestamp;
use secretum_storage::Batch;
use serde_json::value::RawValue;
use std::sync::Arc;

/// What core needs to know of a row.
#[derive(Debug, Clone, Copy)]
pub struct RowFacts {
    /// What it asks of the caller.
    pub access: Access,
    /// The Cedar action, where it is more than the verb.
    pub action: Option<&'static str>,
    /// How the answer stands on the wire.
    pub shape: Shape,
    /// How the answer stands in the audit log.
    pub recorded: Recorded,
    /// The field that gets the whole body.
    pub whole_body: Option<&'static str>,
    /// Whether a write creates or updates by what exists.
    pub upsert: bool,
    /// Whether it does something on other paths than its own.
    pub touches: bool,
    /// Whether it does more for who has `sudo` on its path.
    pub asks_sudo: bool,
}

/// Where a row stands.
#[derive(Debug, Clone, Copy)]
pub struct RowOutline {
    /// The row.
    pub id: RowId,
    /// Its verb.
    pub verb: Verb,
    /// Its path, relative to the mount.
    pub pattern: &'static str,
}

/// An engine that serves a mount.
pub trait Mounted: Send + Sync + std::fmt::Debug {
    /// The word that enables it.
    fn kind(&self) -> &'static str;

    /// Every row, in the order that help shows them.
    fn rows(&self) -> Vec<RowOutline>;

    /// The row for a verb on a path relative to the mount.
    fn find<'p>(&self, verb: Verb, path: &'p str) -> Matched<'p>;

    /// A path relative to the mount without what [`Engine::ASPECTS`] leave off: the path that Cedar
    /// policies know.
    fn logical<'p>(&self, path: &'p str) -> &'p str;

    /// The facts of a row.
    fn facts(&self, row: RowId) -> Option<RowFacts>;

    /// Whether what the captures name exists; `false` for rows that do not ask.
    fn exists<'a>(
        &'a self,
        row: RowId,
        input: &'a Input<'a>,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<bool, Fault>>;

    /// What a request does on other paths than its own; nothing for rows that do not say.
    ///
    /// **Errors**: [`Fault::Invalid`] where the request cannot be read.
    fn touches(&self, row: RowId, input: &Input<'_>) -> Result<Vec<Touch>, Fault>;

    /// Calls the handler of a row.
    fn call<'a>(
        &'a self,
        row: RowId,
        input: &'a Input<'a>,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<RawReply, Fault>>;

    /// Whether its answers may be leases, or tokens.
    fn leases(&self) -> bool;

    /// Ends what a lease stands for.
    fn revoke<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<Batch, Fault>>;

    /// How long a lease that is renewed now may live.
    fn lease_terms<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<LeaseTerms, Fault>>;

    /// Makes what a lease stands for last so many seconds from now.
    fn renew<'a>(&'a self, lease: &'a Lease, seconds: u64) -> BoxFuture<'a, Result<Batch, Fault>>;

    /// Does what a timer was set for.
    fn due<'a>(
        &'a self,
        data: &'a RawValue,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Writes, Fault>>;

    /// Adds the rows to an OpenAPI document, below `prefix`; only those that match `path`, where one
    /// is given.
    fn describe(&self, document: &mut Document, prefix: &str, path: Option<&str>);
}

/// An engine and its table.
pub struct MountedEngine<E> {
    engine: E,
    table: Arc<RouteTable<E>>,
}

impl<E: Engine> MountedEngine<E> {
    /// Puts an engine behind its table.
    pub fn new(engine: E, table: Arc<RouteTable<E>>) -> Self {
        Self { engine, table }
    }
}

impl<E> std::fmt::Debug for MountedEngine<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MountedEngine")
    }
}

fn lost_row<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, Fault>> {
    async { Err(Fault::Internal("the row is of another table".to_owned())) }.boxed()
}

impl<E: Engine> Mounted for MountedEngine<E> {
    fn kind(&self) -> &'static str {
        E::KIND
    }

    fn rows(&self) -> Vec<RowOutline> {
        let outline = |(at, row): (usize, &crate::Row<E>)| RowOutline {
            id: RowId(at),
            verb: row.verb,
            pattern: row.pattern,
        };
        self.table.rows().iter().enumerate().map(outline).collect()
    }

    fn find<'p>(&self, verb: Verb, path: &'p str) -> Matched<'p> {
        self.table.find(verb, path)
    }

    fn logical<'p>(&self, path: &'p str) -> &'p str {
        let behind = |aspect: &&str| match path.strip_prefix(aspect)? {
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        };
        E::ASPECTS.iter().find_map(behind).unwrap_or(path)
    }

    fn facts(&self, row: RowId) -> Option<RowFacts> {
        self.table.row(row).map(|row| RowFacts {
            access: row.access,
            action: row.action,
            shape: row.shape,
            recorded: row.recorded,
            whole_body: row.whole_body,
            upsert: row.exists.is_some(),
            touches: row.touches.is_some(),
            asks_sudo: row.asks_sudo,
        })
    }

    fn exists<'a>(
        &'a self,
        row: RowId,
        input: &'a Input<'a>,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        match self.table.row(row) {
            Some(row) => match row.exists {
                Some(exists) => exists(&self.engine, input, context),
                None => async { Ok(false) }.boxed(),
            },
            None => lost_row(),
        }
    }

    fn call<'a>(
        &'a self,
        row: RowId,
        input: &'a Input<'a>,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<RawReply, Fault>> {
        match self.table.row(row) {
            Some(row) => (row.handle)(&self.engine, input, context),
            None => lost_row(),
        }
    }

    fn touches(&self, row: RowId, input: &Input<'_>) -> Result<Vec<Touch>, Fault> {
        match self.table.row(row).and_then(|row| row.touches) {
            Some(touches) => touches(input),
            None => Ok(Vec::new()),
        }
    }

    fn leases(&self) -> bool {
        E::LEASES
    }

    fn revoke<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<Batch, Fault>> {
        self.engine.revoke(lease).boxed()
    }

    fn lease_terms<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<LeaseTerms, Fault>> {
        self.engine.lease_terms(lease).boxed()
    }

    fn renew<'a>(&'a self, lease: &'a Lease, seconds: u64) -> BoxFuture<'a, Result<Batch, Fault>> {
        self.engine.renew(lease, seconds).boxed()
    }

    fn due<'a>(
        &'a self,
        data: &'a RawValue,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Writes, Fault>> {
        self.engine.due(data, now).boxed()
    }

    fn describe(&self, document: &mut Document, prefix: &str, path: Option<&str>) {
        for row in self.table.rows() {
            let wanted = path.is_none_or(|path| self.table.matches(row, path));
            if wanted {
                document.add(row, prefix);
            }
        }
    }
}
