//! The janitor: what goes on behind the requests of an unsealed vault.
//!
//! Expired tokens are revoked, half-done revocations and removals of mounts are finished, terms that
//! are old enough rotate. Everything it does is written down before it begins, so that a crash leaves
//! it for the next start.

use crate::CoreError;
use crate::active::Active;
use secretum_storage::{Batch, Key, PageOf};
use std::sync::Arc;
use std::time::Duration;

/// How long it rests between rounds.
const REST: Duration = Duration::from_secs(1);

/// How many keys one batch deletes.
const DELETE_BATCH: usize = 256;

/// Works until the vault is sealed.
pub(crate) async fn run(active: Arc<Active>) {
    let mut rounds = 0_u64;
    loop {
        tokio::select! {
            () = active.ending.cancelled() => return,
            () = tokio::time::sleep(REST) => {}
        }
        // Each job goes on whatever the others meet.
        tried(active.tokens.expire(&active).await);
        tried(active.tokens.finish_revocations(&active).await);
        tried(finish_removals(&active).await);
        rounds += 1;
        if rounds.is_multiple_of(60)
            && let Err(error) = active.core.barrier.rotate_if_due().await
        {
            tracing::warn!(%error, "the keyring could not be rotated; it is tried again");
        }
    }
}

fn tried(job: Result<(), CoreError>) {
    if let Err(error) = job {
        tracing::warn!(%error, "the janitor could not finish a job; it tries again");
    }
}

/// Deletes what removed mounts held.
async fn finish_removals(active: &Active) -> Result<(), CoreError> {
    let prefix = Key::try_from("sys/unmount/")?;
    let page = active
        .storage
        .page(&prefix, None, DELETE_BATCH, PageOf::Keys)
        .await?;
    for row in page.rows {
        let uuid = String::from_utf8_lossy(row.key.strip_prefix(&prefix).unwrap_or_default());
        // A request that began before the mount went may still read it. What it writes fails:
        // nothing comes after this deletion.
        if active.mounts.is_known(&uuid) {
            continue;
        }
        let data = Key::try_from(format!("mount/{uuid}/"))?;
        while !active.ending.is_cancelled() {
            let page = active
                .storage
                .page(&data, None, DELETE_BATCH, PageOf::Keys)
                .await?;
            let mut batch = Batch::new();
            for row in page.rows {
                batch = batch.delete(row.key);
            }
            if !page.more {
                batch = batch.delete(row.key.clone());
            }
            active.commit(batch).await?;
            if !page.more {
                break;
            }
        }
    }
    Ok(())
}
