use super::*;

fn breaking(inner: &Arc<Weathered>, config: CircuitBreakerConfig) -> Arc<CircuitBreakerKms> {
    Arc::new(CircuitBreakerKms::new(Arc::clone(inner) as _, config))
}

/// A breaker whose circuit is open, and the service below it.
async fn open(config: CircuitBreakerConfig) -> (Arc<Weathered>, Arc<CircuitBreakerKms>) {
    let inner = Weathered::new(vec![away(); 5]);
    let kms = breaking(&inner, config);
    for _ in 0..5 {
        assert_eq!(kms.state(), CircuitState::Closed);
        assert!(encrypt(&*kms).await.is_err());
    }
    assert_eq!(kms.state(), CircuitState::Open);
    (inner, kms)
}

#[tokio::test(start_paused = true)]
async fn faults_in_a_row_open_it_and_successes_close_it() {
    let (inner, kms) = open(CircuitBreakerConfig::default()).await;
    let outcome = encrypt(&*kms).await;
    assert!(
        matches!(outcome, Err(KmsError::CircuitOpen { retry_in, .. }) if retry_in == seconds(30))
    );
    assert_eq!(inner.calls(), 5);
    tokio::time::advance(seconds(30)).await;
    for _ in 0..3 {
        encrypt(&*kms).await.unwrap();
    }
    assert_eq!(kms.state(), CircuitState::Closed);
    assert_eq!(inner.calls(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_success_in_between_starts_the_count_anew() {
    let mut forecast = vec![away(); 4];
    forecast.push(Weather::Fine);
    forecast.extend(vec![away(); 4]);
    let kms = breaking(&Weathered::new(forecast), CircuitBreakerConfig::default());
    for _ in 0..9 {
        let _ = encrypt(&*kms).await;
    }
    assert_eq!(kms.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_refused_decrypt_does_not_trip_it() {
    let inner = Weathered::new([]);
    let kms = breaking(&inner, CircuitBreakerConfig::default());
    let made = kms.encrypt(&id("k"), b"x", &context("a=1")).await.unwrap();
    for _ in 0..20 {
        let outcome = kms.decrypt(&made, &context("a=2")).await;
        assert!(matches!(outcome, Err(KmsError::NotAuthentic { .. })));
    }
    assert_eq!(kms.state(), CircuitState::Closed);
    for fault in [refused(), throttled(None)] {
        let kms = breaking(
            &Weathered::new(vec![fault; 20]),
            CircuitBreakerConfig::default(),
        );
        for _ in 0..20 {
            assert!(encrypt(&*kms).await.is_err());
        }
        assert_eq!(kms.state(), CircuitState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn half_open_lets_few_through() {
    let config = CircuitBreakerConfig {
        probes_max: 2,
        ..CircuitBreakerConfig::default()
    };
    let (inner, kms) = open(config).await;
    tokio::time::advance(seconds(30)).await;
    for _ in 0..2 {
        inner.expect(Weather::Slow(seconds(1)));
    }
    inner.most_at_once.store(0, Ordering::SeqCst);
    let calls = (0..50).map(|_| encrypt(&*kms));
    let outcomes = futures::future::join_all(calls).await;
    let passed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(passed, 2);
    assert_eq!(inner.calls(), 5 + 2);
    assert_eq!(inner.most_at_once.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_a_probe_opens_it_again() {
    let (inner, kms) = open(CircuitBreakerConfig::default()).await;
    tokio::time::advance(seconds(30)).await;
    inner.expect(away());
    assert!(encrypt(&*kms).await.is_err());
    assert_eq!(kms.state(), CircuitState::Open);
    let outcome = encrypt(&*kms).await;
    assert!(
        matches!(outcome, Err(KmsError::CircuitOpen { retry_in, .. }) if retry_in == seconds(30))
    );
    // It comes back however long it was away.
    tokio::time::advance(seconds(3600)).await;
    for _ in 0..3 {
        encrypt(&*kms).await.unwrap();
    }
    assert_eq!(kms.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_went_away_gives_its_place_back() {
    let (inner, kms) = open(CircuitBreakerConfig::default()).await;
    tokio::time::advance(seconds(30)).await;
    for _ in 0..10 {
        inner.expect(Weather::Slow(seconds(3600)));
        let call = encrypt(&*kms);
        let cancelled = tokio::time::timeout(Duration::from_millis(1), call).await;
        assert!(cancelled.is_err());
        assert_eq!(kms.state(), CircuitState::HalfOpen);
    }
    assert_eq!(inner.calls(), 15);
    encrypt(&*kms).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_from_before_does_not_judge_what_came_after() {
    let inner = Weathered::new([Weather::Slow(seconds(31))]);
    let kms = breaking(&inner, CircuitBreakerConfig::default());
    let early = encrypt(&*kms);
    let later = async {
        tokio::task::yield_now().await;
        for _ in 0..5 {
            inner.expect(away());
        }
        for _ in 0..5 {
            assert!(encrypt(&*kms).await.is_err());
        }
        assert_eq!(kms.state(), CircuitState::Open);
        tokio::time::sleep(seconds(30)).await;
        encrypt(&*kms).await.unwrap();
        encrypt(&*kms).await.unwrap();
        // Two of three successes: the early call, which ends now, is none of them.
        tokio::time::sleep(seconds(2)).await;
        assert_eq!(kms.state(), CircuitState::HalfOpen);
    };
    let (early, ()) = futures::future::join(early, later).await;
    early.unwrap();
    assert_eq!(kms.state(), CircuitState::HalfOpen);
}
