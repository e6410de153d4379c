//! Cedar policies as records, and those in force.
//!
//! A document is stored as its author wrote it, at `sys/policy/root/cedar/<name>`. All of them are in
//! force at once, in memory; the change feed puts a changed one in force before anybody can read the
//! revision that changed it.

use super::{check_name, names_in};
use secretum_engine::Fault;
use secretum_policy::cedar::{
    Ask, Caller, Cedar, Document, EVALUATED_MAX, Undecided, Verdict, Wanted,
};
use secretum_storage::{Batch, Key, Storage, StorageError};
use std::sync::Arc;

/// The folder of Cedar policies of the root namespace.
const FOLDER: &str = "sys/policy/root/cedar/";

/// A record that each write of a document puts, so that two at once collide: each was checked without the
/// other.
pub(crate) const WRITES: &str = "sys/cedar-writes";

/// The Cedar policies of a vault.
#[derive(Debug)]
pub(crate) struct CedarPolicies {
    storage: Arc<dyn Storage>,
    in_force: Arc<Cedar>,
}

impl CedarPolicies {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            in_force: Arc::default(),
        }
    }

    /// Whether there is none. Costs next to nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.in_force.is_empty()
    }

    /// What they say of a request.
    ///
    /// **Errors**: [`Fault::Internal`] where one cannot be read: it may forbid. [`Fault::DeniedBecause`]
    /// where the request meets more than is evaluated.
    pub(crate) fn decide(&self, ask: &Ask<'_>, wanted: Wanted) -> Result<Verdict, Fault> {
        let decided = self.in_force.decide(ask, wanted);
        decided.map_err(|undecided| match undecided {
            Undecided::TooMany { .. } => Fault::DeniedBecause(undecided.to_string().into()),
            unreadable @ Undecided::Unreadable { .. } => Fault::internal(unreadable),
        })
    }

    /// Whether they may permit something below a mount; with one that cannot be read, nothing.
    pub(crate) fn may_permit_below(&self, caller: &Caller, mount_path: &str) -> bool {
        self.in_force.may_permit_below(caller, mount_path)
    }

    /// A policy as its author wrote it.
    pub(crate) async fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        let entry = self.storage.get(&key(name)?).await?;
        entry
            .map(|entry| String::from_utf8(entry.value.to_vec()).map_err(Fault::internal))
            .transpose()
    }

    /// Names of all, sorted.
    pub(crate) async fn names(&self) -> Result<Vec<String>, Fault> {
        let mut names = names_in(&*self.storage, FOLDER).await?;
        names.sort_unstable();
        Ok(names)
    }

    /// What must be committed to have a policy, and what is odd about it. A change of [`WRITES`] must have
    /// begun.
    ///
    /// **Errors**: [`Fault::Invalid`] with line and column where the text is none.
    pub(crate) async fn prepare(
        &self,
        name: &str,
        text: String,
    ) -> Result<(Batch, Vec<String>), Fault> {
        check_name(name)?;
        let (in_force, own_name) = (Arc::clone(&self.in_force), name.to_owned());
        // It takes its time, of a long document and of many others, and nobody else's.
        let checked = tokio::task::spawn_blocking(move || {
            let warnings = check(&in_force, &own_name, &text)?;
            Ok::<_, Fault>((text, warnings))
        });
        let (text, warnings) = checked.await.map_err(Fault::internal)??;
        Ok((Batch::new().put(key(name)?, text), warnings))
    }

    /// What must be committed to lose a policy.
    pub(crate) fn prepare_removal(name: &str) -> Result<Batch, Fault> {
        Ok(Batch::new().delete(key(name)?))
    }

    /// Puts in force what is stored under this name now.
    pub(crate) async fn reload(&self, name: &str) -> Result<(), Fault> {
        let Some(entry) = self.storage.get(&key(name)?).await? else {
            self.in_force.remove(name);
            return Ok(());
        };
        let document = std::str::from_utf8(&entry.value)
            .map_err(|error| error.to_string())
            .and_then(|text| Document::read_stored(name, text).map_err(|error| error.to_string()));
        match document {
            Ok(document) => self.in_force.put(document),
            Err(reason) => {
                tracing::error!(
                    name,
                    reason,
                    "a stored Cedar policy cannot be read: requests are refused until it is \
                     written anew or deleted by a root token"
                );
                self.in_force.put_unreadable(name, reason);
            }
        }
        Ok(())
    }

    /// Puts in force what is stored now, and nothing else.
    pub(crate) async fn reload_all(&self) -> Result<(), Fault> {
        let names = self.names().await?;
        self.in_force.retain(&names);
        for name in &names {
            self.reload(name).await?;
        }
        if let Some(statements) = self.in_force.overload() {
            tracing::error!(
                statements,
                most = EVALUATED_MAX,
                "the stored Cedar policies have more statements for one request than are evaluated: such \
                 requests are refused but to a root token, until the policies name more principals, actions \
                 and resources in their heads"
            );
        }
        Ok(())
    }
}

/// What is odd about a document.
fn check(in_force: &Cedar, name: &str, text: &str) -> Result<Vec<String>, Fault> {
    let failed = |error: &dyn std::fmt::Display| {
        Fault::invalid(format!("failed to parse Cedar policy: {error}"))
    };
    let document = Document::read(name, text).map_err(|error| failed(&error))?;
    in_force
        .check(&document)
        .map_err(|problem| failed(&problem))?;
    Ok(document.warnings().to_vec())
}

fn key(name: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("{FOLDER}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_policy::cedar::{Action, Circumstances, Resource};
    use secretum_storage::memory::MemoryStorage;
    use std::time::Duration;

    fn decide(policies: &CedarPolicies) -> Result<Verdict, Fault> {
        let ask = Ask {
            caller: &Caller::new(None, "accessor", &[], &[]).unwrap(),
            action: Action::named("read").unwrap(),
            resource: &Resource::new("secret/", "a", "secret/a", "kv"),
            around: Circumstances {
                ttl: Duration::ZERO,
                time: secretum_crypto::Timestamp::from_unix_seconds(0),
                ip: None,
                mfa: false,
                wrap_ttl: Duration::ZERO,
                parameters: None,
            },
        };
        policies.decide(&ask, Wanted::Both)
    }

    #[tokio::test]
    async fn a_stored_document_that_cannot_be_read_decides_nothing_until_it_is_mended() {
        let storage: Arc<dyn Storage> = MemoryStorage::new();
        let policies = CedarPolicies::new(Arc::clone(&storage));
        let stored = async |name: &str, text: &'static str| {
            let batch = Batch::new().put(key(name).unwrap(), text);
            storage.commit(batch).await.unwrap();
        };
        stored("good", "permit (principal, action, resource);").await;
        // What the schema does not know any more stays in force.
        stored(
            "known-before",
            "forbid (principal, action in Action::\"old\", resource);",
        )
        .await;
        policies.reload_all().await.unwrap();
        let permitted = Verdict::Permitted("good#1".into());
        assert_eq!(decide(&policies).unwrap(), permitted);
        stored("bad", "forbid (principal)").await;
        for all in [false, true] {
            match all {
                false => policies.reload("bad").await.unwrap(),
                true => policies.reload_all().await.unwrap(),
            }
            let refused = decide(&policies).unwrap_err();
            assert!(refused.to_string().contains("`bad`"), "{refused}");
        }
        storage
            .commit(CedarPolicies::prepare_removal("bad").unwrap())
            .await
            .unwrap();
        policies.reload_all().await.unwrap();
        assert_eq!(decide(&policies).unwrap(), permitted);
    }

    #[tokio::test]
    async fn more_than_is_evaluated_is_refused_with_its_reason() {
        let storage: Arc<dyn Storage> = MemoryStorage::new();
        let policies = CedarPolicies::new(Arc::clone(&storage));
        // As an earlier version took them: each document fits by itself.
        let text = "permit (principal, action, resource) when { false };".repeat(900);
        for number in 0..=EVALUATED_MAX / 900 {
            let name = format!("many-{number}");
            let batch = Batch::new().put(key(&name).unwrap(), text.clone());
            storage.commit(batch).await.unwrap();
        }
        policies.reload_all().await.unwrap();
        let refused = decide(&policies).unwrap_err();
        assert!(
            matches!(&refused, Fault::DeniedBecause(told) if told.contains("5400 Cedar statements")),
            "{refused:?}"
        );
        assert_eq!(policies.in_force.overload(), Some(5_400));
        let more = "permit (principal == Token::\"a\", action, resource);";
        assert!(matches!(
            policies.prepare("more", more.to_owned()).await,
            Err(Fault::Invalid(told)) if told.contains("one request could then meet 5401")
        ));
        policies.prepare("many-0", more.to_owned()).await.unwrap();
    }
}
