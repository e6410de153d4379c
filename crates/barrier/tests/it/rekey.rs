//! Rekeying: which shares open the vault before, after, and when something fails in between.

use super::{barrier, key, memory, unsealed};
use secretum_barrier::{Barrier, BarrierError, SealConfig};
use secretum_crypto::SecretBytes;
use secretum_storage::{Batch, Storage};
use std::sync::Arc;

fn seal(shares: u64, threshold: u64) -> SealConfig {
    SealConfig::shamir(shares, threshold).unwrap()
}

/// Whether these shares open the vault of a storage.
async fn opens(storage: &Arc<dyn Storage>, shares: &[SecretBytes]) -> bool {
    let barrier = barrier(storage);
    for share in shares {
        if barrier.unseal(share.duplicate()).await.is_err() {
            return false;
        }
    }
    !barrier.is_sealed()
}

async fn rekey(
    barrier: &Barrier,
    config: SealConfig,
) -> Result<(Vec<SecretBytes>, secretum_barrier::Rekeyed), BarrierError> {
    let (drawn, shares) = barrier.draw_seal(config)?;
    let along = Batch::new().put(key("sys/backup"), "along");
    Ok((shares, barrier.rekey(&drawn, along).await?))
}

#[tokio::test]
async fn new_shares_open_the_vault_and_old_ones_do_not() {
    let storage = memory();
    let (barrier, old) = unsealed(&storage).await;
    let written = Batch::new().put(key("sys/x"), "value");
    barrier.commit(written).await.unwrap();
    let before = barrier.seal_config().await.unwrap().unwrap();
    barrier.verify_shares(&old[1..4]).await.unwrap();
    let (new, rekeyed) = rekey(&barrier, seal(3, 2)).await.unwrap();
    assert!(rekeyed.doubt.is_none());
    let after = barrier.seal_config().await.unwrap().unwrap();
    assert_eq!((after.shares, after.threshold), (3, 2));
    assert_eq!(after.cluster_id, before.cluster_id);
    assert_eq!(after.cluster_name, before.cluster_name);
    assert!(!opens(&storage, &old[..3]).await);
    assert!(opens(&storage, &new[1..]).await);
    barrier.verify_shares(&new[..2]).await.unwrap();
    let refused = barrier.verify_shares(&old[..3]).await;
    assert!(matches!(refused, Err(BarrierError::WrongShares)));
    for (name, value) in [("sys/x", "value"), ("sys/backup", "along")] {
        let found = barrier.get(&key(name)).await.unwrap().unwrap();
        assert_eq!(found.value, value);
    }
}

#[tokio::test]
async fn a_seal_that_was_only_drawn_changes_nothing() {
    let storage = memory();
    let (barrier, old) = unsealed(&storage).await;
    let (drawn, new) = barrier.draw_seal(seal(3, 2)).unwrap();
    assert!(drawn.is_made_of(&new[1..]) && !drawn.is_made_of(&old[..3]));
    assert!(!drawn.is_made_of(&new[..1]));
    assert!(!opens(&storage, &new[..2]).await);
    assert!(opens(&storage, &old[..3]).await);
}

#[tokio::test]
async fn what_is_undone_was_never_there() {
    let storage = memory();
    let (barrier, old) = unsealed(&storage).await;
    let (new, rekeyed) = rekey(&barrier, seal(1, 1)).await.unwrap();
    let along = Batch::new().delete(key("sys/backup"));
    barrier.undo_rekey(rekeyed, along).await.unwrap();
    assert!(opens(&storage, &old[2..]).await);
    assert!(!opens(&storage, &new).await);
    assert!(barrier.get(&key("sys/backup")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_rekey_is_not_undone_behind_a_later_one() {
    let storage = memory();
    let (barrier, _) = unsealed(&storage).await;
    let (_, first) = rekey(&barrier, seal(1, 1)).await.unwrap();
    let (newest, _) = rekey(&barrier, seal(1, 1)).await.unwrap();
    assert!(barrier.undo_rekey(first, Batch::new()).await.is_err());
    assert!(opens(&storage, &newest).await);
}

#[tokio::test]
async fn two_rekeys_at_once_leave_shares_of_one_of_them() {
    let storage = memory();
    let (one, old) = unsealed(&storage).await;
    let other = barrier(&storage);
    for share in &old[..3] {
        other.unseal(share.duplicate()).await.unwrap();
    }
    let (first, second) = tokio::join!(rekey(&one, seal(3, 2)), rekey(&other, seal(3, 2)));
    let mut working = 0;
    for (shares, _) in first.into_iter().chain(second) {
        working += usize::from(opens(&storage, &shares[..2]).await);
    }
    assert_eq!(working, 1);
    assert!(!opens(&storage, &old[..3]).await);
}

#[tokio::test]
async fn a_sealed_vault_is_not_rekeyed() {
    let storage = memory();
    let (barrier, old) = unsealed(&storage).await;
    let (drawn, _) = barrier.draw_seal(seal(3, 2)).unwrap();
    barrier.seal();
    let refused = barrier.rekey(&drawn, Batch::new()).await;
    assert!(matches!(refused, Err(BarrierError::Sealed)));
    assert!(barrier.verify_shares(&old[..3]).await.is_err());
    assert!(opens(&storage, &old[..3]).await);
}
