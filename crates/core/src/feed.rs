//! The change feed's reader: it drops what is cached and reloads what is tabled before anybody may
//! rely on the revision that changed it.

use crate::active::Active;
use secretum_storage::{ChangeFeed, Changed, Key, Revision, StorageError};
use std::sync::Arc;
use tokio::sync::watch;

/// How far this node's caches have followed the storage.
#[derive(Debug)]
pub(crate) struct Followed {
    /// `None` once nobody follows any more.
    revision: watch::Sender<Option<Revision>>,
}

impl Followed {
    pub(crate) fn new(revision: Revision) -> Self {
        Self {
            revision: watch::Sender::new(Some(revision)),
        }
    }

    /// Waits until the caches have consumed a revision.
    ///
    /// **Errors**: [`StorageError::Closed`] when nobody follows any more: what the caches hold could
    /// be of any age.
    pub(crate) async fn reach(&self, revision: Revision) -> Result<(), StorageError> {
        let is_there = |reached: &Option<Revision>| reached.is_none_or(|at| at >= revision);
        let reached = *self.revision.borrow();
        let reached = if is_there(&reached) {
            reached
        } else {
            let mut watch = self.revision.subscribe();
            let reached = watch.wait_for(is_there).await;
            *reached.map_err(|_| StorageError::Closed)?
        };
        reached.map(drop).ok_or(StorageError::Closed)
    }

    /// Nobody follows any more: whoever waits is told so.
    pub(crate) fn end(&self) {
        self.revision.send_replace(None);
    }

    fn advance(&self, revision: Revision) {
        self.revision.send_if_modified(|reached| match reached {
            Some(at) if *at < revision => {
                *at = revision;
                true
            }
            _ => false,
        });
    }
}

/// Follows the feed until it ends or fails; a vault that cannot follow it must not go on.
pub(crate) async fn follow(active: &Arc<Active>, mut feed: ChangeFeed) -> Result<(), StorageError> {
    loop {
        match feed.next().await {
            Ok(Some(changed)) => {
                apply(active, &changed).await?;
                active.followed.advance(changed.revision);
            }
            Ok(None) => return Ok(()),
            Err(StorageError::TooOld { resume }) => {
                active
                    .reload()
                    .await
                    .map_err(|error| StorageError::Stopped {
                        reason: format!("the tables cannot be read again: {error}"),
                    })?;
                active.followed.advance(resume);
            }
            Err(error) => return Err(error),
        }
    }
}

async fn apply(active: &Arc<Active>, changed: &Changed) -> Result<(), StorageError> {
    for key in changed.keys.iter() {
        if let Err(error) = apply_key(active, key).await {
            return Err(StorageError::Stopped {
                reason: format!("`{key}`: {error}"),
            });
        }
    }
    Ok(())
}

async fn apply_key(active: &Arc<Active>, key: &Key) -> Result<(), crate::CoreError> {
    let Ok(text) = std::str::from_utf8(key.as_bytes()) else {
        return Ok(());
    };
    let Some(text) = text.strip_prefix("sys/") else {
        return Ok(());
    };
    let Some((kind, rest)) = text.split_once('/') else {
        match text {
            "quota-config" => active.quotas.reload().await?,
            "activity-settings" => active.activity.reload().await?,
            "cross-origin" => active.cross_origin.reload().await?,
            _ => {}
        }
        return Ok(());
    };
    match kind {
        "token" => {
            if let Some(id) = rest.strip_prefix("id/") {
                active.tokens.forget(id);
            }
        }
        "policy" => match rest.strip_prefix("root/cedar/") {
            Some(name) => active.cedar.reload(name).await?,
            None => active.policies.forget(rest),
        },
        "mount" => active.mounts.reload(rest).await?,
        "audit-header" => active.audited_headers.reload().await?,
        "quota" => {
            active.quotas.reload().await?;
            active.quotas.count_leases(active);
        }
        "audit" => active.audits.reload_all().await?,
        _ => {}
    }
    Ok(())
}
