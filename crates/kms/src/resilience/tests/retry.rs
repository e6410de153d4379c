use super::*;

fn retrying(inner: &Arc<Weathered>, config: RetryConfig) -> RetryKms {
    RetryKms::new(Arc::clone(inner) as _, config, Arc::new(SystemRng))
}

fn even() -> RetryConfig {
    RetryConfig {
        jitter: false,
        ..RetryConfig::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_ever_later() {
    let inner = Weathered::new([away(), away(), throttled(None)]);
    let kms = retrying(&inner, even());
    let began = Instant::now();
    encrypt(&kms).await.unwrap();
    assert_eq!((inner.calls(), kms.retries()), (4, 3));
    assert_eq!(began.elapsed(), Duration::from_millis(100 + 200 + 400));
}

#[tokio::test(start_paused = true)]
async fn tries_have_their_limit() {
    let inner = Weathered::new([away(), away(), away(), away(), away()]);
    let refused = encrypt(&retrying(&inner, even())).await;
    assert!(matches!(refused, Err(KmsError::Unavailable { .. })));
    assert_eq!(inner.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_tried_again() {
    for fault in [
        refused(),
        Weather::Fault(KmsError::Audit {
            reason: String::new(),
        }),
        Weather::Fault(KmsError::BadAnswer {
            provider: "local",
            reason: String::new(),
        }),
    ] {
        let inner = Weathered::new([fault]);
        assert!(encrypt(&retrying(&inner, even())).await.is_err());
        assert_eq!(inner.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_not_tried_again() {
    let inner = Weathered::new([away()]);
    let kms = retrying(&inner, even());
    let outcome = kms.rotate_key(&id("k")).await;
    assert!(matches!(outcome, Err(KmsError::Unavailable { .. })));
    assert_eq!(inner.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_names_its_time_is_given_it() {
    let inner = Weathered::new([throttled(Some(seconds(20)))]);
    let began = Instant::now();
    encrypt(&retrying(&inner, even())).await.unwrap();
    assert_eq!(began.elapsed(), seconds(20));
    // Beyond the deadline there is no waiting at all, however far beyond.
    for asked in [30, u64::MAX] {
        let inner = Weathered::new([throttled(Some(seconds(asked)))]);
        let began = Instant::now();
        let outcome = encrypt(&retrying(&inner, even())).await;
        assert!(matches!(outcome, Err(KmsError::Throttled { .. })));
        assert_eq!((began.elapsed(), inner.calls()), (Duration::ZERO, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_beyond_the_deadline() {
    let inner = Weathered::new([Weather::Slow(seconds(3600))]);
    let began = Instant::now();
    let outcome = encrypt(&retrying(&inner, even())).await;
    assert!(matches!(outcome, Err(KmsError::Timeout { .. })));
    assert_eq!(began.elapsed(), seconds(30));
}

#[tokio::test(start_paused = true)]
async fn waits_differ_and_stay_within_their_bounds() {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let inner = Weathered::new([away()]);
        let began = Instant::now();
        encrypt(&retrying(&inner, RetryConfig::default()))
            .await
            .unwrap();
        let waited = began.elapsed().as_millis();
        assert!((50..=101).contains(&waited), "{waited}");
        seen.insert(waited);
    }
    assert!(seen.len() > 5, "{seen:?}");
    let config = RetryConfig {
        retries_max: 9,
        delay_max: seconds(1),
        deadline: seconds(3600),
        ..even()
    };
    let inner = Weathered::new(vec![away(); 9]);
    let began = Instant::now();
    encrypt(&retrying(&inner, config)).await.unwrap();
    assert_eq!(
        began.elapsed(),
        Duration::from_millis(100 + 200 + 400 + 800) + seconds(5)
    );
}

#[tokio::test(start_paused = true)]
async fn a_try_that_hangs_is_ended() {
    let inner = Weathered::new([Weather::Slow(seconds(3600))]);
    let kms = TimeoutKms::new(Arc::clone(&inner) as _, seconds(5));
    let began = Instant::now();
    let outcome = encrypt(&kms).await;
    assert!(matches!(outcome, Err(KmsError::Timeout { after, .. }) if after == seconds(5)));
    assert_eq!(began.elapsed(), seconds(5));
}

#[tokio::test(start_paused = true)]
async fn a_rotation_has_its_own_time() {
    for (limit, after) in [(3, 20), (60, 60)] {
        let inner = Weathered::new([Weather::Slow(seconds(after - 1))]);
        let kms = TimeoutKms::new(Arc::clone(&inner) as _, seconds(limit));
        let outcome = kms.rotate_key(&id("k")).await;
        // Keys without a file are not rotated.
        assert!(matches!(outcome, Err(KmsError::Unsupported { .. })));
        inner.expect(Weather::Slow(seconds(after + 1)));
        let outcome = kms.rotate_key(&id("k")).await;
        let Err(KmsError::Timeout { after: told, .. }) = outcome else {
            panic!("it ended with {outcome:?}");
        };
        assert_eq!(told, seconds(after));
    }
}

#[tokio::test(start_paused = true)]
async fn no_preset_cuts_a_rotation_off() {
    for config in [
        ResilientKmsConfig::development(),
        ResilientKmsConfig::production(),
        ResilientKmsConfig::high_availability(),
    ] {
        let inner = Weathered::new([Weather::Slow(seconds(19))]);
        let kms = ResilientKms::new(Arc::clone(&inner) as _, config, Observers::default());
        let outcome = kms.rotate_key(&id("k")).await;
        assert!(matches!(outcome, Err(KmsError::Unsupported { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_spreads_calls_and_refuses_too_many() {
    let inner = Weathered::new([]);
    let config = RateLimitConfig {
        per_second: 10,
        burst: 3,
        wait_max: Duration::from_millis(250),
    };
    let kms = RateLimitKms::new(Arc::clone(&inner) as _, config);
    let began = Instant::now();
    let calls = (0..7).map(|_| encrypt(&kms));
    let outcomes = futures::future::join_all(calls).await;
    // Three at once, two that wait for 100 and 200 ms, and two that would wait too long.
    let passed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!((passed, inner.calls()), (5, 5));
    assert_eq!(began.elapsed().as_millis(), 200);
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    for error in refused {
        assert!(
            matches!(error, KmsError::RateLimited { retry_in } if retry_in.as_millis() == 50),
            "{error}"
        );
    }
    tokio::time::sleep(seconds(1)).await;
    assert!(encrypt(&kms).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_turn_of_a_call_that_is_given_up_goes_to_the_next() {
    let inner = Weathered::new([]);
    let config = RateLimitConfig {
        per_second: 10,
        burst: 1,
        wait_max: seconds(1),
    };
    let kms = RateLimitKms::new(Arc::clone(&inner) as _, config);
    let began = Instant::now();
    encrypt(&kms).await.unwrap();
    let soon = Duration::from_millis(50);
    // Ten may wait; all of them go away, the first of them too.
    let given_up = (0..11).map(|_| tokio::time::timeout(soon, encrypt(&kms)));
    let given_up = futures::future::join_all(given_up).await;
    let is_refused = |outcome: &&std::result::Result<Result<_>, _>| matches!(outcome, Ok(Err(_)));
    assert_eq!(given_up.iter().filter(is_refused).count(), 1);
    assert_eq!(inner.calls(), 1);
    encrypt(&kms).await.unwrap();
    assert_eq!(began.elapsed().as_millis(), 100);
    // Who waits behind one that goes away comes as much earlier, and no two come at once.
    let first = tokio::time::timeout(soon, encrypt(&kms));
    let others = futures::future::join_all((0..2).map(|_| encrypt(&kms)));
    let (first, others) = futures::future::join(first, others).await;
    assert!(first.is_err() && others.iter().all(Result::is_ok));
    assert_eq!((began.elapsed().as_millis(), inner.calls()), (300, 4));
}
