//! Structured logs.

use parking_lot::Mutex;
use secretum_core::LogLevels;
use secretum_engine::Fault;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::{EnvFilter, reload};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sets another level of the log that was started; nothing before that.
type SetLevel = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

static SET_LEVEL: OnceLock<SetLevel> = OnceLock::new();

/// The parts of the server whose levels can be set apart; each is the crate of that name.
const LOGGERS: [&str; 9] = [
    "api", "audit", "barrier", "core", "crypto", "engine", "engines", "server", "storage",
];

/// The levels in force.
static LEVELS: Mutex<Levels> = Mutex::new(Levels {
    configured: String::new(),
    all: None,
    own: BTreeMap::new(),
});

#[derive(Debug)]
struct Levels {
    /// As it was configured.
    configured: String,
    /// As an operator set it.
    all: Option<String>,
    /// As an operator set it for a logger.
    own: BTreeMap<&'static str, String>,
}

impl Levels {
    fn of(&self, logger: &str) -> &str {
        let all = self.all.as_ref().unwrap_or(&self.configured);
        self.own.get(logger).unwrap_or(all)
    }

    fn filter(&self) -> EnvFilter {
        let mut text = format!(
            "{},openraft=error,hyper=warn,rustls=warn,h2=warn",
            self.all.as_ref().unwrap_or(&self.configured)
        );
        for (logger, level) in &self.own {
            text.push_str(&format!(",secretum_{logger}={level}"));
        }
        EnvFilter::try_new(text).unwrap_or_else(|_| EnvFilter::new("info,openraft=error"))
    }
}

/// Starts logging to `lines` at a level (`trace`, `debug`, `info`, `warn`, `error`, `off`). A second call
/// does nothing.
pub fn start<W>(level: &str, format: Format, lines: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let mut levels = LEVELS.lock();
    level.clone_into(&mut levels.configured);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(levels.filter())
        .with_writer(lines);
    // Only the first call of a process takes effect; tests make several.
    let (started, set_level): (_, SetLevel) = match format {
        Format::Text => {
            let builder = builder.with_ansi(false).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |to| handle.reload(to)))
        }
        Format::Json => {
            let builder = builder.json().with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |to| handle.reload(to)))
        }
    };
    if started.is_ok() {
        let _ = SET_LEVEL.set(set_level);
    }
}

/// Logs at another level from here on, one of those of [`start`]; what an operator set goes on.
pub fn set_level(level: &str) {
    change(|levels| level.clone_into(&mut levels.configured));
}

fn change(change: impl FnOnce(&mut Levels)) {
    let mut levels = LEVELS.lock();
    change(&mut levels);
    let set = SET_LEVEL.get().map(|set| set(levels.filter()));
    drop(levels);
    if let Some(Err(error)) = set {
        tracing::error!(%error, "the log level cannot be changed");
    }
}

/// The levels of the process's log.
#[derive(Debug)]
pub struct ProcessLevels;

impl LogLevels for ProcessLevels {
    fn all(&self) -> Vec<(&'static str, String)> {
        let levels = LEVELS.lock();
        LOGGERS
            .map(|logger| (logger, levels.of(logger).to_owned()))
            .to_vec()
    }

    fn set(&self, logger: Option<&str>, level: &str) -> Result<(), Fault> {
        let level = named_level(level)?;
        match logger.map(known).transpose()? {
            Some(logger) => change(|levels| {
                levels.own.insert(logger, level.to_owned());
            }),
            None => change(|levels| {
                levels.all = Some(level.to_owned());
                levels.own.clear();
            }),
        }
        Ok(())
    }

    fn reset(&self, logger: Option<&str>) -> Result<(), Fault> {
        match logger.map(known).transpose()? {
            Some(logger) => change(|levels| {
                levels.own.remove(logger);
            }),
            None => change(|levels| {
                levels.all = None;
                levels.own.clear();
            }),
        }
        Ok(())
    }
}

fn known(logger: &str) -> Result<&'static str, Fault> {
    let mut loggers = LOGGERS.iter();
    let found = loggers.find(|own| **own == logger).copied();
    found.ok_or_else(|| Fault::invalid(format!("logger {logger:?} not found")))
}

/// A level by any of the names that Vault has for it.
fn named_level(level: &str) -> Result<&'static str, Fault> {
    match level.trim().to_ascii_lowercase().as_str() {
        "" => Err(Fault::invalid("level is empty")),
        "trace" => Ok("trace"),
        "debug" => Ok("debug"),
        "notice" | "info" => Ok("info"),
        "warn" | "warning" => Ok("warn"),
        "err" | "error" => Ok("error"),
        other => Err(Fault::invalid(format!(
            "invalid level provided: unknown log level: {other}"
        ))),
    }
}

/// The level at which requests are logged when they are done, as its place in [`REQUEST_LEVELS`]; 0 for none.
static REQUESTS: AtomicUsize = AtomicUsize::new(0);

const REQUEST_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Logs each request when it is done, at this level (as of [`start`]) from here on; not where it is
/// `off`.
pub fn set_requests_level(level: &str) {
    let place = REQUEST_LEVELS.iter().position(|own| *own == level);
    REQUESTS.store(place.unwrap_or_default(), Ordering::Relaxed);
}

/// Whether requests are logged when they are done.
pub(crate) fn logs_requests() -> bool {
    REQUESTS.load(Ordering::Relaxed) != 0
}

/// A request that is done.
pub(crate) struct Done<'a> {
    pub(crate) path: &'a str,
    pub(crate) operation: &'static str,
    /// Of the client.
    pub(crate) address: &'a str,
    pub(crate) status: u16,
    pub(crate) took: Duration,
}

/// Logs a request that is done.
pub(crate) fn request_done(done: &Done<'_>) {
    let took_ms = done.took.as_secs_f64() * 1_000.0;
    let (path, operation, address, status) = (done.path, done.operation, done.address, done.status);
    // A level is part of the place where something is logged: there is one for each.
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                path,
                operation,
                address,
                status,
                took_ms,
                "completed request"
            )
        };
    }
    match REQUESTS.load(Ordering::Relaxed) {
        1 => log!(error),
        2 => log!(warn),
        3 => log!(info),
        4 => log!(debug),
        5 => log!(trace),
        _ => {}
    }
}
