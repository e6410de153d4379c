//! Policies as records, and what a set of them grants.
//!
//! A policy is stored as its author wrote it, at `sys/policy/root/hcl/<name>`. What a token's
//! policies grant together is prepared once per set of names and kept until a policy changes.

pub(crate) mod cedar;

use crate::CoreError;
use crate::cache::Cache;
use crate::system::wrapping;
use secretum_crypto::ClockRef;
use secretum_engine::{Fault, LIST_PAGE};
use secretum_policy::{Acl, DEFAULT_POLICY, Policy, ROOT_POLICY_NAME, VISITED_MAX};
use secretum_storage::{Batch, Key, PageOf, Pages, Storage, StorageError};
use std::sync::Arc;

/// The folder of HCL policies of the root namespace.
const FOLDER: &str = "sys/policy/root/hcl/";

/// How many sets of policies are held prepared.
const CACHED: usize = 1_024;

/// The text that these sets were prepared from, in bytes. Prepared, they take several times that.
const CACHED_TEXT_BYTES_MAX: usize = 16 << 20;

/// The longest name of a policy, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 512;

/// The policies of a vault.
#[derive(Debug)]
pub(crate) struct Policies {
    storage: Arc<dyn Storage>,
    clock: ClockRef,
    acls: Cache<Vec<String>, Arc<Acl>>,
}

impl Policies {
    pub(crate) fn new(storage: Arc<dyn Storage>, clock: ClockRef) -> Self {
        Self {
            storage,
            clock,
            acls: Cache::weighing(CACHED, CACHED_TEXT_BYTES_MAX),
        }
    }

    /// What policies of these names grant together; a name without a policy grants nothing.
    pub(crate) async fn acl(&self, names: &[String]) -> Result<Arc<Acl>, Fault> {
        let now = self.clock.now();
        let ticket = match self.acls.get(names) {
            Ok(acl) if acl.valid_until().is_none_or(|end| now < end) => return Ok(acl),
            // A rule of it has expired since.
            Ok(_) => {
                self.acls.clear();
                self.acls.get(names).err()
            }
            Err(ticket) => Some(ticket),
        };
        let (policies, text_bytes) = Box::pin(self.all_parsed(names)).await?;
        let acl = Arc::new(Acl::at(&policies, now));
        if let Some(visited) = acl.overload() {
            tracing::warn!(
                policies = ?names,
                "{}, and all requests of such a token are refused",
                overload(visited)
            );
        }
        if let Some(ticket) = ticket {
            (self.acls).fill_weighing(ticket, names.to_vec(), Arc::clone(&acl), text_bytes);
        }
        Ok(acl)
    }

    /// A policy as its author wrote it.
    pub(crate) async fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        let Some(entry) = self.storage.get(&key(name)?).await? else {
            return Ok(None);
        };
        String::from_utf8(entry.value.to_vec())
            .map(Some)
            .map_err(Fault::internal)
    }

    /// Whether there is a policy of this name.
    pub(crate) async fn exists(&self, name: &str) -> Result<bool, Fault> {
        Ok(name == ROOT_POLICY_NAME || self.storage.get(&key(name)?).await?.is_some())
    }

    /// Names of all policies, `root` among them, sorted.
    pub(crate) async fn names(&self) -> Result<Vec<String>, Fault> {
        let mut names = names_in(&*self.storage, FOLDER).await?;
        names.push("root".to_owned());
        names.sort_unstable();
        Ok(names)
    }

    /// What must be committed to have a policy.
    ///
    /// **Errors**: [`Fault::Invalid`] with line and column where the text is no policy.
    pub(crate) fn prepare(&self, name: &str, text: &str) -> Result<Batch, Fault> {
        if [ROOT_POLICY_NAME, wrapping::POLICY_NAME].contains(&name) {
            return Err(Fault::invalid(format!("cannot update \"{name}\" policy")));
        }
        check_name(name)?;
        let failed = |error: &dyn std::fmt::Display| {
            Fault::invalid(format!("failed to parse policy: {error}"))
        };
        let policy = Policy::parse(name, text).map_err(|error| failed(&error))?;
        if let Some(visited) = Acl::at(&[policy.into()], self.clock.now()).overload() {
            return Err(failed(&overload(visited)));
        }
        Ok(Batch::new().put(key(name)?, text.to_owned()))
    }

    /// What must be committed to lose a policy.
    ///
    /// **Errors**: [`Fault::Invalid`] for those that every vault has.
    pub(crate) fn prepare_removal(&self, name: &str) -> Result<Batch, Fault> {
        if matches!(name, "root" | "default") {
            let shown = if name == ROOT_POLICY_NAME {
                "\"root\""
            } else {
                name
            };
            return Err(Fault::invalid(format!("cannot delete {shown} policy")));
        }
        Ok(Batch::new().delete(key(name)?))
    }

    /// Drops what was prepared from the policy of this record.
    pub(crate) fn forget(&self, _record: &str) {
        // Which sets a policy is in is not kept: they are few, and made again in microseconds.
        self.acls.clear();
    }

    pub(crate) fn forget_all(&self) {
        self.acls.clear();
    }

    /// The policies of these names, and the bytes of their texts.
    async fn all_parsed(&self, names: &[String]) -> Result<(Vec<Arc<Policy>>, usize), Fault> {
        let mut policies = Vec::with_capacity(names.len());
        let mut text_bytes = 0;
        for name in names {
            if let Some((policy, bytes)) = self.parsed(name).await? {
                policies.push(policy);
                text_bytes += bytes;
            }
        }
        Ok((policies, text_bytes))
    }

    async fn parsed(&self, name: &str) -> Result<Option<(Arc<Policy>, usize)>, Fault> {
        if name == ROOT_POLICY_NAME {
            return Ok(Some((Arc::new(Policy::root()), 0)));
        }
        let text = match name {
            wrapping::POLICY_NAME => wrapping::POLICY.to_owned(),
            _ => match self.text(name).await? {
                Some(text) => text,
                None => return Ok(None),
            },
        };
        let policy = Policy::parse(name, &text).map_err(|error| {
            Fault::Internal(format!(
                "the stored policy `{name}` cannot be read: {error}"
            ))
        })?;
        Ok(Some((Arc::new(policy), text.len())))
    }
}

/// The names of the records in a folder.
async fn names_in(storage: &dyn Storage, folder: &str) -> Result<Vec<String>, Fault> {
    let prefix = Key::try_from(folder)?;
    let mut pages = Pages::new(storage, prefix.clone(), PageOf::Keys, LIST_PAGE);
    let mut names = Vec::new();
    while let Some(rows) = pages.next().await? {
        names.extend(rows.iter().map(|row| row.key.name_behind(&prefix)));
    }
    Ok(names)
}

/// The `default` policy of a new vault.
pub(crate) fn default_record() -> Result<Batch, CoreError> {
    Ok(Batch::new().put(key("default")?, DEFAULT_POLICY))
}

fn key(name: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("{FOLDER}{name}"))
}

/// What is wrong with rules of which too many can match one path.
fn overload(visited: usize) -> String {
    format!(
        "for one path, {visited} places of the rules with `+` would have to be looked at, and \
         {VISITED_MAX} is the most; name more segments in the place of `+`"
    )
}

fn check_name(name: &str) -> Result<(), Fault> {
    let fits = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.chars().any(|c| c.is_control() || c == ',');
    if fits {
        Ok(())
    } else {
        Err(Fault::invalid(
            "a policy name has 1 to 512 bytes and no comma",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_crypto::SystemClock;
    use secretum_storage::memory::MemoryStorage;

    #[tokio::test]
    async fn a_stored_text_that_is_no_policy_grants_its_holders_nothing_until_it_is_mended() {
        let storage: Arc<dyn Storage> = MemoryStorage::new();
        let policies = Policies::new(Arc::clone(&storage), Arc::new(SystemClock));
        // What an earlier version took.
        let text = "path \"*\" { capabilities = [\"read\"] }\n\
                    path \"a/+*/b\" { capabilities = [\"deny\"] }";
        let put = Batch::new().put(key("old").unwrap(), text);
        storage.commit(put).await.unwrap();
        let acl = async |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            policies.acl(&names).await
        };
        let refused = acl(&["old", "other"]).await.unwrap_err();
        assert!(matches!(&refused, Fault::Internal(text) if text.contains("`old`")));
        acl(&["other"]).await.unwrap();
        acl(&["root"]).await.unwrap();
        assert_eq!(policies.text("old").await.unwrap().as_deref(), Some(text));
        policies.prepare("old", text).unwrap_err();
        let mended = policies.prepare("old", &text.replace("+*", "+")).unwrap();
        storage.commit(mended).await.unwrap();
        policies.forget("old");
        acl(&["old"]).await.unwrap();
    }
}
