//! The log on standard error: what is written, what never is, and [`records`], which are always; and the spans
//! that traces get of it.

mod records;

use crate::config::Log;
use secretum_process::{LogGuard, LogOut, NonBlocking, Traces};
use std::cell::RefCell;
use std::io::{self, Write};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, filter};

/// How the crates of the clouds' libraries begin. Below `info` they write whole requests: plaintexts in
/// base64, and tokens.
const CLOUDS: [&str; 5] = ["aws_", "azure_", "gaxi", "google_cloud_", "typespec"];

/// The target of audit records.
const AUDIT: &str = "kms_audit";

/// They are written at every level.
const AUDIT_LEVEL: &str = "kms_audit=info";

thread_local! {
    /// The line of an audit record that this thread has the log make.
    static RECORD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A log that was started.
#[derive(Debug)]
#[must_use = "lines are lost once it is dropped"]
pub(crate) struct Logging {
    out: LogOut,
    _guard: LogGuard,
}

/// Logs to standard error until what comes back is dropped, and tells `traces` of the calls of key services.
/// RUST_LOG goes before the configured level; neither opens what is secret, nor shuts audit records out.
pub(crate) fn start(log: &Log, traces: Option<&Traces>) -> Logging {
    let to = LogOut::stderr();
    let (lines, guard) = to.lines();
    let out = Lines(lines);
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| configured(log));
    let filter = match AUDIT_LEVEL.parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    // It can only fail where another log was started, which then goes on.
    let _ = tracing_subscriber::registry()
        .with(traces.map(calls))
        .with(written(log.json, filter, out))
        .try_init();
    Logging {
        out: to,
        _guard: guard,
    }
}

/// A record as the log has its lines; nothing where none was started.
fn line(record: &str) -> Vec<u8> {
    RECORD.take();
    tracing::info!(target: AUDIT, record, "audit");
    RECORD.take()
}

/// Takes lines for the log; those of audit records go back to who writes them.
struct Lines(NonBlocking);

enum Line {
    OfLog(NonBlocking),
    OfRecord,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line::OfLog(self.0.clone())
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        match metadata.target() {
            AUDIT => Line::OfRecord,
            _ => self.make_writer(),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::OfLog(lines) => lines.write(bytes),
            Self::OfRecord => RECORD.with_borrow_mut(|record| record.write(bytes)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn configured(log: &Log) -> EnvFilter {
    EnvFilter::new(format!("{},hyper=warn,rustls=warn,h2=warn", log.level))
}

/// What is written.
fn written<S, W>(json: bool, filter: EnvFilter, writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_ansi(false);
    let lines = lines.with_writer(writer);
    let lines = match json {
        true => lines.json().boxed(),
        false => lines.boxed(),
    };
    lines
        .with_filter(filter)
        .with_filter(filter::filter_fn(is_fit))
}

/// The spans of calls of key services, below those of requests. Spans of others may hold anything.
fn calls<S>(traces: &Traces) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let of_kms = |metadata: &Metadata<'_>| {
        metadata.is_span() && metadata.target().starts_with("secretum_kms::")
    };
    tracing_opentelemetry::layer()
        .with_tracer(traces.tracer())
        .with_location(false)
        .with_threads(false)
        .with_filter(filter::filter_fn(of_kms))
}

/// A filter of its own, for one of RUST_LOG can name a module, and would go before what names its crate.
fn is_fit(metadata: &Metadata<'_>) -> bool {
    let names_cloud = |text: &str| CLOUDS.iter().any(|cloud| text.starts_with(cloud));
    let of_cloud =
        names_cloud(metadata.target()) || metadata.module_path().is_some_and(names_cloud);
    !of_cloud || *metadata.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// `planted`, as the library of AWS has it in a request.
    const PLANTED: &str = "cGxhbnRlZA==";

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written when each library shows a request, as it does at its own level.
    fn said(filter: EnvFilter) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = written(false, filter, move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", request = PLANTED);
            tracing::trace!(target: "aws_runtime::auth::sigv4", request = PLANTED);
            tracing::debug!(target: "google_cloud_kms_v1::tracing", request = PLANTED);
            tracing::debug!(target: "google_cloud_gax_internal::observability", PLANTED);
            tracing::debug!(target: "typespec_client_core::http", request = PLANTED);
            tracing::debug!(target: "azure_core::http", request = PLANTED);
            tracing::warn!(target: "aws_config::profile", "a warning of theirs");
            tracing::trace!("a line of ours");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn libraries_of_clouds_show_no_request_at_any_level() {
        for level in ["info", "debug", "trace"] {
            let json = false;
            let level = level.to_owned();
            let said = said(configured(&Log { json, level }));
            assert!(!said.contains(PLANTED), "{said}");
            assert!(said.contains("a warning of theirs"), "{said}");
        }
    }

    #[test]
    fn no_filter_of_the_caller_opens_them() {
        for directives in [
            "trace",
            "trace,aws_smithy_runtime::client::orchestrator=trace",
            "trace,google_cloud_kms_v1::tracing=trace,typespec_client_core=trace",
        ] {
            let said = said(EnvFilter::new(directives));
            assert!(!said.contains(PLANTED), "{directives}: {said}");
            assert!(said.contains("a line of ours"), "{directives}: {said}");
        }
    }
}
