//! [`Vault`]: a core over a faulty storage, with the engines of the house and the probe.

use super::faults::Faulty;
use super::{lender, probe};
use secretum_api::{Auth, RequestPath, fields::Seconds};
use secretum_core::{Core, CoreConfig, NodeFacts, NodeState, OpenCeremonies, Request, Response};
use secretum_crypto::{SecretString, SystemRng, TestClock, Timestamp};
use secretum_engine::{Fault, LeaseGrant, ReplyLease, Standing, Verb};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Life of a token that asks for none, in seconds.
pub(crate) const DEFAULT_TTL: u64 = 3_600;

/// The longest life of a token, in seconds.
pub(crate) const MAX_TTL: u64 = 24 * 3_600;

/// When tests begin.
const START: i64 = 1_800_000_000;

/// A vault in process.
pub(crate) struct Vault {
    pub(crate) core: Arc<Core>,
    pub(crate) storage: Arc<Faulty>,
    pub(crate) clock: Arc<TestClock>,
    /// The shares of the unseal key, in hex.
    pub(crate) shares: Vec<String>,
    pub(crate) root: String,
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Null where there is none.
    pub(crate) data: Value,
    /// The data as it is sent.
    pub(crate) text: String,
    pub(crate) auth: Option<Auth>,
    pub(crate) warnings: Vec<String>,
    pub(crate) gone: bool,
    /// The lease of what was answered.
    pub(crate) lease: Option<LeaseGrant>,
    /// The token that stands for the answer.
    pub(crate) wrap_token: Option<String>,
    /// When that token was made.
    pub(crate) wrapped_at: Option<String>,
}

/// A request in the making.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) request: Request,
}

/// A core that knows no vault yet.
pub(crate) fn core(storage: &Arc<Faulty>, clock: &Arc<TestClock>) -> Arc<Core> {
    Core::new(config(storage, clock)).unwrap()
}

/// The same, which lets strangers take part in ceremonies.
pub(crate) fn core_open_to_strangers(storage: &Arc<Faulty>, clock: &Arc<TestClock>) -> Arc<Core> {
    let open_ceremonies = OpenCeremonies {
        rekey: true,
        generate_root: true,
    };
    Core::new(CoreConfig {
        open_ceremonies,
        ..config(storage, clock)
    })
    .unwrap()
}

/// The same, with `sys/raw`.
pub(crate) fn core_with_raw(storage: &Arc<Faulty>, clock: &Arc<TestClock>) -> Arc<Core> {
    let node = NodeFacts {
        raw_storage_endpoint: true,
        ..NodeFacts::default()
    };
    Core::new(CoreConfig {
        node,
        ..config(storage, clock)
    })
    .unwrap()
}

fn config(storage: &Arc<Faulty>, clock: &Arc<TestClock>) -> CoreConfig {
    let mut kinds = secretum_engines::all().unwrap();
    kinds.push(probe::kind());
    kinds.push(lender::kind());
    CoreConfig {
        storage: Arc::clone(storage) as _,
        storage_kind: "inmem",
        clock: Arc::clone(clock) as _,
        rng: Arc::new(SystemRng),
        kinds,
        default_lease_ttl: Duration::from_secs(DEFAULT_TTL),
        max_lease_ttl: Duration::from_secs(MAX_TTL),
        audit_directory: None,
        declared_audits: Vec::new(),
        open_ceremonies: OpenCeremonies::default(),
        node: NodeFacts::default(),
        api_address: "https://127.0.0.1:8200".to_owned(),
        cluster_address: "https://127.0.0.1:8201".to_owned(),
        cluster_name: String::new(),
    }
}

pub(crate) fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::new(Timestamp::from_unix_seconds(START)))
}

pub(crate) fn ask(verb: Verb, path: &str) -> Ask {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    Ask {
        request: Request {
            id: format!("request-{}", NUMBER.fetch_add(1, Ordering::Relaxed)),
            verb,
            path: RequestPath::parse(path).unwrap(),
            query: Vec::new(),
            body: None,
            token: None,
            remote_address: Some([192, 0, 2, 7].into()),
            client_certificates: secretum_core::VerifiedCertificates::default(),
            wrap_ttl: None,
            headers: Vec::new(),
        },
    }
}

impl Ask {
    pub(crate) fn token(mut self, token: &str) -> Self {
        self.request.token = Some(SecretString::new(token.to_owned()));
        self
    }

    pub(crate) fn body(self, body: Value) -> Self {
        self.text(&body.to_string())
    }

    /// A body that need not be an object.
    pub(crate) fn text(mut self, json: &str) -> Self {
        self.request.body = Some(serde_json::from_str(json).unwrap());
        self
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.request.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn wrapped(mut self, seconds: u64) -> Self {
        self.request.wrap_ttl = Some(Seconds(seconds));
        self
    }

    pub(crate) async fn of(self, core: &Core) -> Result<Answer, Fault> {
        answer(core.handle(self.request).await)
    }
}

fn answer(response: Response) -> Result<Answer, Fault> {
    let reply = response.outcome?.reply;
    let data = reply.data.as_ref().map(|data| data.get());
    Ok(Answer {
        text: data.unwrap_or_default().to_owned(),
        data: data.map_or(Value::Null, |data| serde_json::from_str(data).unwrap()),
        auth: reply.auth.map(|auth| *auth),
        warnings: reply.warnings.iter().map(ToString::to_string).collect(),
        gone: reply.standing == Standing::Gone,
        lease: reply.lease.map(|lease| match *lease {
            ReplyLease::Granted(grant) => grant,
            ReplyLease::Wanted(lease) => panic!("{lease:?} was not made"),
        }),
        wrapped_at: (reply.wrap_info.as_ref()).map(|info| info.creation_time.clone()),
        wrap_token: reply.wrap_info.map(|info| info.token),
    })
}

impl Vault {
    /// A vault of one share, unsealed, with KV version 2 at `secret/` and the probe at `probe/`.
    pub(crate) async fn open() -> Self {
        let vault = Self::sealed(1, 1).await;
        vault.unseal().await;
        vault.enable("secret", json!({"type": "kv-v2"})).await;
        vault.enable("probe", json!({"type": "probe"})).await;
        vault
    }

    /// A vault that was initialized and not yet unsealed.
    pub(crate) async fn sealed(shares: u64, threshold: u64) -> Self {
        let (storage, clock) = (Faulty::new(), clock());
        let core = core(&storage, &clock);
        let made = ask(Verb::Write, "sys/init")
            .body(json!({"secret_shares": shares, "secret_threshold": threshold}))
            .of(&core)
            .await
            .unwrap();
        let shares = made.data["keys"].as_array().unwrap().iter();
        Self {
            shares: shares.map(|key| key.as_str().unwrap().to_owned()).collect(),
            root: made.data["root_token"].as_str().unwrap().to_owned(),
            core,
            storage,
            clock,
        }
    }

    /// Another core over another storage, known by the same shares: the vault after a crash.
    pub(crate) fn on(storage: Arc<Faulty>, before: &Self) -> Self {
        Self {
            core: core(&storage, &before.clock),
            storage,
            clock: Arc::clone(&before.clock),
            shares: before.shares.clone(),
            root: before.root.clone(),
        }
    }

    /// Gives every share until the vault is active.
    pub(crate) async fn unseal(&self) {
        for share in &self.shares {
            self.give_share(share).await.unwrap();
        }
        assert_eq!(self.core.status().await.unwrap().state, NodeState::Active);
    }

    pub(crate) async fn give_share(&self, share: &str) -> Result<Answer, Fault> {
        ask(Verb::Write, "sys/unseal")
            .body(json!({"key": share}))
            .of(&self.core)
            .await
    }

    pub(crate) async fn enable(&self, path: &str, body: Value) {
        self.write(&format!("sys/mounts/{path}"), body)
            .await
            .unwrap();
    }

    /// Writes as root.
    pub(crate) async fn write(&self, path: &str, body: Value) -> Result<Answer, Fault> {
        self.write_as(&self.root, path, body).await
    }

    pub(crate) async fn write_as(
        &self,
        token: &str,
        path: &str,
        body: Value,
    ) -> Result<Answer, Fault> {
        ask(Verb::Write, path)
            .token(token)
            .body(body)
            .of(&self.core)
            .await
    }

    /// Any verb without a body, as root.
    pub(crate) async fn ask(&self, verb: Verb, path: &str) -> Result<Answer, Fault> {
        self.ask_as(&self.root, verb, path).await
    }

    pub(crate) async fn ask_as(
        &self,
        token: &str,
        verb: Verb,
        path: &str,
    ) -> Result<Answer, Fault> {
        ask(verb, path).token(token).of(&self.core).await
    }

    pub(crate) async fn read(&self, path: &str) -> Result<Answer, Fault> {
        self.ask(Verb::Read, path).await
    }

    pub(crate) async fn policy(&self, name: &str, text: &str) {
        self.write(&format!("sys/policies/acl/{name}"), json!({"policy": text}))
            .await
            .unwrap();
    }

    /// A new token of these settings, made by `parent`.
    pub(crate) async fn cedar(&self, name: &str, text: &str) {
        let path = format!("sys/policies/cedar/{name}");
        self.write(&path, json!({"policy": text})).await.unwrap();
    }

    pub(crate) async fn token_of(&self, parent: &str, settings: Value) -> Auth {
        let made = self
            .write_as(parent, "auth/token/create", settings)
            .await
            .unwrap();
        made.auth.unwrap()
    }

    /// A new token with these policies, made by root.
    pub(crate) async fn token_with(&self, policies: &[&str]) -> String {
        let settings = json!({"policies": policies});
        self.token_of(&self.root, settings).await.client_token
    }

    /// A new token with one policy, which is written first.
    pub(crate) async fn token_under(&self, name: &str, text: &str) -> String {
        self.policy(name, text).await;
        self.token_with(&[name]).await
    }

    /// Whether a token is known.
    pub(crate) async fn lives(&self, token: &str) -> bool {
        match self
            .ask_as(token, Verb::Read, "auth/token/lookup-self")
            .await
        {
            Ok(_) => true,
            Err(Fault::Denied) => false,
            Err(other) => panic!("{other:?}"),
        }
    }
}
