//! [`Subject`]: an engine in its mount, and every call that the suite makes of it.

use super::schema::Schemas;
use super::{Broken, broken};
use crate::pattern::{Pattern, Segment};
use crate::{
    Body, Context, EngineKind, Fault, Input, MountStorage, Mounted, Operation, RawReply, RowId,
    RowOutline, Setup,
};
use async_trait::async_trait;
use secretum_crypto::{SystemRng, TestClock};
use secretum_storage::memory::MemoryStorage;
use secretum_storage::{
    Batch, ChangeFeed, Entry, Key, LeadershipWatch, Page, PageOf, Result, Revision, Storage,
};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Where the mount stands in the storage.
pub(super) const PREFIX: &str = "mount/conformance/";

/// A mounted engine.
pub(super) struct Subject {
    pub(super) engine: Arc<dyn Mounted>,
    pub(super) schemas: Schemas,
    storage: Arc<ReadOnly>,
}

/// A request to a row.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) row: RowOutline,
    pub(super) captures: Vec<(&'static str, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
}

impl Ask {
    /// A request without query and body whose captures hold names.
    pub(super) fn of(row: RowOutline) -> std::result::Result<Self, Broken> {
        let pattern = Pattern::parse(row.pattern).map_err(|error| Broken(error.to_string()))?;
        let captures = pattern.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::One(name) => Some((*name, "one".to_owned())),
            Segment::Rest { name, .. } => Some((*name, "one/two".to_owned())),
        });
        Ok(Self {
            row,
            captures: captures.collect(),
            query: Vec::new(),
            body: None,
        })
    }

    /// The path that it stands for.
    pub(super) fn path(&self) -> std::result::Result<String, Broken> {
        let pattern =
            Pattern::parse(self.row.pattern).map_err(|error| Broken(error.to_string()))?;
        let mut captures = self.captures.iter();
        let segments = pattern.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => *text,
            Segment::One(_) | Segment::Rest { .. } => {
                captures.next().map_or("", |(_, text)| text.as_str())
            }
        });
        Ok(segments.collect::<Vec<_>>().join("/"))
    }

    /// The same with a body.
    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

impl Subject {
    /// An empty mount.
    pub(super) fn mount(
        kind: &EngineKind,
        version: &'static str,
    ) -> std::result::Result<Self, Broken> {
        let storage = Arc::new(ReadOnly {
            memory: MemoryStorage::new(),
            commits: AtomicUsize::new(0),
        });
        let prefix = Key::try_from(PREFIX).map_err(|error| Broken(error.to_string()))?;
        let setup = Setup {
            store: MountStorage::new(Arc::clone(&storage) as _, prefix),
            options: BTreeMap::from([("version".to_owned(), version.to_owned())]),
            default_lease_ttl: Duration::from_secs(3_600),
            clock: Arc::new(TestClock::default()),
            rng: Arc::new(SystemRng),
        };
        let engine = kind
            .build(setup)
            .map_err(|fault| Broken(fault.to_string()))?;
        Ok(Self {
            schemas: Schemas::of(&*engine),
            engine,
            storage,
        })
    }

    /// Calls a row, twice: as core does where another request won the race for a key.
    pub(super) async fn call(
        &self,
        ask: &Ask,
    ) -> std::result::Result<std::result::Result<RawReply, Fault>, Broken> {
        let first = self.call_once(ask).await?;
        let again = self.call_once(ask).await?;
        let steps = |answer: &std::result::Result<RawReply, Fault>| {
            answer.as_ref().ok().map(|reply| reply.writes.steps().len())
        };
        if steps(&first) != steps(&again) {
            return broken(format!("called again, it answers otherwise: {ask:?}"));
        }
        Ok(again)
    }

    async fn call_once(
        &self,
        ask: &Ask,
    ) -> std::result::Result<std::result::Result<RawReply, Fault>, Broken> {
        let raw = self.raw(ask)?;
        let Some(facts) = self.engine.facts(ask.row.id) else {
            return broken("a row has no facts");
        };
        let body = raw.as_deref().map(Body::new).transpose();
        let input = Input {
            captures: ask
                .captures
                .iter()
                .map(|(name, text)| (*name, text.as_str()))
                .collect(),
            query: &ask.query,
            body: body.map_err(|fault| Broken(fault.to_string()))?,
            whole_body: facts.whole_body,
        };
        let mut context = context(ask);
        // As core does.
        if facts.upsert
            && let Ok(false) = self.engine.exists(ask.row.id, &input, &context).await
        {
            context.operation = Operation::Create;
        }
        let answer = self.engine.call(ask.row.id, &input, &context).await;
        if self.storage.commits.load(Ordering::Relaxed) > 0 {
            return broken(format!("the handler commits by itself: {ask:?}"));
        }
        match answer {
            Err(Fault::Storage(error)) if !error.is_for_callers() => {
                broken(format!("{error}: {ask:?}"))
            }
            Err(Fault::Internal(text)) => broken(format!("an internal fault, {text}: {ask:?}")),
            answer => Ok(answer),
        }
    }

    /// Whether what a request names exists already.
    pub(super) async fn exists(&self, ask: &Ask) -> std::result::Result<bool, Broken> {
        let raw = self.raw(ask)?;
        let body = raw.as_deref().map(Body::new).transpose();
        let input = Input {
            captures: ask
                .captures
                .iter()
                .map(|(name, text)| (*name, text.as_str()))
                .collect(),
            query: &ask.query,
            body: body.map_err(|fault| Broken(fault.to_string()))?,
            whole_body: self.whole_body(ask.row.id),
        };
        let exists = self.engine.exists(ask.row.id, &input, &context(ask)).await;
        exists.map_err(|fault| Broken(format!("{fault}: {ask:?}")))
    }

    pub(super) fn whole_body(&self, row: RowId) -> Option<&'static str> {
        self.engine.facts(row)?.whole_body
    }

    fn raw(&self, ask: &Ask) -> std::result::Result<Option<Box<RawValue>>, Broken> {
        let raw = ask.body.as_ref().map(to_raw_value).transpose();
        raw.map_err(|error| Broken(error.to_string()))
    }

    /// Commits what a handler wants written, as core does.
    pub(super) async fn commit(&self, writes: Batch) -> super::Outcome {
        let committed = self.storage.memory.commit(writes).await;
        committed
            .map(drop)
            .map_err(|error| Broken(error.to_string()))
    }
}

fn context(ask: &Ask) -> Context {
    Context {
        request_id: "request".to_owned(),
        operation: ask.row.verb.operation(),
        mount_path: Arc::from("conformance/"),
        caller: None,
        has_sudo: false,
        remote_address: None,
        clock: Arc::new(TestClock::default()),
        rng: Arc::new(SystemRng),
        system: None,
    }
}

/// A storage that counts the commits of those who should make none, and takes none of them.
#[derive(Debug)]
struct ReadOnly {
    memory: Arc<MemoryStorage>,
    commits: AtomicUsize,
}

#[async_trait]
impl Storage for ReadOnly {
    async fn read_point(&self) -> Result<Revision> {
        self.memory.read_point().await
    }

    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        self.memory.get(key).await
    }

    async fn page(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        what: PageOf,
    ) -> Result<Page> {
        self.memory.page(prefix, after, limit, what).await
    }

    async fn commit(&self, _: Batch) -> Result<Revision> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        Err(secretum_storage::StorageError::NotLeader)
    }

    fn changes(&self, from: Revision) -> ChangeFeed {
        self.memory.changes(from)
    }

    fn leadership(&self) -> LeadershipWatch {
        self.memory.leadership()
    }

    async fn close(&self) -> Result<()> {
        self.memory.close().await
    }
}
