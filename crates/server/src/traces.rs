//! What traces tell of a request: the mount, its type, the operation and the status; nothing of what lies
//! below the mount, and nothing of callers.

use crate::{ServerError, config};
use opentelemetry::KeyValue;
use secretum_core::{Metrics, Response};
use secretum_process::{Traced, Traces};

/// What the server is called in traces.
const SERVICE: &str = "secretum";

/// Begins to send, as the configuration says.
///
/// **Errors**: [`ServerError::Traces`].
pub fn start(config: &config::Traces) -> Result<Traces, ServerError> {
    let endpoint = config.endpoint.to_string();
    let ratio = config.sampling_ratio.as_f64();
    Traces::start(SERVICE, &endpoint, ratio).map_err(ServerError::Traces)
}

/// What the answer tells of the request.
pub(crate) fn describe(traced: &Traced, response: &Response, metrics: &Metrics) {
    if !traced.is_recording() {
        return;
    }
    let (operation, mount_type) = metrics.words(response.measured);
    let mount = response.mount.as_deref().unwrap_or_default().to_owned();
    let attributes = [
        KeyValue::new("secretum.request_id", response.request_id.clone()),
        KeyValue::new("secretum.operation", operation),
        KeyValue::new("secretum.mount", mount),
        KeyValue::new("secretum.mount_type", mount_type),
    ];
    traced.describe(format!("{operation} {mount_type}"), attributes);
}

/// Ends with the status of the answer.
pub(crate) fn end(traced: Traced, status: u16) {
    let attribute = KeyValue::new("http.response.status_code", i64::from(status));
    traced.end(attribute, status >= 500);
}
