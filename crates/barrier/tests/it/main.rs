//! The barrier over the memory backend: init, unseal, rotation, and what an onlooker sees.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rekey;

use secretum_barrier::{Barrier, BarrierError, RotationConfig, SealConfig};
use secretum_crypto::{SecretBytes, SystemClock, SystemRng, TestClock, Timestamp};
use secretum_storage::memory::MemoryStorage;
use secretum_storage::{Batch, Key, PageOf, Precondition, Storage, StorageError};
use std::sync::Arc;
use std::time::Duration;

fn key(text: &str) -> Key {
    Key::try_from(text).unwrap()
}

fn barrier(storage: &Arc<dyn Storage>) -> Barrier {
    Barrier::new(
        Arc::clone(storage),
        Arc::new(SystemClock),
        Arc::new(SystemRng),
    )
}

fn memory() -> Arc<dyn Storage> {
    MemoryStorage::new()
}

/// Makes a vault that starts with nothing.
async fn initialize(
    barrier: &Barrier,
    config: SealConfig,
) -> Result<secretum_barrier::Initialized, BarrierError> {
    barrier
        .initialize(config, |_| Ok::<_, BarrierError>(Batch::new()))
        .await
}

async fn unsealed(storage: &Arc<dyn Storage>) -> (Barrier, Vec<SecretBytes>) {
    let barrier = barrier(storage);
    let made = initialize(&barrier, SealConfig::shamir(5, 3).unwrap())
        .await
        .unwrap();
    unseal(&barrier, &made.shares).await.unwrap();
    (barrier, made.shares)
}

async fn unseal(barrier: &Barrier, shares: &[SecretBytes]) -> Result<(), BarrierError> {
    for share in shares.iter().take(3) {
        barrier.unseal(share.duplicate()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn any_three_of_five_shares_unseal() {
    let storage = memory();
    let (barrier, shares) = unsealed(&storage).await;
    barrier
        .commit(Batch::new().put(key("sys/x"), "value"))
        .await
        .unwrap();
    barrier.seal();
    assert!(matches!(
        barrier.get(&key("sys/x")).await,
        Err(StorageError::Sealed)
    ));
    let status = barrier.unseal(shares[4].duplicate()).await.unwrap();
    assert_eq!((status.progress, status.sealed), (1, true));
    assert!(!status.nonce.is_empty());
    let again = barrier.unseal(shares[4].duplicate()).await.unwrap();
    assert_eq!((again.progress, again.nonce.clone()), (1, status.nonce));
    barrier.unseal(shares[1].duplicate()).await.unwrap();
    assert!(!barrier.unseal(shares[2].duplicate()).await.unwrap().sealed);
    assert_eq!(
        barrier.get(&key("sys/x")).await.unwrap().unwrap().value,
        "value"
    );
}

#[tokio::test]
async fn wrong_shares_are_refused_and_start_over() {
    let storage = memory();
    let (_, shares) = unsealed(&storage).await;
    let (_, foreign) = unsealed(&memory()).await;
    let barrier = barrier(&storage);
    let short = SecretBytes::new(vec![1; 32]);
    assert!(matches!(
        barrier.unseal(short).await,
        Err(BarrierError::ShareLength { .. })
    ));
    barrier.unseal(shares[0].duplicate()).await.unwrap();
    barrier.unseal(shares[1].duplicate()).await.unwrap();
    let wrong = barrier.unseal(foreign[2].duplicate()).await;
    assert!(matches!(wrong, Err(BarrierError::WrongShares)));
    assert_eq!(barrier.seal_status().await.unwrap().progress, 0);
    unseal(&barrier, &shares).await.unwrap();
    assert!(!barrier.is_sealed());
}

#[tokio::test]
async fn two_inits_make_one_vault() {
    let storage = memory();
    let (one, other) = (barrier(&storage), barrier(&storage));
    let config = || SealConfig::shamir(1, 1).unwrap();
    let (first, second) = tokio::join!(initialize(&one, config()), initialize(&other, config()));
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
}

#[tokio::test]
async fn a_vault_is_made_whole_or_not_at_all() {
    let storage = memory();
    let barrier = barrier(&storage);
    let config = || SealConfig::shamir(1, 1).unwrap();
    let refused = barrier
        .initialize(config(), |_| Err::<Batch, _>(BarrierError::WrongShares))
        .await;
    assert!(matches!(refused, Err(BarrierError::WrongShares)));
    let everything = key("");
    let page = storage.page(&everything, None, 10, PageOf::Keys).await;
    assert!(page.unwrap().rows.is_empty() && barrier.is_sealed());
    let mut derived = None;
    let made = barrier
        .initialize(config(), |_| {
            derived = Some(barrier.derived_key("test")?);
            Ok::<_, BarrierError>(Batch::new().put(key("sys/x"), "value"))
        })
        .await
        .unwrap();
    assert!(barrier.is_sealed());
    barrier.unseal(made.shares[0].duplicate()).await.unwrap();
    let found = barrier.get(&key("sys/x")).await.unwrap().unwrap();
    assert_eq!(found.value, "value");
    assert!(derived.unwrap() == barrier.derived_key("test").unwrap());
}

#[tokio::test]
async fn other_changes_of_the_keyring_lose_no_count() {
    let storage = memory();
    let (barrier, _) = unsealed(&storage).await;
    for number in 0..10 {
        let put = Batch::new().put(key(&format!("sys/{number}")), "value");
        barrier.commit(put).await.unwrap();
    }
    let before = barrier.key_status().unwrap().encryptions;
    let config = barrier.rotation_config().unwrap();
    barrier.set_rotation_config(config).await.unwrap();
    assert!(barrier.key_status().unwrap().encryptions >= before);
}

#[tokio::test]
async fn values_of_another_place_or_vault_do_not_open() {
    let storage = memory();
    let (barrier, _) = unsealed(&storage).await;
    let (a, b) = (key("mount/u/a"), key("mount/u/b"));
    barrier
        .commit(Batch::new().put(a.clone(), "one").put(b.clone(), "two"))
        .await
        .unwrap();
    let rows = storage
        .page(&key("mount/u/"), None, 10, PageOf::Entries)
        .await
        .unwrap()
        .rows;
    let (first, second) = (&rows[0], &rows[1]);
    let moved = first.entry.clone().unwrap().value;
    storage
        .commit(Batch::new().put(second.key.clone(), moved))
        .await
        .unwrap();
    let results = [barrier.get(&a).await, barrier.get(&b).await];
    assert_eq!(
        results.iter().filter(|r| r.is_err()).count(),
        1,
        "{results:?}"
    );

    let elsewhere = memory();
    let (other, _) = unsealed(&elsewhere).await;
    let value = first.entry.clone().unwrap().value;
    elsewhere
        .commit(Batch::new().put(key("sys/x"), value))
        .await
        .unwrap();
    assert!(matches!(
        other.get(&key("sys/x")).await,
        Err(StorageError::Unreadable { .. })
    ));
}

#[tokio::test]
async fn the_storage_below_shows_no_name_and_no_value() {
    let storage = memory();
    let (barrier, _) = unsealed(&storage).await;
    let name = key("mount/u/meta/planted-folder/planted-name");
    barrier
        .commit(Batch::new().put(name, "planted-value"))
        .await
        .unwrap();
    let all = storage
        .page(&key(""), None, 100, PageOf::Entries)
        .await
        .unwrap();
    assert!(all.rows.len() >= 4);
    for row in all.rows {
        let bytes = [row.key.as_bytes(), &row.entry.unwrap().value].concat();
        assert!(!bytes.windows(7).any(|window| window == b"planted"));
    }
}

#[tokio::test]
async fn a_listing_shows_names_and_goes_on_behind_any_of_them() {
    let storage = memory();
    let (barrier, _) = unsealed(&storage).await;
    let mut batch = Batch::new();
    for number in 0..20 {
        batch = batch.put(key(&format!("mount/u/list/n{number}")), "x");
        batch = batch.put(key(&format!("mount/u/list/f{number}/deep")), "x");
    }
    barrier.commit(batch).await.unwrap();
    let prefix = key("mount/u/list/");
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = barrier
            .page(&prefix, after.as_ref(), 7, PageOf::Children)
            .await
            .unwrap();
        after = page.rows.last().map(|row| row.key.clone());
        names.extend(page.rows.into_iter().map(|row| row.key.to_string()));
        if !page.more {
            break;
        }
    }
    assert_eq!(names.len(), 40);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 40);
    assert!(names.contains(&"mount/u/list/f3/".to_owned()));
}

#[tokio::test]
async fn rotation_keeps_old_records_readable_on_every_node() {
    let storage = memory();
    let (barrier_one, shares) = unsealed(&storage).await;
    let barrier_two = barrier(&storage);
    unseal(&barrier_two, &shares).await.unwrap();
    barrier_one
        .commit(Batch::new().put(key("sys/old"), "old"))
        .await
        .unwrap();
    assert_eq!(barrier_one.rotate().await.unwrap().term, 2);
    barrier_one
        .commit(Batch::new().put(key("sys/new"), "new"))
        .await
        .unwrap();
    for node in [&barrier_one, &barrier_two] {
        assert_eq!(
            node.get(&key("sys/old")).await.unwrap().unwrap().value,
            "old"
        );
        assert_eq!(
            node.get(&key("sys/new")).await.unwrap().unwrap().value,
            "new"
        );
    }
    assert_eq!(barrier_two.key_status().unwrap().term, 2);
}

#[tokio::test]
async fn terms_rotate_by_number_and_by_age() {
    let storage = memory();
    let clock = Arc::new(TestClock::new(Timestamp::from_unix_seconds(1_000_000)));
    let barrier = Barrier::new(Arc::clone(&storage), clock.clone(), Arc::new(SystemRng));
    let made = initialize(&barrier, SealConfig::shamir(1, 1).unwrap())
        .await
        .unwrap();
    barrier.unseal(made.shares[0].duplicate()).await.unwrap();
    let config = RotationConfig {
        max_operations: 1_000_000,
        interval_seconds: 86_400,
        enabled: true,
    };
    barrier.set_rotation_config(config).await.unwrap();
    assert!(!barrier.rotate_if_due().await.unwrap());
    clock.advance(Duration::from_secs(86_400));
    assert!(barrier.rotate_if_due().await.unwrap());
    assert_eq!(barrier.key_status().unwrap().term, 2);

    // Each unseal gives up what was reserved, so that few of them come to the limit.
    let mut terms = std::collections::BTreeSet::new();
    for _ in 0..8 {
        barrier.seal();
        barrier.unseal(made.shares[0].duplicate()).await.unwrap();
        barrier
            .commit(Batch::new().put(key("sys/x"), "x"))
            .await
            .unwrap();
        terms.insert(barrier.key_status().unwrap().term);
    }
    assert!(terms.len() > 1, "{terms:?}");
}

#[tokio::test]
async fn a_lost_precondition_names_the_key_of_the_caller() {
    let storage = memory();
    let (barrier, _) = unsealed(&storage).await;
    let name = key("mount/u/a/b");
    let put = || Batch::new().put_if(name.clone(), Precondition::Absent, "x");
    barrier.commit(put()).await.unwrap();
    match barrier.commit(put()).await {
        Err(StorageError::Conflict { key }) => assert_eq!(key, name),
        other => panic!("{other:?}"),
    }
}
