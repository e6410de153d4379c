//! [`Server`]: listeners over a core, from start to graceful end.

use crate::ServerError;
use crate::http::VaultServices;
use crate::listener::{Listener, ListenerConfig, MakeService};
use secretum_core::Core;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long requests under way may go on when the server ends.
const DRAIN: Duration = Duration::from_secs(30);

/// Listeners that serve.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    ending: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Listens, and serves a core.
    ///
    /// **Errors**: [`ServerError::Listen`] where an address is taken or not allowed.
    pub async fn start(
        core: &Arc<Core>,
        listeners: Vec<ListenerConfig>,
    ) -> Result<Self, ServerError> {
        Self::start_with(listeners, |config| {
            VaultServices::new(Arc::clone(core), config.limits)
        })
        .await
    }

    /// Listens, and serves whatever is made for each listener.
    pub(crate) async fn start_with<S: MakeService>(
        configs: Vec<ListenerConfig>,
        services: impl Fn(&ListenerConfig) -> S,
    ) -> Result<Self, ServerError> {
        let mut listeners = Vec::with_capacity(configs.len());
        for config in configs {
            listeners.push(Listener::bind(config).await?);
        }
        let (ending, tasks) = (CancellationToken::new(), TaskTracker::new());
        let addresses = listeners
            .iter()
            .map(|listener| listener.config.address)
            .collect();
        for listener in listeners {
            let services = services(&listener.config);
            tasks.spawn(listener.run(services, ending.clone(), tasks.clone()));
        }
        Ok(Self {
            addresses,
            ending,
            tasks,
        })
    }

    /// The addresses listened on, with their real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
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

    /// Waits for SIGINT or SIGTERM; calls `reload` at every SIGHUP.
    pub async fn until_stopped(mut self, mut reload: impl AsyncFnMut()) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hangup.recv() => reload().await,
            }
        }
    }
}
