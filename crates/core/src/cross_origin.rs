//! [`CrossOrigin`]: which pages of other origins may ask a vault from a browser.
//!
//! One record, `sys/cross-origin`; without it none may.

use crate::CoreError;
use crate::limits::check;
use parking_lot::RwLock;
use secretum_engine::{Fault, to_json, unreadable};
use secretum_storage::{Batch, Key, Storage, StorageError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const KEY: &str = "sys/cross-origin";

/// How many origins or headers may be allowed.
const ALLOWED_MAX: usize = 256;

/// The longest origin or name of a header, in bytes.
const ALLOWED_BYTES_MAX: usize = 512;

/// Headers that are always allowed: those of Vault's API.
const HEADERS: [&str; 9] = [
    "Content-Type",
    "X-Requested-With",
    "X-Vault-AWS-IAM-Server-ID",
    "X-Vault-MFA",
    "X-Vault-No-Request-Forwarding",
    "X-Vault-Wrap-Format",
    "X-Vault-Wrap-TTL",
    "X-Vault-Policy-Override",
    "Authorization",
];

/// Another one: the token.
const TOKEN_HEADER: &str = "X-Vault-Token";

/// Who may ask from another origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossOriginRules {
    /// The origins; `*` alone for any.
    pub allowed_origins: Vec<String>,
    /// Names of headers that a request may have.
    pub allowed_headers: Vec<String>,
    /// Whether a browser may send what it keeps for the vault's own origin.
    pub allow_credentials: bool,
}

impl CrossOriginRules {
    /// Rules for these origins and, beside those of Vault's API, these headers.
    ///
    /// **Errors**: [`Fault::Invalid`] where there is no origin, `*` stands beside others, or there are
    /// too many.
    pub(crate) fn new(
        allowed_origins: Vec<String>,
        more_headers: Vec<String>,
        allow_credentials: bool,
    ) -> Result<Self, Fault> {
        check(!allowed_origins.is_empty(), || {
            "at least one origin or the wildcard must be provided".to_owned()
        })?;
        let any = allowed_origins.iter().any(|origin| origin == "*");
        check(!any || allowed_origins.len() == 1, || {
            "to allow all origins the '*' must be the only value for allowed_origins".to_owned()
        })?;
        check(!(any && allow_credentials), || {
            "credentials cannot be allowed to every origin: name those that may".to_owned()
        })?;
        let fits = |all: &[String]| {
            let is_text = |text: &String| {
                text.len() <= ALLOWED_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
            };
            all.len() <= ALLOWED_MAX && all.iter().all(is_text)
        };
        check(fits(&allowed_origins) && fits(&more_headers), || {
            format!(
                "at most {ALLOWED_MAX} origins and headers are allowed, each of at most \
                 {ALLOWED_BYTES_MAX} printable characters"
            )
        })?;
        let own = HEADERS.iter().chain([&TOKEN_HEADER]);
        let mut allowed_headers: Vec<String> = own.map(|name| (*name).to_owned()).collect();
        allowed_headers.extend(more_headers);
        Ok(Self {
            allowed_origins,
            allowed_headers,
            allow_credentials,
        })
    }

    /// Whether a page of this origin may ask.
    pub fn allows(&self, origin: &str) -> bool {
        let mut origins = self.allowed_origins.iter();
        origins.any(|own| own == "*" || own == origin)
    }
}

/// The rules of a vault.
#[derive(Debug)]
pub(crate) struct CrossOrigin {
    rules: RwLock<Option<Arc<CrossOriginRules>>>,
    storage: Arc<dyn Storage>,
}

impl CrossOrigin {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            rules: RwLock::default(),
            storage,
        }
    }

    /// The rules, where there are any.
    pub(crate) fn rules(&self) -> Option<Arc<CrossOriginRules>> {
        self.rules.read().clone()
    }

    /// What must be committed to have rules, or none.
    pub(crate) fn prepare(rules: Option<&CrossOriginRules>) -> Result<Batch, Fault> {
        Ok(match rules {
            Some(rules) => Batch::new().put(key()?, to_json(rules)?),
            None => Batch::new().delete(key()?),
        })
    }

    /// Reads the record again.
    pub(crate) async fn reload(&self) -> Result<(), CoreError> {
        let entry = self.storage.get(&key()?).await?;
        let rules = entry.map(|entry| serde_json::from_slice(&entry.value));
        let rules = rules.transpose();
        let rules = rules.map_err(|error| unreadable("rule for other origins", &error))?;
        *self.rules.write() = rules.map(Arc::new);
        Ok(())
    }
}

fn key() -> Result<Key, StorageError> {
    Key::try_from(KEY)
}
