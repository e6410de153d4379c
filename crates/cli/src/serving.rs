//! The wiring of a server: storage, engines, core and listeners put together, run and ended.

mod development;
mod floor;
mod production;

pub(crate) use floor::{Floor, run as run_floor};

use crate::commands::server::ServerArguments;
use crate::failure::Failure;
use secretum_client::Environment;
use secretum_core::{Core, CoreConfig, DeclaredDevice, NodeFacts, OpenCeremonies};
use secretum_crypto::{SystemClock, SystemRng};
use secretum_process::{LogGuard, Supervisor, Traces, hardening, log_lines};
use secretum_server::{ListenerConfig, Server, Signals, logging};
use secretum_storage::Storage;
use std::sync::Arc;
use std::time::Duration;

/// The life of tokens and leases where nothing is configured.
const DEFAULT_TTL: Duration = Duration::from_secs(768 * 3_600);

/// Threads that serve requests, at most; there are no more than cores.
const WORKERS_MAX: usize = 64;

/// Runs a server until it is told to end.
///
/// **Errors**: what keeps it from starting.
pub(crate) fn run(arguments: ServerArguments, environment: &Environment) -> Result<(), Failure> {
    match arguments.dev {
        Some(_) if arguments.check => Err(Failure::local(
            "-check reads a configuration, and a development server has none: name it with -config, \
             without -dev",
        )),
        Some(_) => development::run(arguments, environment),
        None => production::run(&arguments, environment),
    }
}

/// A runtime for a server.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(WORKERS_MAX))
        .enable_all()
        .build()
        .map_err(|error| Failure::local(format!("the runtime cannot start: {error}")))?;
    let inside = runtime.enter();
    hardening::outlive_file_size_limit();
    drop(inside);
    Ok(runtime)
}

/// Logs until what comes back is dropped.
fn start_logging(level: &str, json: bool) -> LogGuard {
    let format = match json {
        true => logging::Format::Json,
        false => logging::Format::Text,
    };
    let (lines, guard) = log_lines();
    logging::start(level, format, lines);
    hardening::forbid_core_dumps();
    guard
}

/// A core's configuration where everything is as usual.
fn core_config(
    storage: Arc<dyn Storage>,
    storage_kind: &'static str,
) -> Result<CoreConfig, Failure> {
    Ok(CoreConfig {
        storage,
        storage_kind,
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
        kinds: secretum_engines::all().map_err(Failure::display)?,
        default_lease_ttl: DEFAULT_TTL,
        max_lease_ttl: DEFAULT_TTL,
        audit_directory: None,
        declared_audits: Vec::new(),
        open_ceremonies: OpenCeremonies::default(),
        node: NodeFacts {
            log_levels: Arc::new(logging::ProcessLevels),
            ..NodeFacts::default()
        },
        api_address: String::new(),
        cluster_address: String::new(),
        cluster_name: String::new(),
    })
}

/// Serves until a signal comes, then ends what is under way, seals, and closes the storage. At SIGHUP,
/// reads anew what may change meanwhile: `reload_settings` gives the audit devices of the configuration,
/// unless they stay as they are.
async fn serve(
    core: Arc<Core>,
    server: Server,
    signals: Signals,
    reload_settings: impl Fn(&Server) -> Option<Vec<DeclaredDevice>>,
) -> Result<(), Failure> {
    let supervisor = Supervisor::of_process();
    supervisor.ready();
    let reload = async || {
        supervisor.reloading();
        if let Some(devices) = reload_settings(&server)
            && let Err(error) = core.declare_audits(devices).await
        {
            tracing::error!(%error, "an audit device of the configuration is not as it should be");
        }
        match core.reopen_audit().await {
            Ok(()) => tracing::info!("audit files are opened anew"),
            Err(error) => tracing::error!(%error, "an audit file cannot be opened anew"),
        }
        supervisor.ready();
    };
    signals.until_stopped(core.reload_asked(), reload).await;
    supervisor.stopping();
    tracing::info!("ending: requests under way are finished");
    server.stop().await;
    core.shutdown().await.map_err(Failure::display)?;
    tracing::info!("ended");
    Ok(())
}

/// Begins to watch the signals that end a server.
fn watch_signals() -> Result<Signals, Failure> {
    Signals::watch().map_err(Failure::display)
}

async fn listen(
    core: &Arc<Core>,
    listeners: Vec<ListenerConfig>,
    traces: Option<Arc<Traces>>,
) -> Result<Server, Failure> {
    Server::start(core, listeners, traces)
        .await
        .map_err(Failure::display)
}
