//! Structured logs on standard error.

use std::sync::OnceLock;
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

fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(format!(
        "{level},openraft=error,hyper=warn,rustls=warn,h2=warn"
    ))
    .unwrap_or_else(|_| EnvFilter::new("info,openraft=error"))
}
