//! [`Server`]: listeners over a core, from start to graceful end.

use crate::ServerError;
use crate::http::{BodyMemory, Vault};
use crate::listener::{Answers, Endpoint, Listener, ListenerConfig, Places};
use crate::tls::{Offer, TlsFiles};
use secretum_core::Core;
use secretum_process::Traces;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long requests under way may go on when the server ends.
const DRAIN: Duration = Duration::from_secs(30);

/// Listeners that serve.
#[derive(Debug)]
pub struct Server {
    endpoints: Vec<Endpoint>,
    places: Vec<(Endpoint, Arc<Places>)>,
    ending: CancellationToken,
    tasks: TaskTracker,
    offers: Vec<(Endpoint, Arc<Offer>)>,
}

impl Server {
    /// Listens, and serves a core; `traces` are told of each request.
    ///
    /// **Errors**: [`ServerError::Listen`] where an address is taken or not allowed.
    pub async fn start(
        core: &Arc<Core>,
        listeners: Vec<ListenerConfig>,
        traces: Option<Arc<Traces>>,
    ) -> Result<Self, ServerError> {
        let largest = listeners.iter().map(|config| config.limits.body_bytes);
        let bodies = Arc::new(BodyMemory::for_bodies_of(largest.max().unwrap_or(0)));
        Self::start_with(listeners, |config, tasks| {
            Arc::new(Vault {
                core: Arc::clone(core),
                traces: traces.clone(),
                limits: config.limits,
                forwarded_for: config.forwarded_for.clone(),
                unauthenticated_metrics: config.unauthenticated_metrics,
                bodies: Arc::clone(&bodies),
                tasks: tasks.clone(),
            })
        })
        .await
    }

    /// Listens, and serves what answers each listener.
    pub(crate) async fn start_with<A: Answers>(
        configs: Vec<ListenerConfig>,
        answers: impl Fn(&ListenerConfig, &TaskTracker) -> Arc<A>,
    ) -> Result<Self, ServerError> {
        let count = configs.len();
        let mut listeners = Vec::with_capacity(count);
        for config in configs {
            listeners.push(Listener::bind(config, count).await?);
        }
        let mut server = Self {
            endpoints: Vec::with_capacity(count),
            places: Vec::with_capacity(count),
            ending: CancellationToken::new(),
            tasks: TaskTracker::new(),
            offers: Vec::new(),
        };
        for listener in listeners {
            server.endpoints.push(listener.config.endpoint.clone());
            let endpoint = &listener.config.endpoint;
            let offer = listener.config.tls.clone();
            server
                .offers
                .extend(offer.map(|offer| (endpoint.clone(), offer)));
            let places = (
                listener.config.endpoint.clone(),
                Arc::clone(&listener.places),
            );
            server.places.push(places);
            let answers = answers(&listener.config, &server.tasks);
            let run = listener.run(answers, server.ending.clone(), server.tasks.clone());
            server.tasks.spawn(run);
        }
        Ok(server)
    }

    /// Reads the certificates of all listeners anew, for the handshakes to come.
    ///
    /// A listener whose files cannot be used keeps what it has; the log says which file it is.
    pub fn reload_certificates(&self) {
        for (_, offer) in &self.offers {
            read_anew(offer, offer.files());
        }
    }

    /// Reads certificates from these files for the listener at an endpoint, in the same way.
    pub fn reload_tls(&self, endpoint: &Endpoint, files: TlsFiles) {
        let offer = self.offers.iter().find(|(own, _)| own == endpoint);
        if let Some((_, offer)) = offer {
            read_anew(offer, files);
        }
    }

    /// Changes how many connections the listener at an endpoint may hold open. Those that are too many
    /// go on; no further one is accepted until enough of them have ended.
    pub fn set_connections(&self, endpoint: &Endpoint, connections: usize) {
        let listeners = self.places.len();
        for (own, places) in &self.places {
            if own == endpoint {
                places.set(connections, listeners);
            }
        }
    }

    /// What is listened on, addresses with their real ports.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The addresses listened on, with their real ports.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.endpoints.iter().filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => Some(*address),
            Endpoint::Unix(_) => None,
        })
    }

    /// Stops accepting, and waits for requests under way.
    pub async fn stop(self) {
        self.ending.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                connections = self.tasks.len(),
                "connections were cut off at the end"
            );
        }
    }
}

fn read_anew(offer: &Offer, files: TlsFiles) {
    match offer.reload_from(files) {
        Ok(()) => tracing::info!(
            certificate = %offer.files().certificate.display(),
            "a certificate was read anew"
        ),
        Err(error) => tracing::error!(
            %error,
            "a certificate cannot be read anew, and the one before stays in force"
        ),
    }
}

/// The signals that a server listens to. Watched from the start, so that none ends it halfway.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Begins to watch.
    ///
    /// **Errors**: the system's, where signals cannot be watched.
    pub fn watch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGINT or SIGTERM; calls `reload` at every SIGHUP, and whenever `asked` is told.
    pub async fn until_stopped(mut self, asked: &Notify, mut reload: impl AsyncFnMut()) {
        let reloads = async {
            loop {
                tokio::select! {
                    Some(()) = self.hangup.recv() => {}
                    () = asked.notified() => {}
                }
                reload().await;
            }
        };
        // A reload that takes its time does not keep the server from ending.
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = reloads => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
