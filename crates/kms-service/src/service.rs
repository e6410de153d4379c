//! The service: its parts put together, its signals, its end.

use crate::ServiceError;
use crate::api::{self, Api, Served, Watch};
use crate::callers::Callers;
use crate::config::{self, GrpcAddress, GrpcConfig, ServiceConfig};
use crate::data_keys::place::Place;
use crate::data_keys::storage::Storage;
use crate::data_keys::wrapper::Wrapper;
use crate::data_keys::{DataKeys, External, Source};
use crate::grpc::{self, Grpc, SopsKeys};
use crate::listener;
use crate::recorder::Recorder;
use crate::rotation::{self, Schedule};
use crate::socket::Socket;
use crate::tls::Offer;
use axum::Router;
use secretum_kms::config::{RotationSchedule, create_provider};
use secretum_kms::{
    Environment, KeyId, KeyManagementService, KmsConfig, KmsMetrics, Observers, Provider,
    ProviderKms, ResilientKms,
};
use secretum_kms_audit::AuditLog;
use secretum_process::{Supervisor, Traces};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Who looks at keys when the service starts, in audit records.
const CALLER: &str = "kms-service";

/// Everything that can be wrong before listening was looked at.
#[derive(Debug)]
pub(crate) struct Prepared {
    file: PathBuf,
    config: ServiceConfig,
    default_key: KeyId,
    rotation: Option<RotationSchedule>,
    provider: Arc<dyn Provider>,
    kms: ResilientKms,
    offer: Option<Arc<Offer>>,
    grpc: Option<PreparedGrpc>,
    other_metrics: Vec<(&'static str, Arc<KmsMetrics>)>,
    others: Vec<Served>,
    audit: AuditLog,
}

/// What is served over gRPC.
#[derive(Debug)]
struct PreparedGrpc {
    config: GrpcConfig,
    sops: Option<SopsKeys>,
    /// What wraps data keys, and where they are kept.
    external: Option<(Arc<Wrapper>, Arc<Place>)>,
}

/// Data keys that are wrapped and kept: by what, and where.
type Kept = (Arc<Wrapper>, Arc<Storage>);

impl Prepared {
    /// Opens the keys and reads the certificates of a configuration.
    ///
    /// **Errors**: [`ServiceError`].
    pub(crate) fn new(
        file: &Path,
        kms: &KmsConfig,
        config: ServiceConfig,
        audit: AuditLog,
    ) -> Result<Self, ServiceError> {
        let offer = config.tls.clone().map(Offer::read).transpose()?;
        let observers = Observers {
            sinks: audit.sinks(),
            ..Observers::default()
        };
        let metrics = Arc::clone(&observers.metrics);
        let default_key = kms.default_key.clone();
        let configured = kms;
        let provider = create_provider(kms, &Environment::process(), &observers)?;
        let rng = Arc::clone(&observers.rng);
        let own = Arc::new(ProviderKms::with_rng(Arc::clone(&provider), rng));
        let kms = ResilientKms::new(own, configured.resilience.clone(), observers);
        let mut prepared = Self {
            file: file.to_owned(),
            config,
            default_key,
            rotation: configured.rotation.clone(),
            provider,
            kms,
            offer: offer.map(Arc::new),
            grpc: None,
            other_metrics: Vec::new(),
            others: Vec::new(),
            audit,
        };
        if let Some(grpc) = prepared.config.grpc.clone() {
            prepared.prepare_grpc(grpc, configured, &metrics)?;
        }
        if prepared.rotation.is_some() {
            let capabilities = prepared.rotating(None).capabilities();
            if !capabilities.rotation {
                let provider = capabilities.provider;
                return Err(ServiceError::NotRotated { provider });
            }
        }
        Ok(prepared)
    }

    /// The key service whose keys are rotated: the one that wraps data keys, where one does.
    fn rotating(&self, kept: Option<&Wrapper>) -> ResilientKms {
        match kept.or(self.wrapper().map(Arc::as_ref)) {
            Some(wrapper) => wrapper.for_caller(rotation::CALLER),
            None => self.kms.for_caller(rotation::CALLER),
        }
    }

    /// What wraps the data keys that are kept, where some are.
    pub(crate) fn wrapper(&self) -> Option<&Arc<Wrapper>> {
        let external = self.grpc.as_ref()?.external.as_ref()?;
        Some(&external.0)
    }

    /// Opens the storage of data keys, where they are kept.
    ///
    /// **Errors**: [`ServiceError::Storage`].
    fn open_kept(&self) -> Result<Option<Kept>, ServiceError> {
        let external = self.grpc.as_ref().and_then(|grpc| grpc.external.as_ref());
        let Some((wrapper, place)) = external else {
            return Ok(None);
        };
        let storage = Arc::new(Storage::open(place)?);
        Ok(Some((Arc::clone(wrapper), storage)))
    }

    /// What is rotated by schedule, where something is.
    fn schedule(&self, kept: Option<&Kept>) -> Result<Option<Schedule>, ServiceError> {
        let Some(rotation) = &self.rotation else {
            return Ok(None);
        };
        let (storage, key) = match (kept, &rotation.state_path) {
            (Some((wrapper, storage)), _) => (Arc::clone(storage), wrapper.key()),
            (None, Some(path)) => (Arc::new(Storage::in_folder(path)?), &self.default_key),
            // It is refused where the configuration is read.
            (None, None) => return Ok(None),
        };
        let keys = match rotation.keys.is_empty() {
            true => vec![key.clone()],
            false => rotation.keys.clone(),
        };
        let wrapper = kept.map(|(wrapper, _)| wrapper.as_ref());
        Ok(Some(Schedule {
            kms: Arc::new(self.rotating(wrapper)),
            sinks: self.audit.sinks(),
            storage,
            keys,
            every: rotation.every,
        }))
    }

    /// Opens what stands behind gRPC. A provider that serves HTTP too is counted once.
    fn prepare_grpc(
        &mut self,
        config: GrpcConfig,
        configured: &KmsConfig,
        metrics: &Arc<KmsMetrics>,
    ) -> Result<(), ServiceError> {
        let own = self.kms.capabilities().provider;
        let mut counted = vec![(own, Arc::clone(metrics))];
        let sinks = self.audit.sinks();
        let mut observers = |name: &'static str| {
            let mut observers = Observers {
                sinks: sinks.clone(),
                ..Observers::default()
            };
            match counted.iter().find(|(counted, _)| *counted == name) {
                Some((_, metrics)) => observers.metrics = Arc::clone(metrics),
                None => counted.push((name, Arc::clone(&observers.metrics))),
            }
            observers
        };
        let sops = config.sops.as_deref();
        let sops = sops.map(|providers| SopsKeys::open(providers, &mut observers));
        let sops = sops.transpose()?;
        let external = match &config.data_keys {
            Some(Source::External { wrapping, storage }) => {
                Storage::check(storage)?;
                let own = (&self.kms, configured);
                let wrapper = Wrapper::open(wrapping, own, observers)?;
                Some((Arc::new(wrapper), Arc::clone(storage)))
            }
            _ => None,
        };
        self.other_metrics = counted.into_iter().skip(1).collect();
        let of_sops = sops.iter().flat_map(SopsKeys::services);
        self.others = of_sops.map(|kms| ("sops", kms.clone())).collect();
        let of_data_keys = external.as_ref().and_then(|(wrapper, _)| wrapper.other());
        self.others
            .extend(of_data_keys.map(|kms| ("data-keys", kms.clone())));
        self.grpc = Some(PreparedGrpc {
            config,
            sops,
            external,
        });
        Ok(())
    }

    /// Listens until SIGINT or SIGTERM; SIGHUP reads certificates, callers and files of keys anew, and
    /// opens audit files anew.
    ///
    /// **Errors**: [`ServiceError::Listen`], [`ServiceError::System`].
    pub(crate) async fn run(mut self, traces: Option<Arc<Traces>>) -> Result<(), ServiceError> {
        let mut signals = Signals::new().map_err(ServiceError::System)?;
        let listener = Socket::bind_tcp(self.config.address).await?;
        let kept = self.open_kept()?;
        let schedule = self.schedule(kept.as_ref())?;
        let is_open = self.config.callers.is_empty();
        let watch = Watch {
            recorder: Recorder::to(self.audit.sinks()),
            traces,
            other_metrics: self.other_metrics,
            others: self.others,
        };
        let grpc_address = grpc_of(&self.config).cloned();
        let callers = callers(&mut self.config);
        let limits = self.config.limits;
        let api = Api::new(self.kms, self.default_key, callers, limits, watch);
        let api = Arc::new(api);
        if is_open {
            tracing::warn!("whoever can reach this address may do everything with every key");
        }
        let grpc_offer = self.offer.clone();
        let grpc_offer =
            grpc_offer.filter(|_| self.grpc.as_ref().is_some_and(|own| own.config.tls));
        let grpc = match self.grpc {
            Some(grpc) => Some(grpc.bind(&api, kept).await?),
            None => None,
        };
        if let Some((socket, _)) = &grpc {
            tracing::info!(grpc = %socket, tls = grpc_offer.is_some(), "serving gRPC");
        }
        tracing::info!(address = %listener, tls = self.offer.is_some(), "listening");
        let stop = CancellationToken::new();
        let connections_max = self.config.limits.connections_max;
        let serve = |socket, offer, router| {
            let serving = listener::serve(socket, offer, router, connections_max, stop.clone());
            tokio::spawn(serving)
        };
        let router = api::router(Arc::clone(&api));
        let mut serving = vec![serve(listener, self.offer.clone(), router)];
        serving.extend(grpc.map(|(socket, router)| serve(socket, grpc_offer, router)));
        serving.extend(schedule.map(|schedule| tokio::spawn(schedule.run(stop.clone()))));
        let supervisor = Supervisor::of_process();
        supervisor.ready();
        while let Told::Reload = signals.next().await {
            supervisor.reloading();
            reload(
                &self.file,
                self.offer.as_deref(),
                &api,
                (is_open, &grpc_address),
            );
            reload_keys(self.provider.as_ref());
            self.audit.reopen().await;
            supervisor.ready();
        }
        supervisor.stopping();
        tracing::info!("ending: no new connections, requests under way are finished");
        stop.cancel();
        for serving in serving {
            let _ = serving.await;
        }
        self.audit.close().await;
        tracing::info!("ended");
        Ok(())
    }
}

impl PreparedGrpc {
    /// Listens, and gives what is served there.
    async fn bind(
        self,
        api: &Arc<Api>,
        kept: Option<Kept>,
    ) -> Result<(Socket, Router), ServiceError> {
        let socket = Socket::bind(&self.config.address).await?;
        let data_keys = match (self.config.data_keys, kept) {
            (Some(Source::Cluster(master)), _) => Some(DataKeys::Cluster(master)),
            (_, Some((wrapper, storage))) => {
                wrapper.check(CALLER).await?;
                Some(DataKeys::External(Box::new(External::new(
                    wrapper, storage,
                ))))
            }
            _ => None,
        };
        let grpc = Grpc {
            api: Arc::clone(api),
            sops: self.sops,
            data_keys: data_keys.map(Arc::new),
        };
        Ok((socket, grpc::router(Arc::new(grpc))))
    }
}

/// Everybody who may ask.
fn callers(config: &mut ServiceConfig) -> Callers {
    let local = config.grpc.as_mut().and_then(|grpc| grpc.local.take());
    Callers::new(std::mem::take(&mut config.callers)).with_local(local)
}

/// Where gRPC is served.
fn grpc_of(config: &ServiceConfig) -> Option<&GrpcAddress> {
    config.grpc.as_ref().map(|grpc| &grpc.address)
}

/// Reads certificates and callers anew. What cannot be used changes nothing.
fn reload(
    file: &Path,
    offer: Option<&Offer>,
    api: &Api,
    (was_open, grpc_address): (bool, &Option<GrpcAddress>),
) {
    let loaded = config::load(file, &Environment::process());
    let outcome = loaded.map_err(ServiceError::from).and_then(|(_, config)| {
        offer.map(Offer::reload).transpose()?;
        Ok(config)
    });
    match outcome {
        // Whether callers have to prove who they are decides where it may listen, which is fixed.
        Ok(config) if grpc_of(&config) != grpc_address.as_ref() => tracing::error!(
            "gRPC is to be served elsewhere: start the service anew for that; callers stay as they are"
        ),
        Ok(mut config) if config.callers.is_empty() == was_open => {
            api.set_callers(callers(&mut config));
            tracing::info!("certificates and callers were read anew");
        }
        Ok(_) => tracing::error!(
            "the configuration now has callers where it had none, or none where it had some: \
             start the service anew for that; callers stay as they are"
        ),
        Err(error) => tracing::error!(%error, "nothing was read anew; all stays as it is"),
    }
}

/// Reads the files of keys anew. Keys that cannot be used change nothing.
fn reload_keys(provider: &dyn Provider) {
    if let Err(error) = provider.reload() {
        tracing::error!(%error, "the files of keys were not read anew; the keys stay as they are");
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
