//! The change feed's reader: it drops what is cached and reloads what is tabled before anybody may
//! rely on the revision that changed it.

use crate::active::Active;
use secretum_storage::{ChangeFeed, Changed, Key, Revision, StorageError};
use std::sync::Arc;
use tokio::sync::watch;

/// How far this node's caches have followed the storage.
#[derive(Debug)]
pub(crate) struct Followed {
    revision: watch::Sender<Revision>,
}

impl Followed {
    pub(crate) fn new(revision: Revision) -> Self {
        Self {
            revision: watch::Sender::new(revision),
        }
    }

    /// Waits until the caches have consumed a revision.
    ///
    /// **Errors**: [`StorageError::Closed`] when the vault is sealed or stopped meanwhile.
    pub(crate) async fn reach(&self, revision: Revision) -> Result<(), StorageError> {
        if *self.revision.borrow() >= revision {
            return Ok(());
        }
        let mut watch = self.revision.subscribe();
        watch
            .wait_for(|reached| *reached >= revision)
            .await
            .map_err(|_| StorageError::Closed)?;
        Ok(())
    }

    fn advance(&self, revision: Revision) {
        self.revision.send_if_modified(|reached| {
            let newer = *reached < revision;
            *reached = (*reached).max(revision);
            newer
        });
    }
}

/// Follows the feed until it ends or fails; a vault that cannot follow it must not go on.
pub(crate) async fn follow(active: Arc<Active>, mut feed: ChangeFeed) -> Result<(), StorageError> {
    loop {
        match feed.next().await {
            Ok(Some(changed)) => {
                apply(&active, &changed).await?;
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

async fn apply(active: &Active, changed: &Changed) -> Result<(), StorageError> {
    for key in changed.keys.iter() {
        if let Err(error) = apply_key(active, key).await {
            return Err(StorageError::Stopped {
                reason: format!("`{key}`: {error}"),
            });
        }
    }
    Ok(())
}

async fn apply_key(active: &Active, key: &Key) -> Result<(), crate::CoreError> {
    let Ok(text) = std::str::from_utf8(key.as_bytes()) else {
        return Ok(());
    };
    let Some((kind, rest)) = text
        .strip_prefix("sys/")
        .and_then(|rest| rest.split_once('/'))
    else {
        return Ok(());
    };
    match kind {
        "token" => {
            if let Some(id) = rest.strip_prefix("id/") {
                active.tokens.forget(id);
            }
        }
        "policy" => active.policies.forget(rest),
        "mount" => active.mounts.reload(rest).await?,
        "audit" => active.audits.reload(rest).await?,
        _ => {}
    }
    Ok(())
}
