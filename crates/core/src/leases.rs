//! Leases: what engines handed out for a time, and what ends it.
//!
//! A lease is known by its id, the path that issued it and a random word; it belongs to the token that
//! asked for it and to the mount that issued it. Its records are
//! - `sys/lease/<mount uuid>/<path>/<word>`, the lease itself, its path encrypted as inside a mount;
//! - `sys/lease-expiry/<seconds, 16 hex digits>/<hash>`, so that its time is found without a search;
//! - `sys/token/lease/<token id>/<hash>`, so that its token's end is its own;
//! - `sys/irrevocable/<hash>` in the place of the second, where its engine could not end it.
//!
//! Tokens that an auth method issued for a time stand among them, as marks: what lists and revokes
//! leases finds them there, and they end as tokens do.
//!
//! The index of leases is not that of tokens: where a database is down, its leases wait in line, and no
//! token waits behind them.
//!
//! INVARIANT: what an engine handed out leaves only after its lease is on disk, and a lease goes from
//! the disk only after its engine ended it.

mod expire;
mod issue;
mod place;
mod record;
mod renew;
mod revoke;
mod tidy;

pub(crate) use expire::run;
pub(crate) use place::{DUE, Place};
pub(crate) use record::{LeaseRecord, Stored};
pub(crate) use revoke::{Force, How, end_with};

use crate::active::Active;
use crate::mounts::Mount;
use crate::tidying::Tidying;
use crate::{Core, CoreError};
use expire::Failing;
use place::Index;
use secretum_crypto::{ClockRef, HmacKey, RngRef};
use secretum_engine::{Fault, ListPage, MountStorage};
use secretum_storage::{Key, PageOf, Revision, Storage, StorageError};
use std::sync::Arc;
use tokio::sync::Notify;

/// How many leases one look brings.
const PAGE: usize = 256;

/// How many leases are ended at once.
const ENDED_AT_ONCE: usize = 64;

/// The leases of a vault.
#[derive(Debug)]
pub(crate) struct Leases {
    storage: Arc<dyn Storage>,
    clock: ClockRef,
    rng: RngRef,
    hash_key: HmacKey,
    /// Tells that something became due.
    due: Notify,
    failing: Failing,
    pub(crate) tidying: Tidying,
}

impl Leases {
    /// The leases of an unsealed vault.
    pub(crate) fn new(core: &Core, storage: Arc<dyn Storage>) -> Result<Self, CoreError> {
        Ok(Self {
            storage,
            clock: Arc::clone(&core.config.clock),
            rng: Arc::clone(&core.config.rng),
            hash_key: HmacKey::new(core.barrier.derived_key("lease")?.expose()),
            due: Notify::new(),
            failing: Failing::default(),
            tidying: Tidying::new("leases"),
        })
    }

    /// Where a lease of this id would be; `None` where no mount is.
    pub(crate) fn place(active: &Active, id: &str) -> Option<Place> {
        let (mount, path) = active.mounts.find(id)?;
        let is_lease = path.contains('/') && !path.ends_with('/');
        is_lease.then(|| Place {
            mount: mount.record.uuid.clone(),
            path: path.to_owned(),
        })
    }

    /// A lease as it is stored.
    pub(crate) async fn read(&self, place: &Place) -> Result<Option<(Stored, Revision)>, Fault> {
        match self.storage.get(&place.key()?).await? {
            Some(entry) => Ok(Some((Stored::read(&entry.value)?, entry.revision))),
            None => Ok(None),
        }
    }

    /// Names of leases and folders of leases directly below a folder of a mount.
    pub(crate) async fn children(
        &self,
        mount: &Mount,
        folder: &str,
        page: &ListPage,
    ) -> Result<Vec<String>, Fault> {
        let prefix = Place::folder(&mount.record.uuid, "")?;
        MountStorage::new(Arc::clone(&self.storage), prefix)
            .children(folder, page.after(), page.limit)
            .await
    }

    /// Whether a mount has leases.
    pub(crate) async fn any(&self, mount: &Mount) -> Result<bool, Fault> {
        let prefix = Place::folder(&mount.record.uuid, "")?;
        let page = self.storage.page(&prefix, None, 1, PageOf::Keys).await?;
        Ok(!page.rows.is_empty())
    }

    /// The index entries of a lease.
    fn index(&self, place: &Place) -> Index {
        Index::new(&self.hash_key, place)
    }
}

/// The fence of a mount that is being disabled: while this is there, it issues nothing.
pub(crate) fn leaving_key(mount: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("sys/unmount/{mount}"))
}
