//! [`Mount`]: an engine over a storage in memory.

use crate::interleaved::Interleaved;
use secretum_crypto::{Clock, SystemRng, TestClock, Timestamp};
use secretum_engine::{
    Body, Context, Fault, Input, Matched, MountStorage, Mounted, Operation, RawReply, Setup,
    TimerChange, Touch, Verb,
};
use secretum_storage::memory::MemoryStorage;
use secretum_storage::{Batch, Key, PageOf, Storage, StorageError};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PREFIX: &str = "mount/test/";

/// A mounted engine.
pub(crate) struct Mount {
    engine: Arc<dyn Mounted>,
    kind: Kind,
    storage: Arc<MemoryStorage>,
    pub(crate) clock: Arc<TestClock>,
    timers: Mutex<Timers>,
}

/// What is mounted.
#[derive(Clone)]
struct Kind {
    name: &'static str,
    options: BTreeMap<String, String>,
}

impl Kind {
    fn kv(version: u8) -> Self {
        Self {
            name: "kv",
            options: BTreeMap::from([("version".to_owned(), version.to_string())]),
        }
    }
}

/// What an engine set: by time and name, what it gave.
type Timers = BTreeMap<(Timestamp, String), Box<RawValue>>;

/// A request to an engine.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) verb: Verb,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
}

impl Ask {
    pub(crate) fn new(verb: Verb, path: impl Into<String>) -> Self {
        Self {
            verb,
            path: path.into(),
            query: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }
}

impl Mount {
    pub(crate) fn kv2() -> Self {
        Self::of(Kind::kv(2))
    }

    pub(crate) fn transit() -> Self {
        Self::of(Kind {
            name: "transit",
            options: BTreeMap::new(),
        })
    }

    fn of(kind: Kind) -> Self {
        let storage = MemoryStorage::new();
        Self::over(kind, Arc::clone(&storage) as _, storage)
    }

    /// The same data, served by KV of another version.
    pub(crate) fn as_version(&self, version: u8) -> Self {
        let storage = Arc::clone(&self.storage);
        Self::over(Kind::kv(version), Arc::clone(&storage) as _, storage)
    }

    /// The same data, where a batch is committed right before a read of a key, after so many others.
    pub(crate) fn with_commit_before_read(&self, reads: usize, batch: Batch) -> Self {
        let storage = Interleaved::new(Arc::clone(&self.storage), reads, batch);
        let kind = self.kind.clone();
        Self::over(kind, Arc::new(storage), Arc::clone(&self.storage))
    }

    fn over(kind: Kind, seen: Arc<dyn Storage>, storage: Arc<MemoryStorage>) -> Self {
        let clock = Arc::new(TestClock::new(Timestamp::from_unix_seconds(1_800_000_000)));
        let kinds = secretum_engines::all().unwrap();
        let found = kinds.iter().find(|own| own.name() == kind.name).unwrap();
        let setup = Setup {
            store: MountStorage::new(seen, Key::try_from(PREFIX).unwrap()),
            options: kind.options.clone(),
            default_lease_ttl: Duration::from_secs(3_600),
            clock: Arc::clone(&clock) as _,
            rng: Arc::new(SystemRng),
        };
        Self {
            engine: found.build(setup).unwrap(),
            kind,
            storage,
            clock,
            timers: Mutex::default(),
        }
    }

    /// Runs a handler; what it wants written is in the reply.
    pub(crate) async fn call(&self, ask: &Ask) -> Result<RawReply, Fault> {
        let (row, captures) = match self.engine.find(ask.verb, &ask.path) {
            Matched::Row(row, captures) => (row, captures),
            Matched::OtherVerb => return Err(Fault::Unsupported),
            Matched::Nothing => return Err(Fault::NotFound),
        };
        let body = ask.body.as_ref().map(Value::to_string);
        let body: Option<&RawValue> = body
            .as_deref()
            .map(|body| serde_json::from_str(body).unwrap());
        let input = Input {
            captures,
            query: &ask.query,
            body: body.map(Body::new).transpose()?,
            whole_body: self.engine.facts(row).and_then(|facts| facts.whole_body),
        };
        let mut context = Context {
            request_id: "request".to_owned(),
            operation: ask.verb.operation(),
            mount_path: Arc::from("test/"),
            caller: None,
            has_sudo: false,
            remote_address: None,
            clock: Arc::clone(&self.clock) as _,
            rng: Arc::new(SystemRng),
            system: None,
        };
        // As the core does.
        let is_upsert = self.engine.facts(row).is_some_and(|facts| facts.upsert);
        if is_upsert && let Ok(false) = self.engine.exists(row, &input, &context).await {
            context.operation = Operation::Create;
        }
        self.engine.call(row, &input, &context).await
    }

    /// Commits what a handler wants written; `false` where another write came first.
    pub(crate) async fn commit(&self, writes: Batch) -> bool {
        let outside = |key: &Key| !key.as_bytes().starts_with(PREFIX.as_bytes());
        assert!(!writes.steps().iter().any(|step| outside(&step.key)));
        if writes.is_empty() {
            return true;
        }
        match self.storage.commit(writes).await {
            Ok(_) => true,
            Err(StorageError::Conflict { .. }) => false,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// As the core does: runs the handler and commits, again where another write came first.
    pub(crate) async fn run(&self, ask: &Ask) -> Result<RawReply, Fault> {
        loop {
            let mut reply = self.call(ask).await?;
            if self.commit(std::mem::take(&mut reply.writes)).await {
                self.change_timers(std::mem::take(&mut reply.timers));
                return Ok(reply);
            }
        }
    }

    fn change_timers(&self, changes: Vec<TimerChange>) {
        let mut timers = self.timers.lock().unwrap();
        for change in &changes {
            if let TimerChange::Cancel(place) = change {
                timers.remove(&(place.at, place.name.clone()));
            }
        }
        for change in changes {
            if let TimerChange::Set(timer) = change {
                timers.insert((timer.place.at, timer.place.name), timer.data);
            }
        }
    }

    /// When the timers that are set are due, in seconds since the epoch, and their names.
    pub(crate) fn timers(&self) -> Vec<(i64, String)> {
        let timers = self.timers.lock().unwrap();
        let places = timers.keys().cloned();
        places.map(|(at, name)| (at.unix_seconds(), name)).collect()
    }

    /// Calls the engine for the timers that are due, as the core does.
    pub(crate) async fn serve_timers(&self) {
        let now = self.clock.now();
        while let Some((place, data)) = self.first_timer().filter(|((at, _), _)| *at <= now) {
            self.due(&data).await;
            // What it set anew is later.
            self.timers.lock().unwrap().remove(&place);
        }
    }

    fn first_timer(&self) -> Option<((Timestamp, String), Box<RawValue>)> {
        let timers = self.timers.lock().unwrap();
        timers
            .first_key_value()
            .map(|(place, data)| (place.clone(), data.clone()))
    }

    /// Calls the engine with what a timer was set with.
    pub(crate) async fn due(&self, data: &RawValue) {
        loop {
            let writes = self.engine.due(data, self.clock.now()).await.unwrap();
            if self.commit(writes.batch).await {
                return self.change_timers(writes.timers);
            }
        }
    }

    /// What a request does on other paths than its own.
    pub(crate) fn touches(&self, ask: &Ask) -> Result<Vec<Touch>, Fault> {
        let Matched::Row(row, captures) = self.engine.find(ask.verb, &ask.path) else {
            return Err(Fault::NotFound);
        };
        let body = ask.body.as_ref().map(Value::to_string);
        let body: Option<&RawValue> = body
            .as_deref()
            .map(|body| serde_json::from_str(body).unwrap());
        let input = Input {
            captures,
            query: &ask.query,
            body: body.map(Body::new).transpose()?,
            whole_body: None,
        };
        self.engine.touches(row, &input)
    }

    /// The path that Cedar policies know.
    pub(crate) fn logical<'p>(&self, path: &'p str) -> &'p str {
        self.engine.logical(path)
    }

    /// The key of the storage that a key of the mount is.
    pub(crate) fn key(&self, key: &str) -> Key {
        Key::try_from(format!("{PREFIX}{key}")).unwrap()
    }

    /// Every key of the mount.
    pub(crate) async fn keys(&self) -> BTreeSet<String> {
        let prefix = Key::try_from(PREFIX).unwrap();
        let page = self.storage.page(&prefix, None, 100_000, PageOf::Keys);
        let rows = page.await.unwrap().rows;
        rows.iter()
            .map(|row| row.key.strip_prefix(&prefix).unwrap())
            .map(|name| String::from_utf8(name.to_vec()).unwrap())
            .collect()
    }
}
