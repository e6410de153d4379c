//! [`Removals`]: deletes what removed mounts held, a bounded part of it at a time.

use crate::CoreError;
use crate::active::Active;
use secretum_storage::{Batch, Key, PageOf};

/// How many keys one batch deletes.
const BATCH_KEYS: usize = 256;

/// How many batches one step commits.
const STEP_BATCHES: usize = 16;

/// Mounts that are gone, of which data is left.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// The mount that had its turn last.
    after: Option<Key>,
}

impl Removals {
    /// Gives the next mounts their turn; whether there is more that can be done at once.
    pub(super) async fn step(&mut self, active: &Active) -> Result<bool, CoreError> {
        let prefix = Key::try_from("sys/unmount/")?;
        let (mut left, mut is_busy) = (STEP_BATCHES, false);
        while left > 0 && !active.ending.is_cancelled() {
            let page = active
                .storage
                .page(&prefix, self.after.as_ref(), left, PageOf::Keys)
                .await?;
            if page.rows.is_empty() {
                // All had their turn.
                self.after = None;
                if !is_busy {
                    return Ok(false);
                }
                is_busy = false;
            }
            for row in page.rows {
                left -= 1;
                // Before it is tried: one that fails keeps none behind it from its turn.
                self.after = Some(row.key.clone());
                is_busy |= delete_some(active, &prefix, row.key).await?;
            }
        }
        Ok(true)
    }
}

/// Deletes one batch of what a mount held, its record with the last of it; whether there is more.
async fn delete_some(active: &Active, prefix: &Key, record: Key) -> Result<bool, CoreError> {
    let uuid = record.name_behind(prefix);
    // A request that began before the mount went may still read it. What it writes fails: nothing
    // comes after this deletion.
    if active.mounts.is_known(&uuid) {
        return Ok(false);
    }
    let data = Key::try_from(format!("mount/{uuid}/"))?;
    let page = active
        .storage
        .page(&data, None, BATCH_KEYS, PageOf::Keys)
        .await?;
    let mut batch = (page.rows.into_iter()).fold(Batch::new(), |batch, row| batch.delete(row.key));
    if !page.more {
        batch = batch.delete(record);
    }
    active.commit(batch).await?;
    Ok(page.more)
}
