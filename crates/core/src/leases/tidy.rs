//! Counting and listing all leases, and tidying: mending what leads to them.
//!
//! A lease and all that leads to it are one commit, so there should be nothing to mend; where there is
//! something, a fault or a restored backup left it.

use super::place::IRREVOCABLE;
use super::{LeaseRecord, Leases, PAGE, Place, Stored};
use crate::active::Active;
use crate::tokens::id_key;
use secretum_engine::Fault;
use secretum_storage::{Batch, Key, PageOf, Pages, Precondition, Revision, StorageError};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// After so many leases the log tells how far it is.
const TOLD_EACH: u64 = 100_000;

/// How many leases each mount has, by its accessor.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) all: u64,
    pub(crate) by_mount: BTreeMap<String, u64>,
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    looked_at: u64,
    mended: u64,
}

impl Leases {
    /// Counts leases: all, or those that cannot be ended.
    pub(crate) async fn count(&self, active: &Active, irrevocable: bool) -> Result<Tally, Fault> {
        let (folder, what) = if irrevocable {
            (IRREVOCABLE, PageOf::Entries)
        } else {
            ("sys/lease/", PageOf::Keys)
        };
        let mut pages = Pages::new(&*self.storage, Key::try_from(folder)?, what, PAGE);
        let mut tally = Tally::default();
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let place = match row.entry {
                    Some(entry) => Some(Place::read(&entry.value)?),
                    None => Place::of(&row.key),
                };
                let Some(place) = place else { continue };
                tally.all += 1;
                let accessor = accessor(active, &place);
                *tally.by_mount.entry(accessor).or_default() += 1;
            }
        }
        Ok(tally)
    }

    /// Leases that cannot be ended, up to a number, and whether there are more.
    pub(crate) async fn irrevocable(
        &self,
        most: usize,
    ) -> Result<(Vec<(Place, LeaseRecord)>, bool), Fault> {
        let prefix = Key::try_from(IRREVOCABLE)?;
        let mut pages = Pages::new(&*self.storage, prefix, PageOf::Entries, PAGE);
        let mut found = Vec::new();
        while let Some(rows) = pages.next().await? {
            for entry in rows.iter().filter_map(|row| row.entry.as_ref()) {
                let place = Place::read(&entry.value)?;
                let Some((Stored::Secret(record), _)) = self.read(&place).await? else {
                    continue;
                };
                if found.len() == most {
                    return Ok((found, true));
                }
                found.push((place, record));
            }
        }
        Ok((found, false))
    }

    /// Begins to tidy, unless it goes on already; whether it was begun.
    pub(crate) fn begin_tidying(&self) -> bool {
        !self.is_tidying.swap(true, Ordering::AcqRel)
    }

    /// Mends what leads to leases. What happens is told in the log.
    pub(crate) async fn tidy(&self, active: &Active) {
        tracing::info!("tidying of leases begins");
        let mut found = Found::default();
        match self.tidy_all(active, &mut found).await {
            Ok(()) => tracing::info!(?found, "tidying of leases is done"),
            Err(error) => tracing::warn!(%error, ?found, "tidying of leases was given up"),
        }
        self.is_tidying.store(false, Ordering::Release);
    }

    async fn tidy_all(&self, active: &Active, found: &mut Found) -> Result<(), Fault> {
        let prefix = Key::try_from("sys/lease/")?;
        let mut pages = Pages::new(&*self.storage, prefix, PageOf::Entries, PAGE);
        while let Some(rows) = pages.next().await? {
            if active.ending.is_cancelled() {
                break;
            }
            for row in rows {
                let (Some(place), Some(entry)) = (Place::of(&row.key), row.entry) else {
                    continue;
                };
                found.looked_at += 1;
                let stored = Stored::read(&entry.value)?;
                let mended = self
                    .tidy_one(active, &place, stored, entry.revision)
                    .await?;
                found.mended += u64::from(mended);
                if found.looked_at.is_multiple_of(TOLD_EACH) {
                    tracing::info!(?found, "tidying of leases goes on");
                }
            }
        }
        Ok(())
    }

    /// Drops the mark of a token that is gone, has a lease of one that is gone end, and puts back what
    /// leads to a lease; whether there was anything to do.
    async fn tidy_one(
        &self,
        active: &Active,
        place: &Place,
        stored: Stored,
        revision: Revision,
    ) -> Result<bool, Fault> {
        let batch = match stored {
            Stored::Token => {
                let token = id_key(place.split().1)?;
                if self.storage.get(&token).await?.is_some() {
                    return Ok(false);
                }
                Batch::new()
                    .delete_if(place.key()?, Precondition::At(revision))
                    .require(token, Precondition::Absent)
            }
            Stored::Secret(record) => {
                if let Some(token) = &record.token
                    && self.storage.get(&id_key(token)?).await?.is_none()
                {
                    return self.end_soon(active, place).await;
                }
                let index = self.index(place);
                let entry = match record.due {
                    Some(due) => index.due(due)?,
                    None => index.irrevocable()?,
                };
                if self.storage.get(&entry).await?.is_some() {
                    return Ok(false);
                }
                Batch::new()
                    .put(entry, place.to_bytes()?)
                    .require(place.key()?, Precondition::At(revision))
            }
        };
        match active.commit(batch).await {
            Ok(_) => Ok(true),
            // It changed meanwhile.
            Err(StorageError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The accessor of the mount of a lease.
fn accessor(active: &Active, place: &Place) -> String {
    let mount = active.mounts.of(&place.mount);
    mount.map_or_else(
        || "mount-accessor-not-found".to_owned(),
        |mount| mount.record.accessor.clone(),
    )
}
