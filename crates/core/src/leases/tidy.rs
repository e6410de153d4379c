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

/// How many leases each mount has, by its accessor.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) all: u64,
    pub(crate) by_mount: BTreeMap<String, u64>,
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

    /// Mends what leads to leases, in a round that was begun.
    pub(crate) async fn tidy(&self, active: &Active) {
        let tidied = self.tidy_all(active).await;
        self.tidying.end(tidied);
    }

    async fn tidy_all(&self, active: &Active) -> Result<(), Fault> {
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
                let stored = Stored::read(&entry.value)?;
                let mended = self
                    .tidy_one(active, &place, stored, entry.revision)
                    .await?;
                self.tidying.count(mended);
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
