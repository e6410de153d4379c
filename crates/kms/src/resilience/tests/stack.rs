use super::audit::Sink;
use super::*;

fn observed(sink: &Arc<Sink>) -> Observers {
    Observers {
        sinks: vec![Arc::clone(sink) as _],
        ..Observers::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_away_costs_no_more_than_agreed() {
    let sink = Arc::new(Sink::default());
    let inner = Weathered::new(vec![Weather::Slow(seconds(3600)); 1000]);
    let kms = ResilientKms::new(
        Arc::clone(&inner) as _,
        ResilientKmsConfig::production(),
        observed(&sink),
    );
    // Each call ends by its deadline, and after five of them the circuit is open.
    for _ in 0..5 {
        let began = Instant::now();
        let outcome = encrypt(&kms).await;
        assert!(matches!(outcome, Err(KmsError::Timeout { .. })));
        assert!(began.elapsed() <= seconds(31));
    }
    assert_eq!(kms.circuit_state(), Some(CircuitState::Open));
    let calls = inner.calls();
    for _ in 0..100 {
        let outcome = encrypt(&kms).await;
        assert!(matches!(outcome, Err(KmsError::CircuitOpen { .. })));
    }
    assert_eq!(inner.calls(), calls);
    // All are recorded, those that never left too.
    assert_eq!(sink.events.lock().len(), 105);
    assert_eq!(kms.metrics().snapshot().outcome("circuit_open"), 100);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_opened_while_the_service_is_away() {
    let inner = Weathered::new([]);
    let config = ResilientKmsConfig::high_availability();
    let kms = ResilientKms::new(Arc::clone(&inner) as _, config, Observers::default());
    let (key, context) = (id("k"), context("a=1"));
    let envelope = EncryptedEnvelope::seal(&kms, &key, b"x", &context).await;
    let envelope = envelope.unwrap();
    inner.forecast.lock().extend(vec![away(); 1000]);
    for _ in 0..3 {
        assert!(encrypt(&kms).await.is_err());
    }
    assert_eq!(kms.circuit_state(), Some(CircuitState::Open));
    let opened = envelope.open(&kms, &context).await.unwrap();
    assert_eq!(opened.expose(), b"x");
    assert_eq!(kms.cache_stats().unwrap().hits, 1);
}

#[tokio::test(start_paused = true)]
async fn a_passing_fault_is_not_seen() {
    for config in [
        ResilientKmsConfig::development(),
        ResilientKmsConfig::production(),
        ResilientKmsConfig::high_availability(),
    ] {
        let inner = Weathered::new([away()]);
        let kms = ResilientKms::new(Arc::clone(&inner) as _, config, Observers::default());
        encrypt(&kms).await.unwrap();
        assert_eq!((inner.calls(), kms.retries()), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn the_rate_limit_counts_what_the_cache_answers() {
    let config = ResilientKmsConfig {
        rate_limit: Some(RateLimitConfig {
            per_second: 1,
            burst: 2,
            wait_max: Duration::ZERO,
        }),
        ..ResilientKmsConfig::production()
    };
    let inner = Weathered::new([]);
    let kms = ResilientKms::new(Arc::clone(&inner) as _, config, Observers::default());
    let (spec, none) = (DataKeySpec::AES_256, context(""));
    let made = kms.generate_data_key(&id("k"), spec, &none).await.unwrap();
    kms.decrypt_data_key(&made.wrapped, &none).await.unwrap();
    let refused = kms.decrypt_data_key(&made.wrapped, &none).await;
    assert!(matches!(refused, Err(KmsError::RateLimited { .. })));
    assert_eq!(kms.metrics().snapshot().outcome("rate_limited"), 1);
}

#[tokio::test]
async fn the_wrapped_service_conforms() {
    struct Wrapped;
    #[async_trait]
    impl crate::conformance::Harness for Wrapped {
        async fn open(&self) -> crate::conformance::Subject {
            let config = ResilientKmsConfig::production();
            crate::conformance::Subject {
                kms: Arc::new(ResilientKms::new(
                    Arc::new(local()),
                    config,
                    Observers::default(),
                )),
                key: id("k"),
                other_key: Some(id("other")),
            }
        }
    }
    crate::conformance::run(&Wrapped).await.unwrap();
}
