//! Ending tokens, and with them what they made.
//!
//! The first commit of a revocation ends the token itself and writes down that its children must
//! follow; from then on nothing can stop it, not even a crash.
//!
//! INVARIANT: a token that has ended stays in its maker's list of children until all that it made has
//! ended, too. So whoever finds that list empty knows that the whole tree is gone, however many work on
//! it at once: requests, and the janitor.

use super::{Tokens, child_key, expiry_key, id_key, lease_key};
use crate::CoreError;
use crate::active::Active;
use crate::pipeline::{COMMIT_TRIES, contended};
use crate::system::cubbyhole::PREFIX;
use crate::system::wrapping;
use crate::tokens::{Token, TokenRecord};
use futures::StreamExt;
use secretum_crypto::Timestamp;
use secretum_engine::Fault;
use secretum_storage::{Batch, Key, PageOf, Pages, Precondition, StorageError};

/// How many expired tokens are removed at once.
const EXPIRED_AT_ONCE: usize = 64;

/// How much of the records of orphans one commit holds, in bytes, but for the last of them.
const ORPHANS_BYTES_MAX: usize = 1 << 20;

/// How many children one look brings.
const PAGE: usize = 256;

impl Tokens {
    /// Ends a token and everything it made.
    pub(crate) async fn revoke(&self, active: &Active, id: &str) -> Result<(), Fault> {
        self.end(active, id, |_| true).await?;
        // Also where another ended it: this answer, too, tells that all of the tree is gone.
        self.end_tree(active, id).await
    }

    /// The same, where the token as it is stored at its end is as said; whether it was.
    async fn revoke_where(
        &self,
        active: &Active,
        id: &str,
        condition: impl Fn(&Token) -> bool + Send,
    ) -> Result<bool, Fault> {
        let ended = self.end(active, id, condition).await?;
        if ended {
            self.end_tree(active, id).await?;
        }
        Ok(ended)
    }

    /// Ends a token, and leaves what it made as orphans.
    pub(crate) async fn revoke_orphan(&self, active: &Active, id: &str) -> Result<(), Fault> {
        let prefix = Key::try_from(format!("sys/token/child/{id}/"))?;
        let mut lost = 0;
        while lost < COMMIT_TRIES {
            let page = active
                .storage
                .page(&prefix, None, PAGE, PageOf::Keys)
                .await?;
            let mut batch = Batch::new();
            let mut more = page.more;
            for row in page.rows {
                if batch.bytes() > ORPHANS_BYTES_MAX {
                    more = true;
                    break;
                }
                let child = row.key.name_behind(&prefix);
                if let Some(child) = self.read(&child).await? {
                    let mut record = child.record.clone();
                    record.parent = None;
                    let expect = Precondition::At(child.revision);
                    batch = batch.put_if(id_key(&child.id)?, expect, record.to_bytes()?);
                }
                batch = batch.delete(row.key);
            }
            if !batch.is_empty() {
                match active.commit(batch).await {
                    Ok(_) => lost = 0,
                    Err(StorageError::Conflict { .. }) => {
                        lost += 1;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if !more {
                return self.revoke(active, id).await;
            }
        }
        Err(contended())
    }

    /// Ends tokens whose time is over. One that cannot be ended now keeps none behind it from ending.
    pub(crate) async fn expire(&self, active: &Active) -> Result<(), CoreError> {
        let now = self.clock.now();
        let prefix = Key::try_from("sys/expiry/")?;
        let mut pages = Pages::new(&*active.storage, prefix.clone(), PageOf::Keys, PAGE);
        while let Some(rows) = pages.next().await? {
            let count = rows.len();
            let due: Vec<(String, Key)> = (rows.into_iter())
                .map_while(|row| due(&row.key, &prefix, now).map(|id| (id, row.key)))
                .collect();
            let all_due = due.len() == count;
            // Each ends by commits of its own, and those of many share a sync.
            futures::stream::iter(due)
                .for_each_concurrent(EXPIRED_AT_ONCE, |(id, entry)| async move {
                    if let Err(error) = self.expire_one(active, &id, entry, now).await {
                        tracing::warn!(%error, "an expired token could not be removed; it is refused");
                    }
                })
                .await;
            if !all_due || active.ending.is_cancelled() {
                break;
            }
        }
        Ok(())
    }

    async fn expire_one(
        &self,
        active: &Active,
        id: &str,
        entry: Key,
        now: Timestamp,
    ) -> Result<(), Fault> {
        // One that was renewed a moment ago goes on; this entry is not its time any more.
        let ended = self.revoke_where(active, id, |token| token.record.is_over(now));
        if !ended.await? {
            active.commit(Batch::new().delete(entry)).await?;
        }
        Ok(())
    }

    /// Goes on with revocations that a crash left half done.
    pub(crate) async fn finish_revocations(&self, active: &Active) -> Result<(), CoreError> {
        let prefix = Key::try_from("sys/revoke/")?;
        let page = active
            .storage
            .page(&prefix, None, PAGE, PageOf::Keys)
            .await?;
        for row in page.rows {
            let revoked = self.end_tree(active, &row.key.name_behind(&prefix)).await;
            if let Err(error) = revoked {
                tracing::warn!(%error, "children of a revoked token remain; it is tried again");
            }
        }
        Ok(())
    }

    /// Deletes a token's records; `false` where there are none, or the token is not as said.
    async fn end(
        &self,
        active: &Active,
        id: &str,
        condition: impl Fn(&Token) -> bool + Send,
    ) -> Result<bool, Fault> {
        for _ in 0..COMMIT_TRIES {
            let token = self.read(id).await?;
            let Some(token) = token.filter(|token| condition(token)) else {
                return Ok(false);
            };
            let parent = token.record.parent.clone().unwrap_or_default();
            let batch = self.records_gone(&token)?.put(revoke_key(id)?, parent);
            match active.commit(batch).await {
                Ok(_) => return Ok(true),
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended())
    }

    /// What must be committed to end a token that made nothing.
    pub(crate) fn death(&self, token: &Token) -> Result<Batch, Fault> {
        let batch = self.records_gone(token)?;
        Ok(match &token.record.parent {
            Some(parent) => batch.delete(child_key(parent, &token.id)?),
            None => batch,
        })
    }

    /// Deletes a token's records, but for its place in the list of its maker's children.
    fn records_gone(&self, token: &Token) -> Result<Batch, Fault> {
        let TokenRecord {
            accessor,
            expires,
            policies,
            ..
        } = &token.record;
        let mut batch = Batch::new()
            .delete_if(id_key(&token.id)?, Precondition::At(token.revision))
            .delete(self.accessor_key(accessor)?);
        if policies
            .iter()
            .any(|policy| policy == wrapping::POLICY_NAME)
        {
            batch = batch.delete(wrapping::key(&token.id)?);
        }
        if let Some(lease) = &token.record.lease {
            batch = batch.delete(lease_key(lease, &token.id)?);
        }
        if let Some(expires) = expires {
            batch = batch.delete(expiry_key(*expires, &token.id)?);
        }
        Ok(batch)
    }

    /// Ends all that a token made, which has ended itself. Returns when nothing of it is left, whoever
    /// else works on it.
    async fn end_tree(&self, active: &Active, id: &str) -> Result<(), Fault> {
        let mut unfinished = vec![Node {
            id: id.to_owned(),
            maker: None,
        }];
        while let Some(node) = unfinished.last() {
            let children = self.end_children(active, node).await?;
            if children.is_empty() {
                unfinished.pop();
            } else {
                unfinished.extend(children);
            }
        }
        Ok(())
    }

    /// Ends children of a token, and returns them, since what they made must follow; when there are
    /// none, and were none before, nothing is left of the token.
    async fn end_children(&self, active: &Active, node: &Node) -> Result<Vec<Node>, Fault> {
        let mark = active.storage.get(&revoke_key(&node.id)?).await?;
        let Some(mark) = mark else {
            // Another finished it; or its maker's list names what is not there.
            self.forget_child(active, Batch::new(), node).await?;
            return Ok(Vec::new());
        };
        let prefix = Key::try_from(format!("sys/token/child/{}/", node.id))?;
        let page = active
            .storage
            .page(&prefix, None, PAGE, PageOf::Keys)
            .await?;
        let mut children = Vec::new();
        for row in page.rows {
            let child = row.key.name_behind(&prefix);
            let is_own = |token: &Token| token.record.parent.as_deref() == Some(&node.id);
            self.end(active, &child, is_own).await?;
            children.push(Node {
                id: child,
                maker: Some(node.id.clone()),
            });
        }
        if children.is_empty() {
            self.empty_cubbyhole(active, &node.id).await?;
            active.leases.end_those_of(active, &node.id).await?;
            let maker = String::from_utf8_lossy(&mark.value);
            // A token of the same text may have come and gone since: this is not the end of that one.
            let mut batch =
                Batch::new().delete_if(revoke_key(&node.id)?, Precondition::At(mark.revision));
            if !maker.is_empty() {
                batch = batch.delete(child_key(&maker, &node.id)?);
            }
            match self.forget_child(active, batch, node).await {
                // Another finished it.
                Err(Fault::Storage(StorageError::Conflict { .. })) => {}
                finished => finished?,
            }
        }
        Ok(children)
    }

    /// Takes a token out of the list that named it.
    async fn forget_child(&self, active: &Active, batch: Batch, node: &Node) -> Result<(), Fault> {
        let batch = match &node.maker {
            Some(maker) => batch.delete(child_key(maker, &node.id)?),
            None => batch,
        };
        if !batch.is_empty() {
            active.commit(batch).await?;
        }
        Ok(())
    }
}

/// A token that has ended, and what it made not all.
#[derive(Debug)]
struct Node {
    id: String,
    /// Whose list of children names it.
    maker: Option<String>,
}

impl Tokens {
    /// Deletes what a token that has ended held in its cubbyhole.
    async fn empty_cubbyhole(&self, active: &Active, id: &str) -> Result<(), Fault> {
        let prefix = Key::try_from(format!("{PREFIX}{id}/"))?;
        loop {
            let page = active
                .storage
                .page(&prefix, None, PAGE, PageOf::Keys)
                .await?;
            if page.rows.is_empty() {
                return Ok(());
            }
            let held = page.rows.into_iter();
            let batch = held.fold(Batch::new(), |batch, row| batch.delete(row.key));
            active.commit(batch).await?;
        }
    }
}

pub(super) fn revoke_key(id: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("sys/revoke/{id}"))
}

/// The id of an entry of the index of ends, whose time has come; empty for one that is none.
fn due(entry: &Key, prefix: &Key, now: Timestamp) -> Option<String> {
    let name = entry.name_behind(prefix);
    let (time, id) = name.split_once('/').unwrap_or_default();
    let is_later = i64::from_str_radix(time, 16).is_ok_and(|time| time > now.unix_seconds());
    (!is_later).then(|| id.to_owned())
}
