//! Ending leases.

use super::place::{Index, owned_by};
use super::{ENDED_AT_ONCE, LeaseRecord, Leases, PAGE, Place, Stored};
use crate::active::Active;
use crate::mounts::Mount;
use crate::pipeline::{COMMIT_TRIES, contended};
use futures::StreamExt;
use secretum_engine::{Fault, Lease};
use secretum_storage::{Batch, Key, PageOf, Pages, Precondition, Revision, StorageError};
use std::time::Duration;

/// How long an engine may take to end one lease.
const END_TIME: Duration = Duration::from_secs(30);

/// What happens to a lease that its engine cannot end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    /// It stays.
    No,
    /// It is given up: what it stands for may go on.
    Yes,
}

impl Leases {
    /// Ends a lease; whether there was one.
    ///
    /// **Errors**: those of its engine, which could not end it.
    pub(crate) async fn revoke(
        &self,
        active: &Active,
        place: &Place,
        force: Force,
    ) -> Result<bool, Fault> {
        for _ in 0..COMMIT_TRIES {
            let Some((stored, revision)) = self.read(place).await? else {
                return Ok(false);
            };
            let batch = match stored {
                Stored::Token => {
                    Box::pin(active.tokens.revoke(active, place.split().1)).await?;
                    // It went with the token, unless that was gone before.
                    Batch::new().delete(place.key()?)
                }
                Stored::Secret(record) => {
                    let writes = self.end(active, place, &record, force).await?;
                    writes.and(self.records_gone(place, &record, revision)?)
                }
            };
            match active.commit(batch).await {
                Ok(_) => return Ok(true),
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended())
    }

    /// Has its engine end what a lease stands for; gives what it wants written.
    async fn end(
        &self,
        active: &Active,
        place: &Place,
        record: &LeaseRecord,
        force: Force,
    ) -> Result<Batch, Fault> {
        let Some(mount) = active.mounts.of(&place.mount) else {
            tracing::warn!("a lease of a mount that is gone was dropped");
            return Ok(Batch::new());
        };
        match end_with(&mount, &record.lease(place)).await {
            Err(error) if force == Force::Yes => {
                tracing::warn!(mount = &*mount.path, %error, "a lease was given up: what it stands for may go on");
                Ok(Batch::new())
            }
            ended => ended,
        }
    }

    /// Deletes the records of a lease.
    fn records_gone(
        &self,
        place: &Place,
        record: &LeaseRecord,
        revision: Revision,
    ) -> Result<Batch, Fault> {
        let index = self.index(place);
        let mut batch = Batch::new().delete_if(place.key()?, Precondition::At(revision));
        batch = match record.due {
            Some(due) => batch.delete(index.due(due)?),
            None => batch.delete(index.irrevocable()?),
        };
        Ok(match &record.token {
            Some(token) => batch.delete(index.owned(token)?),
            None => batch,
        })
    }

    /// Makes a lease due now: it is ended behind the answer; whether there was one.
    pub(crate) async fn end_soon(&self, active: &Active, place: &Place) -> Result<bool, Fault> {
        for _ in 0..COMMIT_TRIES {
            let Some((stored, revision)) = self.read(place).await? else {
                return Ok(false);
            };
            let Stored::Secret(record) = stored else {
                return Box::pin(self.revoke(active, place, Force::No)).await;
            };
            match active.commit(self.due_now(place, record, revision)?).await {
                Ok(_) => {
                    self.due.notify_one();
                    return Ok(true);
                }
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended())
    }

    /// What must be committed to have a lease end at once, as no token's any more.
    fn due_now(
        &self,
        place: &Place,
        mut record: LeaseRecord,
        revision: Revision,
    ) -> Result<Batch, Fault> {
        let index = self.index(place);
        let now = self.clock.now().unix_seconds();
        let mut batch = left(&index, &record)?;
        if let Some(token) = record.token.take() {
            batch = batch.delete(index.owned(&token)?);
        }
        record.expires = record.expires.min(now);
        record.due = Some(now);
        Ok(batch.put(index.due(now)?, place.to_bytes()?).put_if(
            place.key()?,
            Precondition::At(revision),
            Stored::Secret(record).to_bytes()?,
        ))
    }

    /// Makes all leases of a token due now. Returns when it has none left.
    pub(crate) async fn end_those_of(&self, active: &Active, token: &str) -> Result<(), Fault> {
        let prefix = owned_by(token)?;
        loop {
            let page = self
                .storage
                .page(&prefix, None, PAGE, PageOf::Entries)
                .await?;
            if page.rows.is_empty() {
                return Ok(());
            }
            for row in page.rows {
                let Some(entry) = row.entry else { continue };
                let place = Place::read(&entry.value)?;
                self.end_soon(active, &place).await?;
                // It is no lease of this token, or is gone.
                if self.storage.get(&row.key).await?.is_some() {
                    active.commit(Batch::new().delete(row.key)).await?;
                }
            }
        }
    }

    /// Ends all leases below a path of a mount; gives their number.
    ///
    /// **Errors**: [`Fault::Unavailable`] where some could not be ended, after all were tried.
    pub(crate) async fn revoke_below(
        &self,
        active: &Active,
        prefix: Key,
        how: How,
    ) -> Result<usize, Fault> {
        let mut pages = Pages::new(&*self.storage, prefix, PageOf::Keys, PAGE);
        let mut tally = Ended::default();
        while let Some(rows) = pages.next().await? {
            let places: Vec<Place> = (rows.iter().filter_map(|row| Place::of(&row.key))).collect();
            futures::stream::iter(places)
                .map(|place| async move {
                    match how {
                        How::Soon => self.end_soon(active, &place).await,
                        How::Now(force) => self.revoke(active, &place, force).await,
                    }
                })
                .buffer_unordered(ENDED_AT_ONCE)
                .for_each(|ended| {
                    tally.count(ended);
                    std::future::ready(())
                })
                .await;
        }
        tally.outcome()
    }
}

/// When leases are ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// Behind the answer.
    Soon,
    /// Before it.
    Now(Force),
}

/// How the end of many leases went.
#[derive(Debug, Default)]
struct Ended {
    ended: usize,
    failed: usize,
    first_failure: Option<Fault>,
}

impl Ended {
    fn count(&mut self, ended: Result<bool, Fault>) {
        match ended {
            Ok(was_there) => self.ended += usize::from(was_there),
            Err(fault) => {
                self.failed += 1;
                self.first_failure.get_or_insert(fault);
            }
        }
    }

    fn outcome(self) -> Result<usize, Fault> {
        match self.first_failure {
            None => Ok(self.ended),
            Some(fault) => Err(Fault::Unavailable(
                format!(
                    "{} leases could not be ended, {} were; the first of them: {fault}",
                    self.failed, self.ended
                )
                .into(),
            )),
        }
    }
}

/// Deletes the entry by which a lease was found that something is to be done with.
pub(super) fn left(index: &Index, record: &LeaseRecord) -> Result<Batch, Fault> {
    Ok(match record.due {
        Some(due) => Batch::new().delete(index.due(due)?),
        None => Batch::new().delete(index.irrevocable()?),
    })
}

/// Has an engine end a lease, within its time.
pub(crate) async fn end_with(mount: &Mount, lease: &Lease) -> Result<Batch, Fault> {
    let ended = tokio::time::timeout(END_TIME, mount.engine.revoke(lease)).await;
    let writes = ended.map_err(|_| {
        let seconds = END_TIME.as_secs();
        Fault::Unavailable(format!("it took more than {seconds} seconds to end a lease").into())
    })??;
    checked(mount, writes)
}

/// What an engine wants written with the change of a lease, once it is known to be its own.
pub(super) fn checked(mount: &Mount, writes: Batch) -> Result<Batch, Fault> {
    mount.check_writes(&writes)?;
    if writes.is_empty() {
        return Ok(writes);
    }
    Ok(mount.fence(writes)?)
}
