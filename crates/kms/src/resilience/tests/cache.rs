use super::*;
use crate::{EnvKeyProvider, ProviderKms};

fn caching(inner: &Arc<Weathered>, config: KmsCacheConfig) -> CachedKms {
    CachedKms::new(Arc::clone(inner) as _, config)
}

async fn wrapped(inner: &Weathered, text: &str) -> Ciphertext {
    let spec = DataKeySpec::AES_256;
    let (key, context) = (id("k"), context(text));
    let made = inner.generate_data_key_without_plaintext(&key, spec, &context);
    let made = made.await.unwrap();
    inner.calls.store(0, Ordering::SeqCst);
    made
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_cause_one_call() {
    let inner = Weathered::new([]);
    let wrapped = wrapped(&inner, "a=1").await;
    inner.expect(Weather::Slow(seconds(1)));
    let kms = caching(&inner, KmsCacheConfig::default());
    let context = context("a=1");
    let calls = (0..1000).map(|_| kms.decrypt_data_key(&wrapped, &context));
    let opened = futures::future::join_all(calls).await;
    let first = opened[0].as_ref().unwrap();
    assert!(opened.iter().all(|other| other.as_ref().unwrap() == first));
    assert_eq!(inner.calls(), 1);
    let stats = kms.stats();
    assert_eq!((stats.misses, stats.joined, stats.entries), (1, 999, 1));
    kms.decrypt_data_key(&wrapped, &context).await.unwrap();
    assert_eq!((inner.calls(), kms.stats().hits), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_many_threads_cause_one_call() {
    for _ in 0..20 {
        let inner = Weathered::new([]);
        let wrapped = wrapped(&inner, "").await;
        let kms = Arc::new(caching(&inner, KmsCacheConfig::default()));
        let calls = (0..200).map(|_| {
            let (kms, wrapped) = (Arc::clone(&kms), wrapped.clone());
            tokio::spawn(async move { kms.decrypt_data_key(&wrapped, &context("")).await })
        });
        for call in futures::future::join_all(calls).await {
            call.unwrap().unwrap();
        }
        assert_eq!(inner.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_to_all_and_not_kept() {
    let inner = Weathered::new([]);
    let wrapped = wrapped(&inner, "").await;
    inner.expect(away());
    let kms = caching(&inner, KmsCacheConfig::default());
    let context = context("");
    let calls = (0..10).map(|_| kms.decrypt_data_key(&wrapped, &context));
    let outcomes = futures::future::join_all(calls).await;
    assert!(outcomes.iter().all(Result::is_err));
    assert_eq!((inner.calls(), kms.stats().entries), (1, 0));
    kms.decrypt_data_key(&wrapped, &context).await.unwrap();
    assert_eq!(inner.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_takes_nothing_from_others() {
    let inner = Weathered::new([]);
    let wrapped = wrapped(&inner, "").await;
    inner.expect(Weather::Slow(seconds(5)));
    let kms = caching(&inner, KmsCacheConfig::default());
    let context = context("");
    let first = kms.decrypt_data_key(&wrapped, &context);
    let first = tokio::time::timeout(seconds(1), first);
    let second = kms.decrypt_data_key(&wrapped, &context);
    let (first, second) = futures::future::join(first, second).await;
    assert!(first.is_err());
    second.unwrap();
    assert_eq!(inner.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_context_or_ciphertext_is_another_entry() {
    let inner = Weathered::new([]);
    let one = wrapped(&inner, "a=1").await;
    let other = wrapped(&inner, "a=1").await;
    let kms = caching(&inner, KmsCacheConfig::default());
    let first = kms.decrypt_data_key(&one, &context("a=1")).await.unwrap();
    // What is kept is not given to who has another context.
    for text in ["", "a=2", "a=1,b=1"] {
        let refused = kms.decrypt_data_key(&one, &context(text)).await;
        assert!(matches!(refused, Err(KmsError::NotAuthentic { .. })));
    }
    let second = kms.decrypt_data_key(&other, &context("a=1")).await.unwrap();
    assert!(first != second);
    assert_eq!(kms.stats().hits, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_gone_also_when_nobody_asks() {
    let inner = Weathered::new([]);
    let wrapped = wrapped(&inner, "").await;
    let kms = caching(&inner, KmsCacheConfig::default());
    kms.decrypt_data_key(&wrapped, &context("")).await.unwrap();
    tokio::time::sleep(seconds(299)).await;
    kms.decrypt_data_key(&wrapped, &context("")).await.unwrap();
    assert_eq!((inner.calls(), kms.stats().entries), (1, 1));
    tokio::time::sleep(seconds(2)).await;
    let stats = kms.stats();
    assert_eq!((stats.entries, stats.expirations), (0, 1));
    kms.decrypt_data_key(&wrapped, &context("")).await.unwrap();
    assert_eq!(inner.calls(), 2);
    // And the sweeping goes on with what came later.
    tokio::time::sleep(seconds(301)).await;
    assert_eq!(kms.stats().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn each_of_many_goes_at_its_time_and_what_made_room_is_not_counted_again() {
    let inner = Weathered::new([]);
    let config = KmsCacheConfig {
        entries_max: 600,
        ..KmsCacheConfig::default()
    };
    let kms = caching(&inner, config);
    let (key, none) = (id("k"), context(""));
    let make = async || {
        let made = kms.generate_data_key(&key, DataKeySpec::AES_256, &none);
        made.await.unwrap().wrapped
    };
    for _ in 0..300 {
        make().await;
    }
    tokio::time::sleep(seconds(10)).await;
    let mut last = make().await;
    for _ in 0..399 {
        last = make().await;
    }
    assert_eq!((kms.stats().entries, kms.stats().evictions), (600, 100));
    // The same one again, that is still kept.
    kms.decrypt_data_key(&last, &context("")).await.unwrap();
    tokio::time::sleep(seconds(291)).await;
    assert_eq!((kms.stats().entries, kms.stats().expirations), (400, 200));
    tokio::time::sleep(seconds(10)).await;
    assert_eq!((kms.stats().entries, kms.stats().expirations), (0, 600));
    make().await;
    kms.clear();
    make().await;
    tokio::time::sleep(seconds(301)).await;
    assert_eq!((kms.stats().entries, kms.stats().expirations), (0, 601));
}

#[tokio::test(start_paused = true)]
async fn the_size_has_its_limit_and_what_goes_is_dropped() {
    let inner = Weathered::new([]);
    let config = KmsCacheConfig {
        entries_max: 2,
        ..KmsCacheConfig::default()
    };
    let kms = caching(&inner, config);
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(wrapped(&inner, "").await);
    }
    for at in [0, 1, 0, 2] {
        kms.decrypt_data_key(&made[at], &context("")).await.unwrap();
    }
    assert_eq!(inner.calls(), 3);
    let stats = kms.stats();
    assert_eq!((stats.entries, stats.evictions, stats.hits), (2, 1, 1));
    // The second was not used for longest.
    kms.decrypt_data_key(&made[0], &context("")).await.unwrap();
    assert_eq!(inner.calls(), 3);
    kms.decrypt_data_key(&made[1], &context("")).await.unwrap();
    assert_eq!(inner.calls(), 4);
    kms.clear();
    assert_eq!(kms.stats().entries, 0);
}

/// A secret is zeroed when its last owner drops it.
#[tokio::test(start_paused = true)]
async fn nobody_holds_what_is_no_longer_kept() {
    let inner = Weathered::new([]);
    let config = KmsCacheConfig {
        entries_max: 2,
        generated_uses_max: 2,
        ..KmsCacheConfig::default()
    };
    let ttl = config.ttl;
    let kms = caching(&inner, config);
    let (spec, none) = (DataKeySpec::AES_256, context(""));
    let wrapped = [wrapped(&inner, "").await, wrapped(&inner, "").await];
    let fill = async || {
        // One that was made, and is kept as one that was opened too.
        kms.generate_data_key(&id("k"), spec, &none).await.unwrap();
        let kept = kms.kept();
        assert!(kept.len() == 2 && kept.iter().all(|kept| kept.strong_count() == 1));
        kept
    };
    let is_gone = |kept: &[std::sync::Weak<dyn std::any::Any>]| {
        let held = kept.iter().filter(|kept| kept.strong_count() > 0);
        held.count() == 0
    };
    let evicted = fill().await;
    for wrapped in &wrapped {
        // Many at once share one call, and what it gave.
        let opened = (0..10).map(|_| kms.decrypt_data_key(wrapped, &none));
        let opened = futures::future::join_all(opened).await;
        assert!(opened.iter().all(Result::is_ok));
    }
    assert!(is_gone(&evicted));
    let cleared = kms.kept();
    assert!(cleared.len() == 2 && !is_gone(&cleared));
    kms.clear();
    assert!(is_gone(&cleared));
    let expired = fill().await;
    tokio::time::sleep(ttl + seconds(1)).await;
    assert!(is_gone(&expired));
    let left = fill().await;
    drop(kms);
    assert!(is_gone(&left));
}

#[tokio::test(start_paused = true)]
async fn data_keys_are_shared_only_where_that_is_asked_for() {
    let (spec, none) = (DataKeySpec::AES_256, context(""));
    let inner = Weathered::new([]);
    let kms = caching(&inner, KmsCacheConfig::default());
    let one = kms.generate_data_key(&id("k"), spec, &none).await.unwrap();
    let other = kms.generate_data_key(&id("k"), spec, &none).await.unwrap();
    assert!(one.plaintext != other.plaintext);
    // Who made it opens it without a call.
    kms.decrypt_data_key(&one.wrapped, &none).await.unwrap();
    assert_eq!(inner.calls(), 2);

    let inner = Weathered::new([]);
    let config = KmsCacheConfig {
        generated_uses_max: 3,
        ..KmsCacheConfig::default()
    };
    let kms = caching(&inner, config);
    let key = id("k");
    let calls = (0..7).map(|_| kms.generate_data_key(&key, spec, &none));
    let made = futures::future::join_all(calls).await;
    let made: Vec<DataEncryptionKey> = made.into_iter().map(Result::unwrap).collect();
    assert_eq!(inner.calls(), 3);
    let uses = |one: &DataEncryptionKey| {
        let same = made.iter().filter(|other| other.wrapped == one.wrapped);
        same.count()
    };
    assert!(made.iter().all(|one| uses(one) <= 3));
    // Another key, kind or context is another data key.
    for (key, spec, text) in [
        ("other", spec, ""),
        ("k", DataKeySpec::AES_128, ""),
        ("k", spec, "a=1"),
    ] {
        let before = inner.calls();
        let made = kms.generate_data_key(&id(key), spec, &context(text)).await;
        assert!(made.is_ok() && inner.calls() == before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn envelopes_that_share_a_data_key_differ() {
    let inner = Weathered::new([]);
    let config = KmsCacheConfig {
        generated_uses_max: 100,
        ..KmsCacheConfig::default()
    };
    let kms = caching(&inner, config);
    let (key, context) = (id("k"), context("a=1"));
    let one = EncryptedEnvelope::seal(&kms, &key, b"the same", &context).await;
    let other = EncryptedEnvelope::seal(&kms, &key, b"the same", &context).await;
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.wrapped_key(), other.wrapped_key());
    assert_ne!(one.to_bytes(), other.to_bytes());
    for envelope in [one, other] {
        let opened = envelope.open(&kms, &context).await.unwrap();
        assert_eq!(opened.expose(), b"the same");
    }
    assert_eq!(inner.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn behind_a_rotation_no_data_key_of_before_is_given_out() {
    let config = KmsCacheConfig {
        generated_uses_max: 100,
        ..KmsCacheConfig::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let rng = || Arc::new(SystemRng);
    let provider = EnvKeyProvider::create_file(&path, &id("k"), rng()).unwrap();
    crate::Provider::create(&provider, &id("other"))
        .await
        .unwrap();
    let kms = CachedKms::new(Arc::new(ProviderKms::new(Arc::new(provider))), config);
    let (spec, none) = (DataKeySpec::AES_256, context(""));
    let before = kms.generate_data_key(&id("k"), spec, &none).await.unwrap();
    let again = kms.generate_data_key(&id("k"), spec, &none).await.unwrap();
    assert_eq!(before.wrapped, again.wrapped);
    kms.rotate_key(&id("k")).await.unwrap();
    let after = kms.generate_data_key(&id("k"), spec, &none).await.unwrap();
    assert_eq!(after.wrapped.key_version().as_str(), "2");
    // Another name may be one of the same key.
    kms.rotate_key(&id("other")).await.unwrap();
    let anew = kms.generate_data_key(&id("k"), spec, &none).await.unwrap();
    assert_ne!(anew.wrapped, after.wrapped);
}
