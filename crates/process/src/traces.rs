//! [`Traces`]: a span for each request, sent to a receiver of OpenTelemetry (OTLP over HTTP).
//!
//! What cannot be sent is lost: no request waits for a receiver.

use http::header::{HeaderMap, HeaderName};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    FutureExt as _, SpanKind, Status, TraceContextExt as _, Tracer, TracerProvider, WithContext,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

pub use opentelemetry_otlp::ExporterBuildError as TracesError;

/// Sends a span for each request that is sampled.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
}

/// A request that is traced, or that is not sampled.
#[derive(Debug)]
pub struct Traced(Context);

/// Headers, as the propagator asks for them.
struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

impl Traces {
    /// Sends what `service` does to the receiver at `endpoint` (before `/v1/traces`). Of the requests whose
    /// caller sends no `traceparent`, this part is traced, from 0 to 1; of the others, those that the caller
    /// traces.
    ///
    /// **Errors**: [`TracesError`], where nothing can be sent there.
    pub fn start(service: &'static str, endpoint: &str, ratio: f64) -> Result<Self, TracesError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(Resource::builder().with_service_name(service).build())
            .build();
        Ok(Self {
            tracer: provider.tracer(service),
            provider,
            propagator: TraceContextPropagator::new(),
        })
    }

    /// What makes spans, for those inside of a request.
    pub fn tracer(&self) -> SdkTracer {
        self.tracer.clone()
    }

    /// Begins the span of a request, below that of its caller.
    pub fn begin(&self, headers: &HeaderMap) -> Traced {
        let caller = Context::new();
        let caller = self
            .propagator
            .extract_with_context(&caller, &Headers(headers));
        let builder = self
            .tracer
            .span_builder("request")
            .with_kind(SpanKind::Server);
        let span = self.tracer.build_with_context(builder, &caller);
        Traced(caller.with_span(span))
    }

    /// Sends what is left, and ends. Takes up to a few seconds, and blocks.
    pub fn end(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

impl Traced {
    /// Whether anybody will see what is told of it.
    pub fn is_recording(&self) -> bool {
        self.0.span().is_recording()
    }

    /// Tells what it is called, and more of it.
    pub fn describe(&self, name: String, attributes: impl IntoIterator<Item = KeyValue>) {
        let span = self.0.span();
        span.update_name(name);
        span.set_attributes(attributes);
    }

    /// Spans that begin in `work` stand below it.
    pub fn around<F: Future>(&self, work: F) -> WithContext<F> {
        work.with_context(self.0.clone())
    }

    /// Ends with the status of the answer; `failed` where that is the server's fault.
    pub fn end(self, status: KeyValue, failed: bool) {
        let span = self.0.span();
        span.set_attribute(status);
        if failed {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}
