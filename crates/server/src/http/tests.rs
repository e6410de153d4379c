//! Bodies of requests, sent to a vault in memory over real sockets.

use super::body::STRANGER_BYTES_MAX;
use super::{BodyMemory, Vault};
use crate::listener::{Limits, ListenerConfig};
use crate::serve::Server;
use crate::serve::tests::peer::Peer;
use secretum_core::{Core, CoreConfig};
use secretum_crypto::{SystemClock, SystemRng};
use secretum_storage::memory::MemoryStorage;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A body that is larger than a stranger's may be.
const LARGE: usize = STRANGER_BYTES_MAX + 1;

/// A server over an unsealed vault.
struct House {
    core: Arc<Core>,
    server: Server,
    bodies: Arc<BodyMemory>,
    root: String,
}

impl House {
    async fn open(limits: Limits, bodies: BodyMemory) -> Self {
        let ttl = Duration::from_secs(3_600);
        let core = Core::new(CoreConfig {
            storage: MemoryStorage::new(),
            storage_kind: "inmem",
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
            kinds: Vec::new(),
            default_lease_ttl: ttl,
            max_lease_ttl: ttl,
            audit_directory: None,
            declared_audits: Vec::new(),
            open_ceremonies: secretum_core::OpenCeremonies::default(),
            node: secretum_core::NodeFacts::default(),
            api_address: String::new(),
            cluster_address: String::new(),
            cluster_name: String::new(),
        });
        let core = core.unwrap();
        let config = ListenerConfig::tcp("127.0.0.1:0".parse().unwrap(), None, limits);
        let bodies = Arc::new(bodies);
        let server = Server::start_with(vec![config], |config, tasks| {
            Arc::new(Vault {
                core: Arc::clone(&core),
                traces: None,
                limits: config.limits,
                forwarded_for: config.forwarded_for.clone(),
                unauthenticated_metrics: config.unauthenticated_metrics,
                bodies: Arc::clone(&bodies),
                tasks: tasks.clone(),
            })
        })
        .await;
        let mut house = Self {
            core,
            server: server.unwrap(),
            bodies,
            root: String::new(),
        };
        house.unseal().await;
        house
    }

    async fn unseal(&mut self) {
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let birth = self.lifecycle("sys/init", &shares).await;
        self.root = birth["root_token"].as_str().unwrap().to_owned();
        let share = json!({"key": birth["keys"][0]});
        assert_eq!(self.lifecycle("sys/unseal", &share).await["sealed"], false);
    }

    async fn lifecycle(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut peer = self.announce(path, "", body.len()).await;
        peer.send(body).await;
        let answer = peer.answer().await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    async fn usual() -> Self {
        let limits = Limits {
            body_bytes: 4 << 20,
            ..Limits::default()
        };
        Self::open(limits, BodyMemory::for_bodies_of(0)).await
    }

    async fn peer(&self) -> Peer {
        Peer::connect(self.server.addresses().next().unwrap()).await
    }

    /// Sends the head of a request, whose body is still to come.
    async fn head(&self, path: &str, token: &str, more: &str) -> Peer {
        let mut peer = self.peer().await;
        let token = match token {
            "" => String::new(),
            token => format!("X-Vault-Token: {token}\r\n"),
        };
        peer.send(format!(
            "PUT /v1/{path} HTTP/1.1\r\nHost: h\r\n{token}{more}\r\n\r\n"
        ))
        .await;
        peer
    }

    async fn announce(&self, path: &str, token: &str, bytes: usize) -> Peer {
        let length = format!("Content-Length: {bytes}");
        self.head(path, token, &length).await
    }

    /// Sends a whole request with a body of so many bytes, and gives the status of its answer.
    async fn put(&self, path: &str, token: &str, bytes: usize) -> u16 {
        let mut peer = self.announce(path, token, bytes).await;
        peer.send(body(bytes)).await;
        status(&mut peer).await
    }
}

/// A JSON object of so many bytes.
fn body(bytes: usize) -> String {
    format!("{{\"x\":\"{}\"}}", "a".repeat(bytes - 8))
}

async fn status(peer: &mut Peer) -> u16 {
    let answer = peer.answer().await;
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_too_long_is_refused_before_it_comes() {
    let house = House::usual().await;
    let root = house.root.as_str();
    for (path, token, bytes) in [
        ("cubbyhole/a", root, (4 << 20) + 1),
        ("cubbyhole/a", "", LARGE),
        ("sys/unseal", "", LARGE),
        ("sys/unseal", root, LARGE),
        ("sys/init", root, LARGE),
    ] {
        let mut peer = house.announce(path, token, bytes).await;
        assert_eq!(status(&mut peer).await, 413, "{path} {bytes}");
        let mut waiting = house
            .head(
                path,
                token,
                &format!("Content-Length: {bytes}\r\nExpect: 100-continue"),
            )
            .await;
        assert_eq!(status(&mut waiting).await, 413, "and not leave to send it");
    }
}

#[tokio::test]
async fn what_is_just_short_enough_is_taken() {
    let house = House::usual().await;
    let root = house.root.as_str();
    let most = STRANGER_BYTES_MAX;
    assert_eq!(house.put("cubbyhole/a", "", most).await, 403);
    assert_eq!(house.put("sys/unseal", "", most).await, 400);
    let whole = house.put("sys/mounts/a", root, 4 << 20).await;
    assert_eq!(whole, 400, "read, and found to lack a type");
}

#[tokio::test]
async fn a_client_that_sends_all_the_same_gets_to_read_the_refusal() {
    let house = House::usual().await;
    let root = house.root.as_str();
    assert_eq!(house.put("cubbyhole/a", root, (4 << 20) + 1).await, 413);
    assert_eq!(house.put("cubbyhole/a", "", 4 << 20).await, 413);
}

#[tokio::test]
async fn large_bodies_are_read_for_known_callers_only() {
    let house = House::usual().await;
    let root = house.root.as_str();
    let mut peer = house.announce("cubbyhole/a", "hvs.nobody", LARGE).await;
    let answer = peer.answer().await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("permission denied"), "{answer}");
    house.core.seal().await;
    let mut peer = house.announce("cubbyhole/a", root, LARGE).await;
    let answer = peer.answer().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("Vault is sealed"), "{answer}");
}

#[tokio::test]
async fn bodies_without_a_length_have_the_same_limits() {
    let house = House::usual().await;
    let root = house.root.as_str();
    let chunks = |bytes: usize| {
        let mut sent = String::new();
        for piece in body(bytes).as_bytes().chunks(10_000) {
            let piece = std::str::from_utf8(piece).unwrap();
            sent += &format!("{:x}\r\n{piece}\r\n", piece.len());
        }
        sent + "0\r\n\r\n"
    };
    for (token, bytes, expected) in [
        (root, 4 << 20, 400),
        (root, (4 << 20) + 1, 413),
        ("", STRANGER_BYTES_MAX, 403),
        ("", LARGE, 413),
        ("hvs.nobody", LARGE, 403),
    ] {
        let chunked = "Transfer-Encoding: chunked";
        let mut peer = house.head("sys/mounts/a", token, chunked).await;
        peer.send(chunks(bytes)).await;
        assert_eq!(status(&mut peer).await, expected, "{token} {bytes}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_so_long() {
    let limits = Limits {
        body_time: Duration::from_millis(100),
        ..Limits::default()
    };
    let house = House::open(limits, BodyMemory::for_bodies_of(0)).await;
    let root = house.root.as_str();
    let mut peer = house.announce("cubbyhole/a", root, 100).await;
    peer.send("{\"x\":").await;
    assert_eq!(status(&mut peer).await, 408);
}

#[tokio::test]
async fn all_bodies_together_have_a_limit() {
    let limits = Limits {
        body_time: Duration::from_millis(500),
        ..Limits::default()
    };
    let house = House::open(limits, BodyMemory::of(LARGE, 1_000)).await;
    let root = house.root.as_str();
    for _ in 0..2 {
        let taken_and_given_back = house.put("cubbyhole/a", root, LARGE).await;
        assert_eq!(taken_and_given_back, 204);
    }
    let mut peer = house.announce("cubbyhole/a", root, LARGE + 1).await;
    let answer = peer.answer().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("take up all memory"), "{answer}");
    assert_eq!(house.put("cubbyhole/a", root, 100).await, 204);
}

#[tokio::test]
async fn strangers_do_not_hold_up_known_callers() {
    let limits = Limits {
        body_time: Duration::from_secs(20),
        ..Limits::default()
    };
    let house = House::open(limits, BodyMemory::of(LARGE, 1_000)).await;
    let root = house.root.as_str();
    let mut strangers = Vec::new();
    for token in ["", "hvs.nobody"] {
        let mut peer = house.announce("cubbyhole/a", token, 501).await;
        peer.send(&body(501)[..500]).await;
        strangers.push(peer);
    }
    while house.bodies.strangers_left() > 0 {
        tokio::task::yield_now().await;
    }
    // One more waits in front of them.
    let mut waiting = house.announce("cubbyhole/a", "hvs.nobody", 100).await;
    waiting.send(body(100)).await;
    assert_eq!(house.put("cubbyhole/a", root, 100).await, 204);
    assert_eq!(house.put("cubbyhole/a", root, LARGE).await, 204);
    drop(strangers);
    assert_eq!(status(&mut waiting).await, 403);
}
