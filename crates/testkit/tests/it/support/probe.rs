//! `probe`: a secret engine made for tests, with a row for each way that an engine can behave.

use parking_lot::Mutex;
use schemars::JsonSchema;
use secretum_api::fields::Seconds;
use secretum_engine::{
    Access, Context, Engine, EngineKind, Fault, Handle, MountStorage, Reply, Routes, Setup, Verb,
    expect,
};
use secretum_storage::{Batch, Key};
use serde::Deserialize;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use tokio::sync::{Semaphore, watch};

/// A place where a handler waits for its test.
#[derive(Debug)]
pub(crate) struct Gate {
    /// How many handlers came here.
    pub(crate) arrived: watch::Sender<usize>,
    /// Lets handlers go on.
    pub(crate) pass: Semaphore,
}

impl Gate {
    /// Waits until this many handlers came.
    pub(crate) async fn wait_for(&self, arrived: usize) {
        let mut watch = self.arrived.subscribe();
        let waited = watch.wait_for(|now| *now >= arrived);
        tokio::time::timeout(super::DEADLINE, waited)
            .await
            .expect("nobody came to the gate")
            .unwrap();
    }
}

/// The gate of a name; tests choose names of their own.
pub(crate) fn gate(name: &str) -> Arc<Gate> {
    static GATES: LazyLock<Mutex<HashMap<String, Arc<Gate>>>> = LazyLock::new(Mutex::default);
    let mut gates = GATES.lock();
    let gate = gates.entry(name.to_owned()).or_insert_with(|| {
        Arc::new(Gate {
            arrived: watch::Sender::new(0),
            pass: Semaphore::new(0),
        })
    });
    Arc::clone(gate)
}

/// The engine.
#[derive(Debug)]
pub(crate) struct Probe {
    store: MountStorage,
}

pub(crate) fn kind() -> EngineKind {
    let build = |setup: Setup| Ok(Probe { store: setup.store });
    EngineKind::secret::<Probe>(build).unwrap()
}

/// Waits at a gate, then writes.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct WaitAndWrite {
    /// Name of the gate.
    name: String,
}

/// Adds one to a counter, under the revision it was read at; waits at the gate of its name between
/// reading and writing, where `wait` says so.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Count {
    /// Name of the counter.
    name: String,
    /// Whether to wait.
    #[serde(default)]
    wait: bool,
}

/// Writes outside of its mount.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Stray {}

/// Never gets its write in.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Hopeless {}

/// Answers to those who may.
#[derive(Deserialize, JsonSchema)]
#[schemars(transform = count_description)]
pub(crate) struct Hello {}

/// Answers with the name, as an engine that makes credentials would.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Generate {
    /// Name of the role.
    name: String,
    /// Life of what is made.
    #[serde(default)]
    #[expect(dead_code, reason = "policies look at it")]
    ttl: Seconds,
}

thread_local! {
    static DESCRIPTIONS: Cell<usize> = const { Cell::new(0) };
}

fn count_description(_: &mut schemars::Schema) {
    DESCRIPTIONS.set(DESCRIPTIONS.get() + 1);
}

/// How often this thread described one of the rows of [`Hello`].
pub(crate) fn descriptions() -> usize {
    DESCRIPTIONS.get()
}

impl Engine for Probe {
    const KIND: &'static str = "probe";
    const ABOUT: &'static str = "An engine for tests";
    const ASPECTS: &'static [&'static str] = &["creds"];

    fn routes() -> Routes<Self> {
        Routes::new()
            .on::<WaitAndWrite>(Verb::Write, "gate/{name}", Access::Token)
            .on::<Count>(Verb::Write, "count/{name}", Access::Token)
            .on::<Stray>(Verb::Write, "stray", Access::Token)
            .on::<Hopeless>(Verb::Write, "hopeless", Access::Token)
            .on::<Hello>(Verb::Read, "open", Access::Public)
            .on::<Hello>(Verb::Read, "token", Access::Token)
            .on::<Hello>(Verb::Read, "sudo", Access::Sudo)
            .on::<Hello>(Verb::Read, "root", Access::Root)
            .on::<Generate>(Verb::Read, "creds/{name}", Access::Token)
            .action("generate")
            .on::<Hello>(Verb::Read, "unheard-of", Access::Token)
            .action("fly")
    }
}

impl Handle<WaitAndWrite> for Probe {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: WaitAndWrite, _: &Context) -> Result<Reply<()>, Fault> {
        pass(&request.name).await?;
        let place = self.store.key(&request.name)?;
        Ok(Reply::wrote(Batch::new().put(place, "late")))
    }
}

impl Handle<Count> for Probe {
    type Data = u64;
    type Error = Fault;

    async fn handle(&self, request: Count, _: &Context) -> Result<Reply<u64>, Fault> {
        let name = format!("count-{}", request.name);
        let record = self.store.get(&name).await?;
        let count = match &record {
            Some(record) => record.json::<u64>()? + 1,
            None => 1,
        };
        if request.wait {
            pass(&request.name).await?;
        }
        let place = self.store.key(&name)?;
        let batch = Batch::new().put_if(place, expect(record.as_ref()), count.to_string());
        Ok(Reply::data(count).with_writes(batch))
    }
}

impl Handle<Stray> for Probe {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: Stray, _: &Context) -> Result<Reply<()>, Fault> {
        let inside = self.store.key("inside")?;
        let outside = Key::try_from("sys/policy/root/hcl/default")?;
        Ok(Reply::wrote(
            Batch::new().put(inside, "x").put(outside, "x"),
        ))
    }
}

impl Handle<Hopeless> for Probe {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: Hopeless, _: &Context) -> Result<Reply<()>, Fault> {
        gate("hopeless").arrived.send_modify(|runs| *runs += 1);
        let place = self.store.key("never-there")?;
        let at = secretum_storage::Precondition::At(secretum_storage::Revision(1));
        Ok(Reply::wrote(Batch::new().put_if(place, at, "x")))
    }
}

impl Handle<Hello> for Probe {
    type Data = String;
    type Error = Fault;

    async fn handle(&self, _: Hello, _: &Context) -> Result<Reply<String>, Fault> {
        Ok(Reply::data("hello".to_owned()))
    }
}

impl Handle<Generate> for Probe {
    type Data = String;
    type Error = Fault;

    async fn handle(&self, ask: Generate, _: &Context) -> Result<Reply<String>, Fault> {
        Ok(Reply::data(ask.name))
    }
}

/// Tells that a handler came to a gate, and waits until it may pass.
async fn pass(name: &str) -> Result<(), Fault> {
    let gate = gate(name);
    gate.arrived.send_modify(|arrived| *arrived += 1);
    gate.pass.acquire().await.map_err(Fault::internal)?.forget();
    Ok(())
}
