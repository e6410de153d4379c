//! [`AuditedHeaders`]: which headers of requests are recorded, and whether their values are concealed.
//!
//! Each is a record, `sys/audit-header/<name>`, its name in lower case. A request carries those that are
//! configured and no others; none costs nothing.

use crate::CoreError;
use crate::limits::check;
use parking_lot::RwLock;
use secretum_audit::RecordedHeader;
use secretum_engine::{Fault, to_json, unreadable};
use secretum_storage::{Batch, Key, PageOf, Precondition, Storage, StorageError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many headers may be recorded.
const HEADERS_MAX: usize = 64;

/// The longest name of a header, in bytes.
const NAME_BYTES_MAX: usize = 128;

const FOLDER: &str = "sys/audit-header/";

/// Changes whenever a header is added.
const ADDITIONS: &str = "sys/audit-header-additions";

/// Headers that hold a token: their values never stand in the clear.
const SECRETS: [&str; 2] = ["authorization", "x-vault-token"];

/// How a header is recorded.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct HeaderRecord {
    hmac: bool,
}

/// The headers that are recorded, and whether their values are concealed.
#[derive(Debug)]
pub(crate) struct AuditedHeaders {
    names: RwLock<Arc<BTreeMap<String, bool>>>,
    storage: Arc<dyn Storage>,
}

impl AuditedHeaders {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            names: RwLock::default(),
            storage,
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Arc<BTreeMap<String, bool>> {
        Arc::clone(&self.names.read())
    }

    /// What a request has of them; `values` gives what stands there under a name.
    pub(crate) fn of(&self, values: impl Fn(&str) -> Vec<String>) -> Vec<RecordedHeader> {
        let names = self.all();
        let mut found = Vec::new();
        for (name, concealed) in names.iter() {
            let values = values(name);
            if !values.is_empty() {
                found.push(RecordedHeader {
                    name: name.clone(),
                    values,
                    concealed: *concealed,
                });
            }
        }
        found
    }

    /// What must be committed to have a header recorded.
    ///
    /// **Errors**: [`Fault::Invalid`] where no header has this name, where there are too many, and where
    /// a token would stand in the clear.
    pub(crate) async fn prepare(&self, name: &str, hmac: bool) -> Result<Batch, Fault> {
        let name = name.to_ascii_lowercase();
        check_name(&name)?;
        if !hmac && SECRETS.contains(&name.as_str()) {
            return Err(Fault::invalid(format!(
                "`{name}` holds a token: it is recorded with `hmac` true only"
            )));
        }
        let key = key(&name)?;
        let batch = Batch::new().put(key.clone(), to_json(&HeaderRecord { hmac })?);
        if self.storage.get(&key).await?.is_some() {
            return Ok(batch);
        }
        // Two additions at once know nothing of each other: the later one begins again.
        let guard = Key::try_from(ADDITIONS)?;
        let seen = self.storage.get(&guard).await?;
        let expect = seen.map_or(Precondition::Absent, |seen| Precondition::At(seen.revision));
        let there = self.read().await?.len();
        check(there < HEADERS_MAX, || {
            format!("there are {HEADERS_MAX} recorded headers already")
        })?;
        Ok(batch.put_if(guard, expect, Vec::new()))
    }

    /// What must be committed to have a header recorded no more.
    pub(crate) fn prepare_removal(&self, name: &str) -> Result<Batch, Fault> {
        let name = name.to_ascii_lowercase();
        check_name(&name)?;
        Ok(Batch::new().delete(key(&name)?))
    }

    /// Reads them again.
    pub(crate) async fn reload(&self) -> Result<(), CoreError> {
        let names = self.read().await?;
        *self.names.write() = Arc::new(names);
        Ok(())
    }

    async fn read(&self) -> Result<BTreeMap<String, bool>, Fault> {
        let prefix = Key::try_from(FOLDER)?;
        let page = self
            .storage
            .page(&prefix, None, HEADERS_MAX, PageOf::Entries)
            .await?;
        let mut names = BTreeMap::new();
        for row in page.rows {
            let name = row.key.name_behind(&prefix);
            let Some(entry) = row.entry else { continue };
            let record: HeaderRecord = serde_json::from_slice(&entry.value)
                .map_err(|error| unreadable("recorded header", &error))?;
            names.insert(name, record.hmac);
        }
        Ok(names)
    }
}

/// Refuses what cannot be the name of a header.
///
/// **Source**: RFC 9110, section 5.6.2.
fn check_name(name: &str) -> Result<(), Fault> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    check(name.len() <= NAME_BYTES_MAX, || {
        format!("the name of a header has at most {NAME_BYTES_MAX} bytes here")
    })?;
    check(!name.is_empty() && name.bytes().all(is_token), || {
        "the name of a header holds letters, digits and `-` only".to_owned()
    })
}

fn key(name: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("{FOLDER}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_header_can_have() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        for (name, fits) in [
            ("x-forwarded-for", true),
            (longest.as_str(), true),
            (&format!("{longest}x"), false),
            ("", false),
            ("a b", false),
            ("a:", false),
            ("é", false),
            ("a/b", false),
        ] {
            assert_eq!(check_name(name).is_ok(), fits, "{name}");
        }
    }
}
