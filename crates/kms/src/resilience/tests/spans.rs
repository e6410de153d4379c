//! The span of a call, as whoever collects traces sees it.

use super::*;
use std::fmt::Write as _;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down spans and what is in them, and how often each was entered.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Collected>>);

#[derive(Debug, Default)]
struct Collected {
    spans: Vec<String>,
    entered: Vec<u32>,
    /// Everything else that was said.
    rest: String,
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Collector {
    fn place(id: &Id) -> usize {
        usize::try_from(id.into_u64()).unwrap() - 1
    }
}

impl Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut said = span.metadata().name().to_owned();
        span.record(&mut Line(&mut said));
        let mut collected = self.0.lock();
        collected.spans.push(said);
        collected.entered.push(0);
        Id::from_u64(u64::try_from(collected.spans.len()).unwrap())
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut collected = self.0.lock();
        values.record(&mut Line(&mut collected.spans[Self::place(span)]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Line(&mut self.0.lock().rest));
    }

    fn enter(&self, span: &Id) {
        self.0.lock().entered[Self::place(span)] += 1;
    }

    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn each_call_has_a_span_with_its_fields_and_no_secret() {
    let inner = Weathered::new([]);
    let kms = ResilientKms::new(
        Arc::clone(&inner) as _,
        ResilientKmsConfig::development(),
        Observers::default(),
    );
    let bound = context("env=planted-value");
    // A place that is met for the first time by a test beside this one is taken for one that nobody
    // collects. Those that are known are looked at anew when the collector comes.
    let met = kms.encrypt(&id("k"), b"planted-text", &bound).await;
    kms.decrypt(&met.unwrap(), &bound).await.unwrap();
    kms.health_check().await.unwrap();
    let collector = Collector::default();
    let _collecting = tracing::subscriber::set_default(collector.clone());
    let made = kms.encrypt(&id("k"), b"planted-text", &bound).await;
    let made = made.unwrap();
    assert_eq!(
        kms.decrypt(&made, &bound).await.unwrap().expose(),
        b"planted-text"
    );
    kms.health_check().await.unwrap();
    let collected = collector.0.lock();
    let spans: Vec<_> = collected.spans.iter().map(String::as_str).collect();
    assert_eq!(
        spans,
        [
            "kms operation=\"encrypt\" provider=\"local\" key=\"k\"",
            "kms operation=\"decrypt\" provider=\"local\" key=\"k\"",
            "kms operation=\"health_check\" provider=\"local\"",
        ]
    );
    assert!(collected.entered.iter().all(|times| *times > 0));
    assert!(!collected.rest.contains("planted"), "{}", collected.rest);
}
