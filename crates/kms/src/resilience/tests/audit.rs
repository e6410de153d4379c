use super::*;

/// Keeps the records, or takes none.
#[derive(Debug, Default)]
pub(super) struct Sink {
    pub(super) events: Mutex<Vec<KmsAuditEvent>>,
    full: bool,
}

#[async_trait]
impl KmsAuditSink for Sink {
    async fn record(&self, event: &KmsAuditEvent) -> std::result::Result<(), SinkError> {
        if self.full {
            return Err(SinkError("the disk is full".to_owned()));
        }
        self.events.lock().push(event.clone());
        Ok(())
    }
}

fn audited(inner: &Arc<Weathered>, sinks: &[&Arc<Sink>]) -> AuditedKms {
    let sinks = sinks.iter().map(|sink| Arc::clone(*sink) as _).collect();
    let clock = Arc::new(TestClock::default());
    AuditedKms::new(
        Arc::clone(inner) as _,
        sinks,
        Arc::new(KmsMetrics::new()),
        clock,
    )
}

#[tokio::test(start_paused = true)]
async fn every_call_is_recorded_and_nothing_secret_is() {
    let (inner, sink) = (Weathered::new([]), Arc::new(Sink::default()));
    let kms = audited(&inner, &[&sink]).for_caller("api");
    let bound = context("env=planted-value,app=x");
    inner.expect(Weather::Slow(Duration::from_millis(5)));
    let made = kms
        .encrypt(&id("k"), b"planted-text", &bound)
        .await
        .unwrap();
    assert!(kms.decrypt(&made, &context("")).await.is_err());
    kms.health_check().await.unwrap();
    let events = sink.events.lock().clone();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.operation, event.outcome))
        .collect();
    let expected = [
        (KmsOperation::Encrypt, "ok"),
        (KmsOperation::Decrypt, "not_authentic"),
        (KmsOperation::HealthCheck, "ok"),
    ];
    assert_eq!(told, expected);
    let text = serde_json::to_string(&events).unwrap();
    assert!(!text.contains("planted"), "{text}");
    assert!(
        text.starts_with(
            "[{\"timestamp\":\"2026-01-01T00:00:00Z\",\"caller\":\"api\",\
             \"operation\":\"encrypt\",\"provider\":\"local\",\"key\":\"k\",\
             \"context_keys\":[\"app\",\"env\"],\"outcome\":\"ok\",\"duration_us\":5000}"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn without_a_record_there_is_no_result() {
    let inner = Weathered::new([]);
    let full = Arc::new(Sink {
        full: true,
        ..Sink::default()
    });
    let outcome = encrypt(&audited(&inner, &[&full])).await;
    assert!(matches!(outcome, Err(KmsError::Audit { .. })));
    // One that takes it is enough.
    let sink = Arc::new(Sink::default());
    encrypt(&audited(&inner, &[&full, &sink])).await.unwrap();
    assert_eq!(sink.events.lock().len(), 1);
}

#[tokio::test]
async fn no_key_is_changed_before_that_is_recorded() {
    let inner = Weathered::new([]);
    let full = Arc::new(Sink {
        full: true,
        ..Sink::default()
    });
    let metrics = Arc::new(KmsMetrics::new());
    let (sinks, clock) = (vec![Arc::clone(&full) as _], TestClock::default());
    let kms = AuditedKms::new(
        Arc::clone(&inner) as _,
        sinks,
        Arc::clone(&metrics),
        Arc::new(clock),
    );
    let outcome = kms.rotate_key(&id("k")).await;
    assert!(matches!(outcome, Err(KmsError::Audit { .. })));
    assert_eq!((inner.calls(), metrics.snapshot().outcome("audit")), (0, 1));
    let sink = Arc::new(Sink::default());
    let _ = audited(&inner, &[&full, &sink]).rotate_key(&id("k")).await;
    let told = sink.events.lock().clone();
    let told: Vec<_> = told.iter().map(|event| event.outcome).collect();
    // The keys of this service stand in its environment.
    assert_eq!((told, inner.calls()), (vec!["begun", "unsupported"], 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_went_away_is_recorded() {
    let inner = Weathered::new([Weather::Slow(seconds(60))]);
    let sink = Arc::new(Sink::default());
    let kms = audited(&inner, &[&sink]);
    let cancelled = tokio::time::timeout(seconds(1), encrypt(&kms)).await;
    assert!(cancelled.is_err());
    tokio::task::yield_now().await;
    let events = sink.events.lock().clone();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].outcome, events[0].duration),
        ("cancelled", seconds(1))
    );
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted() {
    let metrics = Arc::new(KmsMetrics::new());
    let inner = Weathered::new([Weather::Slow(Duration::from_micros(5_000)), refused()]);
    let clock = Arc::new(TestClock::default());
    let kms = AuditedKms::new(inner as _, Vec::new(), Arc::clone(&metrics), clock);
    for _ in 0..3 {
        let _ = encrypt(&kms).await;
    }
    let snapshot = metrics.snapshot();
    assert_eq!((snapshot.total(), snapshot.outcome("ok")), (3, 2));
    assert_eq!(snapshot.outcome("not_authentic"), 1);
    let text = snapshot.to_prometheus("local");
    for line in [
        "secretum_kms_operations_total{provider=\"local\",operation=\"encrypt\",outcome=\"ok\"} 2",
        "secretum_kms_operation_duration_seconds_bucket{provider=\"local\",operation=\"encrypt\",le=\"+Inf\"} 3",
        "secretum_kms_operation_duration_seconds_count{provider=\"local\",operation=\"encrypt\"} 3",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}\n{text}");
    }
    // The timer ticks in milliseconds, so that 5 ms may have become 6.
    let encrypts = &snapshot.operations[&KmsOperation::Encrypt];
    assert_eq!(encrypts.durations[..3].iter().sum::<u64>(), 2);
    assert_eq!(encrypts.durations.iter().sum::<u64>(), 3);
}

#[tokio::test]
async fn what_is_encrypted_anew_tells_where_it_came_from() {
    let (inner, sink) = (Weathered::new([]), Arc::new(Sink::default()));
    let kms = audited(&inner, &[&sink]);
    let (old, new) = (context("env=planted-a"), context("team=planted-b"));
    let made = kms.encrypt(&id("k"), b"text", &old).await.unwrap();
    kms.re_encrypt(&made, &old, &id("k"), &new).await.unwrap();
    let spec = crate::DataKeySpec::AES_256;
    kms.generate_data_key_without_plaintext(&id("k"), spec, &new)
        .await
        .unwrap();
    let text = |at: usize| serde_json::to_value(&sink.events.lock()[at]).unwrap();
    assert!(text(0).get("from_key").is_none());
    let anew = text(1);
    assert_eq!(anew["from_key"], "k");
    assert_eq!(anew["from_context_keys"], serde_json::json!(["env"]));
    assert_eq!(anew["context_keys"], serde_json::json!(["team"]));
    assert_eq!(text(2)["operation"], "generate_data_key_without_plaintext");
    assert!(!anew.to_string().contains("planted"));
}
