//! [`Traces`]: a span for each request, sent to a receiver of OpenTelemetry (OTLP over HTTP).
//!
//! A span tells the mount, its type, the operation and the status; nothing of what lies below the
//! mount, and nothing of callers. What cannot be sent is lost: no request waits for a receiver.

use crate::ServerError;
use hyper::header::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};
use secretum_core::{Metrics, Response};

/// What the server is called in traces.
const SERVICE: &str = "secretum";

/// Sends a span for each request that is sampled.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
}

/// A request that is traced.
#[derive(Debug)]
pub(crate) struct Traced(Span);

/// Headers, as the propagator asks for them.
struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0
            .keys()
            .map(hyper::header::HeaderName::as_str)
            .collect()
    }
}

impl Traces {
    /// Sends to the receiver at `endpoint` (before `/v1/traces`). Of the requests whose caller sends no
    /// `traceparent`, this part is traced, from 0 to 1; of the others, those that the caller traces.
    ///
    /// **Errors**: [`ServerError::Traces`].
    pub fn start(endpoint: &str, ratio: f64) -> Result<Self, ServerError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()
            .map_err(|error| ServerError::Traces(error.to_string()))?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(Resource::builder().with_service_name(SERVICE).build())
            .build();
        Ok(Self {
            tracer: provider.tracer(SERVICE),
            provider,
            propagator: TraceContextPropagator::new(),
        })
    }

    /// Begins the span of a request, below that of its caller.
    pub(crate) fn begin(&self, headers: &HeaderMap) -> Traced {
        let caller = Context::new();
        let caller = self
            .propagator
            .extract_with_context(&caller, &Headers(headers));
        let builder = self
            .tracer
            .span_builder("request")
            .with_kind(SpanKind::Server);
        Traced(self.tracer.build_with_context(builder, &caller))
    }

    /// Sends what is left, and ends. Takes up to a few seconds, and blocks.
    pub fn end(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

impl Traced {
    /// What the answer tells of the request.
    pub(crate) fn describe(&mut self, response: &Response, metrics: &Metrics) {
        if !self.0.is_recording() {
            return;
        }
        let (operation, mount_type) = metrics.words(response.measured);
        self.0.update_name(format!("{operation} {mount_type}"));
        let mount = response.mount.as_deref().unwrap_or_default().to_owned();
        self.0.set_attributes([
            KeyValue::new("secretum.request_id", response.request_id.clone()),
            KeyValue::new("secretum.operation", operation),
            KeyValue::new("secretum.mount", mount),
            KeyValue::new("secretum.mount_type", mount_type),
        ]);
    }

    /// Ends with the status of the answer.
    pub(crate) fn end(mut self, status: u16) {
        self.0.set_attribute(KeyValue::new(
            "http.response.status_code",
            i64::from(status),
        ));
        if status >= 500 {
            self.0.set_status(Status::error(""));
        }
        self.0.end();
    }
}
