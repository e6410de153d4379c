//! A production server, from its configuration.

use super::{core_config, listen, runtime, serve, start_logging, watch_signals};
use crate::commands::server::ServerArguments;
use crate::failure::Failure;
use crate::output::console;
use secretum_client::Environment;
use secretum_core::{Core, DeclaredDevice};
use secretum_crypto::sha256;
use secretum_process::hardening;
use secretum_server::config::{
    self, ClientCertificates, Config, ListenAddress, Listener, Loaded, LogFormat, LogLevel,
    RaftStorage as RaftSettings, TlsVersion,
};
use secretum_server::{Endpoint, Limits, ListenerConfig, Server, logging, tls, traces};
use secretum_storage::Storage;
use secretum_storage::memory::MemoryStorage;
use secretum_storage::raft::{RaftConfig, RaftStorage};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

/// Runs it until it is told to end; with `-check`, only says what the configuration means.
pub(super) fn run(arguments: &ServerArguments, environment: &Environment) -> Result<(), Failure> {
    let Loaded { config, warnings } = load(arguments, environment)?;
    let listeners = listeners(&config)?;
    if arguments.check {
        warnings
            .iter()
            .for_each(|warning| console::warning(&warning.to_string()));
        console::line(&config::describe(&config))?;
        return console::line("ok");
    }
    let level = arguments.log_level.unwrap_or(config.log_level).name();
    let format = arguments.log_format.unwrap_or(config.log_format);
    let _log = start_logging(level, format == LogFormat::Json);
    set_requests_level(&config);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    if !config.disable_mlock {
        hardening::lock_memory();
    }
    let running = config.clone();
    let reload = |server: &Server| reload(arguments, environment, &running, server);
    runtime()?.block_on(start(config, listeners, reload))
}

fn set_requests_level(config: &Config) {
    logging::set_requests_level(config.log_requests_level.map_or("off", LogLevel::name));
}

fn load(arguments: &ServerArguments, environment: &Environment) -> Result<Loaded, Failure> {
    if arguments.config.is_empty() {
        return Err(Failure::local(
            "a configuration is needed: give -config=FILE, or -dev",
        ));
    }
    Config::load(&arguments.config, &|name| environment.plain(name)).map_err(Failure::display)
}

/// Reads the configuration anew, and makes hold what can change while the server runs; the log names the
/// rest. Gives the audit devices, unless the configuration is faulty.
fn reload(
    arguments: &ServerArguments,
    environment: &Environment,
    running: &Config,
    server: &Server,
) -> Option<Vec<DeclaredDevice>> {
    let config = match Config::load(&arguments.config, &|name| environment.plain(name)) {
        Ok(Loaded { config, .. }) => config,
        Err(faults) => {
            tracing::error!("the configuration is faulty, and stays as it is: {faults}");
            server.reload_certificates();
            return None;
        }
    };
    set_requests_level(&config);
    if arguments.log_level.is_none() {
        logging::set_level(config.log_level.name());
    }
    let endpoints = server.endpoints().iter().zip(&running.listeners);
    for (endpoint, own) in endpoints {
        let same = |anew: &&Listener| anew.address == own.address;
        let Some(anew) = config.listeners.iter().find(same) else {
            continue;
        };
        server.set_connections(endpoint, anew.max_connections);
        if let (Some(tls), Some(_)) = (&anew.tls, &own.tls) {
            server.reload_tls(endpoint, tls_files(tls));
        }
    }
    for setting in running.restart_needed(&config) {
        tracing::warn!(setting, "a setting has changed, and holds after a restart");
    }
    Some(config.audits)
}

async fn start(
    config: Config,
    listeners: Vec<ListenerConfig>,
    reload: impl Fn(&Server) -> Option<Vec<DeclaredDevice>>,
) -> Result<(), Failure> {
    let signals = watch_signals()?;
    let api_address = api_address(&config, &listeners);
    let storage = open(&config, &api_address).await?;
    let mut core_config = core_config(storage, config.storage.type_name())?;
    core_config.node.configuration = config::sanitized(&config);
    core_config.default_lease_ttl = config.default_lease_ttl;
    core_config.max_lease_ttl = config.max_lease_ttl;
    core_config.audit_directory = config.audit_directory;
    core_config.declared_audits = config.audits;
    core_config.open_ceremonies = config.open_ceremonies;
    core_config.node.raw_storage_endpoint = config.raw_storage_endpoint;
    core_config.api_address = api_address;
    core_config.cluster_address = config
        .cluster_addr
        .map(|url| url.to_string())
        .unwrap_or_default();
    core_config.cluster_name = config.cluster_name.unwrap_or_default();
    let core = Core::new(core_config).map_err(Failure::display)?;
    let traces = config.traces.as_ref().map(traces::start).transpose();
    let traces = traces.map_err(Failure::display)?.map(Arc::new);
    let server = match listen(&core, listeners, traces.clone()).await {
        Ok(server) => server,
        Err(failure) => {
            // What was opened is closed as it should be; the failure to listen is what counts.
            let _ = core.shutdown().await;
            return Err(failure);
        }
    };
    for endpoint in server.endpoints() {
        tracing::info!(%endpoint, "listening");
    }
    tracing::info!(
        "the vault is sealed: `operator unseal` opens it, after `operator init` the first time"
    );
    let served = serve(core, server, signals, reload).await;
    if let Some(traces) = traces {
        // It blocks for as long as the receiver takes.
        let _ = tokio::task::spawn_blocking(move || traces.end()).await;
    }
    served
}

/// Where clients reach this node: at its first listener where nothing else is said.
fn api_address(config: &Config, listeners: &[ListenerConfig]) -> String {
    let first = listeners.first().map(|listener| {
        let scheme = if listener.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", listener.endpoint)
    });
    let configured = config.api_addr.as_ref().map(ToString::to_string);
    configured.or(first).unwrap_or_default()
}

async fn open(config: &Config, api_address: &str) -> Result<Arc<dyn Storage>, Failure> {
    let settings = match &config.storage {
        config::Storage::Memory => return Ok(MemoryStorage::new()),
        config::Storage::Raft(settings) => settings,
    };
    let storage = RaftStorage::open(raft_config(config, settings, api_address)).await;
    Ok(storage.map_err(Failure::display)?)
}

fn raft_config(config: &Config, settings: &RaftSettings, api_address: &str) -> RaftConfig {
    RaftConfig {
        node_id: settings.node_id.as_deref().map(node_id),
        api_address: api_address.to_owned(),
        cluster_address: config
            .cluster_addr
            .as_ref()
            .map(|url| url.address().to_string())
            .unwrap_or_default(),
        ..RaftConfig::new(&settings.path.value)
    }
}

/// The number of a node that is known by a name: the same name gives the same number.
fn node_id(name: &str) -> u64 {
    if let Ok(number) = name.parse() {
        return number;
    }
    let [a, b, c, d, e, f, g, h, ..] = sha256(name.as_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn listeners(config: &Config) -> Result<Vec<ListenerConfig>, Failure> {
    config.listeners.iter().map(listener).collect()
}

fn listener(settings: &Listener) -> Result<ListenerConfig, Failure> {
    let endpoint = match &settings.address {
        ListenAddress::Tcp(address) => Endpoint::Tcp(resolve(settings, &address.to_string())?),
        ListenAddress::Unix(file) => Endpoint::Unix(file.clone()),
    };
    let tls = settings.tls.as_ref().map(offer).transpose()?;
    let limits = Limits {
        body_bytes: usize::try_from(settings.max_request_size_bytes).unwrap_or(usize::MAX),
        time: settings.max_request_duration,
        head_time: settings.http_times.read_header,
        body_time: settings.http_times.read,
        write_time: settings.http_times.write,
        idle_time: settings.http_times.idle,
        connections: settings.max_connections,
    };
    Ok(ListenerConfig {
        endpoint,
        tls,
        limits,
        proxy_protocol: settings.proxy_protocol.clone(),
        forwarded_for: settings.forwarded_for.clone(),
        unauthenticated_metrics: settings.unauthenticated_metrics,
    })
}

fn resolve(settings: &Listener, address: &str) -> Result<SocketAddr, Failure> {
    let found = address
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next());
    found.ok_or_else(|| {
        Failure::local(format!(
            "{}: `{address}` cannot be resolved; write an IP address, or a name that this machine knows",
            settings.place
        ))
    })
}

fn offer(settings: &config::Tls) -> Result<Arc<tls::Offer>, Failure> {
    tls::Offer::read(tls_files(settings))
        .map_err(|error| Failure::display(settings.cert_refused(error.to_string())))
}

fn tls_files(settings: &config::Tls) -> tls::TlsFiles {
    tls::TlsFiles {
        certificate: settings.cert_file.value.clone(),
        key: settings.key_file.value.clone(),
        versions: match (settings.min_version, settings.max_version) {
            (TlsVersion::Tls13, _) => tls::Versions::Only13,
            (TlsVersion::Tls12, TlsVersion::Tls12) => tls::Versions::Only12,
            (TlsVersion::Tls12, TlsVersion::Tls13) => tls::Versions::Both,
        },
        clients: match &settings.client_certificates {
            ClientCertificates::NotAsked => tls::Clients::NotAsked,
            ClientCertificates::Optional(file) => tls::Clients::Optional(file.value.clone()),
            ClientCertificates::Required(file) => tls::Clients::Required(file.value.clone()),
        },
    }
}
