//! Structured logs on standard error.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
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

/// Starts logging at a level (`trace`, `debug`, `info`, `warn`, `error`, `off`). A second call does
/// nothing.
pub fn start(level: &str, format: Format) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(std::io::stderr);
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

/// Logs at another level from here on; one of those of [`start`].
pub fn set_level(level: &str) {
    let set = SET_LEVEL.get().map(|set| set(filter(level)));
    if let Some(Err(error)) = set {
        tracing::error!(%error, "the log level cannot be changed");
    }
}

/// The level at which requests are logged when they are done, as its place in [`LEVELS`]; 0 for none.
static REQUESTS: AtomicUsize = AtomicUsize::new(0);

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Logs each request when it is done, at this level (as of [`start`]) from here on; not where it is
/// `off`.
pub fn set_requests_level(level: &str) {
    let place = LEVELS.iter().position(|own| *own == level);
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

fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(format!(
        "{level},openraft=error,hyper=warn,rustls=warn,h2=warn"
    ))
    .unwrap_or_else(|_| EnvFilter::new("info,openraft=error"))
}
