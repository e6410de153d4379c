//! The service: its parts put together, its signals, its end.

use crate::ServiceError;
use crate::api::{self, Api};
use crate::callers::Callers;
use crate::config::{self, ServiceConfig};
use crate::listener;
use crate::tls::Offer;
use async_trait::async_trait;
use secretum_kms::{
    Environment, KeyId, KmsAuditEvent, KmsAuditSink, KmsConfig, Observers, ResilientKms, SinkError,
    create_resilient_kms,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Everything that can be wrong before listening was looked at.
#[derive(Debug)]
pub(crate) struct Prepared {
    file: PathBuf,
    config: ServiceConfig,
    default_key: KeyId,
    kms: ResilientKms,
    offer: Option<Arc<Offer>>,
}

impl Prepared {
    /// Opens the keys and reads the certificates of a configuration.
    ///
    /// **Errors**: [`ServiceError`].
    pub(crate) fn new(
        file: &Path,
        kms: &KmsConfig,
        config: ServiceConfig,
    ) -> Result<Self, ServiceError> {
        let offer = config.tls.clone().map(Offer::read).transpose()?;
        let observers = Observers {
            sinks: vec![Arc::new(LogSink)],
            ..Observers::default()
        };
        let default_key = kms.default_key.clone();
        let kms = create_resilient_kms(kms, &Environment::process(), observers)?;
        Ok(Self {
            file: file.to_owned(),
            config,
            default_key,
            kms,
            offer: offer.map(Arc::new),
        })
    }

    /// Listens until SIGINT or SIGTERM; SIGHUP reads certificates and callers anew.
    ///
    /// **Errors**: [`ServiceError::Listen`], [`ServiceError::System`].
    pub(crate) async fn run(self) -> Result<(), ServiceError> {
        let mut signals = Signals::new().map_err(ServiceError::System)?;
        let address = self.config.address;
        let refused = |source| ServiceError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let is_open = self.config.callers.is_empty();
        let api = Arc::new(Api::new(
            self.kms,
            self.default_key,
            Callers::new(self.config.callers),
            is_open,
            self.config.limits,
        ));
        if is_open {
            tracing::warn!("whoever can reach this address may do everything with every key");
        }
        tracing::info!(address = %bound, tls = self.offer.is_some(), "listening");
        let stop = CancellationToken::new();
        let serving = tokio::spawn(listener::serve(
            listener,
            self.offer.clone(),
            api::router(Arc::clone(&api)),
            self.config.limits.connections_max,
            stop.clone(),
        ));
        while let Told::Reload = signals.next().await {
            reload(&self.file, self.offer.as_deref(), &api, is_open);
        }
        tracing::info!("ending: no new connections, requests under way are finished");
        stop.cancel();
        let _ = serving.await;
        tracing::info!("ended");
        Ok(())
    }
}

/// Reads certificates and callers anew. What cannot be used changes nothing.
fn reload(file: &Path, offer: Option<&Offer>, api: &Api, was_open: bool) {
    let loaded = config::load(file, &Environment::process());
    let outcome = loaded.map_err(ServiceError::from).and_then(|(_, config)| {
        offer.map(Offer::reload).transpose()?;
        Ok(config.callers)
    });
    match outcome {
        // Whether callers have to prove who they are decides where it may listen, which is fixed.
        Ok(callers) if callers.is_empty() == was_open => {
            api.set_callers(Callers::new(callers));
            tracing::info!("certificates and callers were read anew");
        }
        Ok(_) => tracing::error!(
            "the configuration now has callers where it had none, or none where it had some: \
             start the service anew for that; callers stay as they are"
        ),
        Err(error) => tracing::error!(%error, "nothing was read anew; all stays as it is"),
    }
}

enum Told {
    Reload,
    End,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::Reload,
            _ = self.interrupt.recv() => Told::End,
            _ = self.terminate.recv() => Told::End,
        }
    }
}

/// Writes audit records to the log, as one field in JSON.
#[derive(Debug)]
struct LogSink;

#[async_trait]
impl KmsAuditSink for LogSink {
    async fn record(&self, event: &KmsAuditEvent) -> Result<(), SinkError> {
        let record = serde_json::to_string(event).map_err(|error| SinkError(error.to_string()))?;
        tracing::info!(target: "kms_audit", record, "audit");
        Ok(())
    }
}
