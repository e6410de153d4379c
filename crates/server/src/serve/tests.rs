//! Listeners under clients that are slow, silent, gone or many, each a real socket.

mod certificates;
mod connections;
mod http2;
pub(crate) mod peer;
mod requests;

use super::Server;
use crate::http::HttpResponse;
use crate::listener::{Answers, Limits, ListenerConfig, Peer as From};
use bytes::Bytes;
use hyper::body::Incoming;
use peer::Peer;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// After this long a test gives up.
const DEADLINE: Duration = Duration::from_secs(20);

/// Long enough that no test sees it pass.
const LONG: Duration = Duration::from_secs(3_600);

/// A limit that a test waits for.
const SHORT: Duration = Duration::from_millis(300);

/// Answers `/`, holds `/gate` until it is let through, and has much to say at `/large`.
struct Probe {
    begun: watch::Sender<usize>,
    done: AtomicUsize,
    gate: Semaphore,
    large: Bytes,
}

impl Probe {
    fn new(large: Bytes) -> Self {
        Self {
            begun: watch::Sender::new(0),
            done: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            large,
        }
    }

    async fn has_begun(&self, requests: usize) {
        let mut begun = self.begun.subscribe();
        let waited = begun.wait_for(|begun| *begun >= requests);
        tokio::time::timeout(DEADLINE, waited)
            .await
            .unwrap()
            .unwrap();
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }
}

impl Answers for Probe {
    fn answer(
        self: &Arc<Self>,
        request: hyper::Request<Incoming>,
        from: From,
    ) -> impl Future<Output = HttpResponse> + Send + 'static {
        let probe = Arc::clone(self);
        async move {
            probe.begun.send_modify(|begun| *begun += 1);
            let body = match request.uri().path() {
                "/gate" => {
                    probe.gate.acquire().await.unwrap().forget();
                    Bytes::from_static(b"through")
                }
                "/large" => probe.large.clone(),
                "/certificates" => from.certificates.chain().first().map_or_else(
                    || Bytes::from_static(b"none"),
                    |own| Bytes::from(hex::encode(own)),
                ),
                _ => Bytes::from_static(b"here"),
            };
            probe.done.fetch_add(1, Ordering::SeqCst);
            hyper::Response::new(body)
        }
    }
}

/// A server without TLS, and what answers its requests.
struct House {
    server: Server,
    probe: Arc<Probe>,
}

/// Limits that no test reaches.
fn patient() -> Limits {
    Limits {
        time: LONG,
        head_time: LONG,
        body_time: LONG,
        write_time: LONG,
        idle_time: LONG,
        ..Limits::default()
    }
}

impl House {
    async fn open(limits: Limits) -> Self {
        let probe = Arc::new(Probe::new(Bytes::from(vec![b'x'; 64 << 20])));
        let config = ListenerConfig::tcp("127.0.0.1:0".parse().unwrap(), None, limits);
        let server = Server::start_with(vec![config], |_, _| Arc::clone(&probe)).await;
        Self {
            server: server.unwrap(),
            probe,
        }
    }

    async fn peer(&self) -> Peer {
        Peer::connect(self.server.addresses().next().unwrap()).await
    }

    /// Waits until no task but the listener's is left.
    async fn is_empty(&self) {
        let empty = async {
            while self.server.tasks.len() > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, empty).await.unwrap();
    }
}
