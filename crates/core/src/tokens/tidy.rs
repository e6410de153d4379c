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

/// How many records one look brings.
const PAGE: usize = 256;

/// The records that name a token: where they stand.
const FOLDERS: [&str; 3] = ["sys/token/accessor/", "sys/token/child/", "sys/expiry/"];

impl Tokens {
    /// Removes what leads to no token, in a round that was begun.
    pub(crate) async fn tidy(&self, active: &Active) {
        let tidied = self.tidy_all(active).await;
        // A token that is gone may be left among the leases.
        if active.leases.tidying.begin() {
            active.leases.tidy(active).await;
        }
        self.tidying.end(tidied);
    }

    async fn tidy_all(&self, active: &Active) -> Result<(), Fault> {
        for folder in FOLDERS {
            let prefix = Key::try_from(folder)?;
            let mut pages = Pages::new(&*active.storage, prefix, PageOf::Entries, PAGE);
            while let Some(rows) = pages.next().await? {
                if active.ending.is_cancelled() {
                    return Ok(());
                }
                for row in rows {
                    self.tidying.count(self.tidy_one(active, row).await?);
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
