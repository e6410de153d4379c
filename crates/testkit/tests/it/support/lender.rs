//! `lender`: a secret engine made for tests that hands out leases on things outside of the vault, here a
//! set of names in memory, and that fails as a test says.

use parking_lot::Mutex;
use schemars::JsonSchema;
use secretum_engine::{
    Access, Context, Engine, EngineKind, Fault, Handle, Lease, LeaseTerms, NewLease, Reply, Routes,
    Setup, Verb,
};
use secretum_storage::Batch;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

/// What is outside of the vault: one for each `world` that a mount names in its options.
#[derive(Debug, Default)]
pub(crate) struct World {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lent: BTreeSet<String>,
    made: usize,
    asked_to_end: usize,
    renewed: Vec<u64>,
    is_down: bool,
    hangs: bool,
}

impl World {
    /// The world of a name; tests choose names of their own.
    pub(crate) fn of(name: &str) -> Arc<Self> {
        static WORLDS: LazyLock<Mutex<HashMap<String, Arc<World>>>> = LazyLock::new(Mutex::default);
        Arc::clone(WORLDS.lock().entry(name.to_owned()).or_default())
    }

    /// What is lent and not ended.
    pub(crate) fn lent(&self) -> usize {
        self.state.lock().lent.len()
    }

    /// How often anything was to be ended.
    pub(crate) fn asked_to_end(&self) -> usize {
        self.state.lock().asked_to_end
    }

    /// The lives that renewals gave, in seconds.
    pub(crate) fn renewed(&self) -> Vec<u64> {
        self.state.lock().renewed.clone()
    }

    /// Whether nothing can be ended.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.state.lock().is_down = is_down;
    }

    /// Whether ending never answers.
    pub(crate) fn set_hangs(&self, hangs: bool) {
        self.state.lock().hangs = hangs;
    }
}

/// The engine.
#[derive(Debug)]
pub(crate) struct Lender {
    world: Arc<World>,
}

pub(crate) fn kind() -> EngineKind {
    let build = |setup: Setup| {
        let world = setup.options.get("world").map_or("", String::as_str);
        Ok(Lender {
            world: World::of(world),
        })
    };
    EngineKind::secret::<Lender>(build).unwrap()
}

/// Lends something.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Borrow {
    /// The path.
    #[expect(dead_code, reason = "the lease repeats it")]
    role: String,
    /// Its first life, in seconds.
    #[serde(default)]
    ttl: u64,
    /// Its longest life, in seconds.
    #[serde(default)]
    max_ttl: u64,
    /// Whether it cannot be renewed.
    #[serde(default)]
    fixed: bool,
}

/// What a borrower gets.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Thing {
    /// Its name.
    name: String,
}

impl Engine for Lender {
    const KIND: &'static str = "lender";
    const ABOUT: &'static str = "An engine of leases, for tests";
    const LEASES: bool = true;

    fn routes() -> Routes<Self> {
        Routes::new()
            .on::<Borrow>(Verb::Read, "creds/{role+}", Access::Token)
            .on::<Borrow>(Verb::Write, "creds/{role+}", Access::Token)
    }

    async fn revoke(&self, lease: &Lease) -> Result<Batch, Fault> {
        let thing: Thing = lease.data()?;
        let hangs = {
            let mut state = self.world.state.lock();
            state.asked_to_end += 1;
            if state.is_down {
                return Err(Fault::Unavailable("the world is down".into()));
            }
            if !state.hangs {
                state.lent.remove(&thing.name);
            }
            state.hangs
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        Ok(Batch::new())
    }

    async fn renew(&self, _: &Lease, seconds: u64) -> Result<Batch, Fault> {
        self.world.state.lock().renewed.push(seconds);
        Ok(Batch::new())
    }
}

impl Handle<Borrow> for Lender {
    type Data = Thing;
    type Error = Fault;

    async fn handle(&self, request: Borrow, _: &Context) -> Result<Reply<Thing>, Fault> {
        let thing = {
            let mut state = self.world.state.lock();
            state.made += 1;
            let name = format!("thing-{}", state.made);
            state.lent.insert(name.clone());
            Thing { name }
        };
        let terms = LeaseTerms {
            ttl: request.ttl,
            max_ttl: request.max_ttl,
        };
        let mut lease = NewLease::of(terms, &thing)?;
        lease.renewable = !request.fixed;
        Ok(Reply::leased(thing, lease))
    }
}
