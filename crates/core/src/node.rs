//! [`NodeFacts`]: what the process around a core tells it of itself, for operators who ask.

use secretum_engine::Fault;
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio::sync::Notify;

/// What the process around a core tells it of itself.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// The configuration of the server as it may be shown, a JSON object without secrets.
    pub configuration: Arc<RawValue>,
    /// Whether the storage can be read and written as it is, for repairs.
    pub raw_storage_endpoint: bool,
    /// The levels of the log.
    pub log_levels: Arc<dyn LogLevels>,
    /// Told when an operator asks that the configuration be read anew.
    pub reload: Arc<Notify>,
}

/// The levels of the log, which operators may change while a server runs.
pub trait LogLevels: Send + Sync + std::fmt::Debug {
    /// Every logger and its level, by name.
    fn all(&self) -> Vec<(&'static str, String)>;

    /// Sets the level of a logger, or of all where none is named.
    ///
    /// **Errors**: [`Fault::Invalid`] for a name or a level that there is not.
    fn set(&self, logger: Option<&str>, level: &str) -> Result<(), Fault>;

    /// Puts back the level that is configured, of a logger or of all.
    ///
    /// **Errors**: [`Fault::Invalid`] for a name that there is not.
    fn reset(&self, logger: Option<&str>) -> Result<(), Fault>;
}

/// No logger.
#[derive(Debug)]
struct NoLogs;

impl LogLevels for NoLogs {
    fn all(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn set(&self, _: Option<&str>, _: &str) -> Result<(), Fault> {
        Err(Fault::invalid("there is no logger"))
    }

    fn reset(&self, _: Option<&str>) -> Result<(), Fault> {
        Err(Fault::invalid("there is no logger"))
    }
}

impl Default for NodeFacts {
    fn default() -> Self {
        Self {
            configuration: Arc::from(RawValue::NULL.to_owned()),
            raw_storage_endpoint: false,
            log_levels: Arc::new(NoLogs),
            reload: Arc::default(),
        }
    }
}
