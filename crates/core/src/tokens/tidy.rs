//! Tidying: removing what stands around tokens without a token.
//!
//! A token and all that leads to it are one commit, so there should be nothing to remove; where there
//! is something, a fault or a restored backup left it. What is removed is removed under the condition
//! that its token is still missing.

use super::record::AccessorRecord;
use super::revoke::revoke_key;
use super::{Tokens, id_key};
use crate::active::Active;
use secretum_engine::Fault;
use secretum_storage::{Batch, Key, PageOf, Pages, Precondition, Row, StorageError};
use std::sync::atomic::{AtomicBool, Ordering};

/// How many records one look brings.
const PAGE: usize = 256;

/// After so many records the log tells how far it is.
const TOLD_EACH: u64 = 100_000;

/// Whether tidying goes on; one at a time.
#[derive(Debug, Default)]
pub(crate) struct Tidying(AtomicBool);

/// What was found.
#[derive(Debug, Default)]
struct Found {
    looked_at: u64,
    removed: u64,
}

/// The records that name a token: where they stand.
const FOLDERS: [&str; 3] = ["sys/token/accessor/", "sys/token/child/", "sys/expiry/"];

impl Tokens {
    /// Begins to tidy, unless it goes on already; whether it was begun.
    pub(crate) fn begin_tidying(&self) -> bool {
        !self.tidying.0.swap(true, Ordering::AcqRel)
    }

    /// Removes what leads to no token. What happens is told in the log.
    pub(crate) async fn tidy(&self, active: &Active) {
        tracing::info!("tidying of tokens begins");
        let mut found = Found::default();
        let tidied = self.tidy_all(active, &mut found).await;
        // A token that is gone may be left among the leases.
        if active.leases.begin_tidying() {
            active.leases.tidy(active).await;
        }
        match tidied {
            Ok(()) => tracing::info!(?found, "tidying of tokens is done"),
            Err(error) => tracing::warn!(%error, ?found, "tidying of tokens was given up"),
        }
        self.tidying.0.store(false, Ordering::Release);
    }

    async fn tidy_all(&self, active: &Active, found: &mut Found) -> Result<(), Fault> {
        for folder in FOLDERS {
            let prefix = Key::try_from(folder)?;
            let mut pages = Pages::new(&*active.storage, prefix, PageOf::Entries, PAGE);
            while let Some(rows) = pages.next().await? {
                if active.ending.is_cancelled() {
                    return Ok(());
                }
                for row in rows {
                    found.looked_at += 1;
                    found.removed += u64::from(self.tidy_one(active, row).await?);
                    if found.looked_at.is_multiple_of(TOLD_EACH) {
                        tracing::info!(?found, "tidying of tokens goes on");
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes a record that names a token which is not there; whether it did.
    async fn tidy_one(&self, active: &Active, row: Row) -> Result<bool, Fault> {
        let Some(entry) = row.entry else {
            return Ok(false);
        };
        let text = String::from_utf8_lossy(row.key.as_bytes()).into_owned();
        let id = if text.starts_with("sys/token/accessor/") {
            AccessorRecord::read(&entry.value)?.id
        } else {
            text.rsplit('/').next().unwrap_or_default().to_owned()
        };
        if self.read(&id).await?.is_some() {
            return Ok(false);
        }
        let batch = Batch::new()
            .delete_if(row.key, Precondition::At(entry.revision))
            .require(id_key(&id)?, Precondition::Absent)
            // While what a token made is being ended, its maker's list goes on naming it.
            .require(revoke_key(&id)?, Precondition::Absent);
        match active.commit(batch).await {
            Ok(_) => Ok(true),
            // It went, or its token came, meanwhile.
            Err(StorageError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
