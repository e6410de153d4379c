//! `sys/metrics`.

use super::Sys;
use crate::metrics::Report;
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize, Serializer};

/// Tells what is counted and measured.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadMetrics {
    /// `prometheus` for its text format; else it is JSON, in Vault's form.
    #[serde(default)]
    format: String,
}

/// Metrics, as text or JSON.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(super) struct Metrics(#[schemars(with = "serde_json::Value")] Report);

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Report::Text(text) => serializer.serialize_str(text),
            Report::Json(json) => json.serialize(serializer),
        }
    }
}

impl Handle<ReadMetrics> for Sys {
    type Data = Metrics;
    type Error = Fault;

    async fn handle(&self, ask: ReadMetrics, _: &Context) -> Result<Reply<Metrics>, Fault> {
        self.core()?
            .report(&ask.format)
            .map(Metrics)
            .map(Reply::data)
    }
}
