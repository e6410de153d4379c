//! Tokens: service tokens and their records, and batch tokens, which have none (see `batch`).
//!
//! A service token is known by its HMAC under a key of this vault: no storage holds a token, and one of
//! another vault is unknown here. Its records are
//! - `sys/token/id/<id>`, the token itself;
//! - `sys/token/accessor/<hash of the accessor>`, so that it can be found by its accessor;
//! - `sys/token/child/<parent id>/<id>`, so that its parent's end is its own;
//! - `sys/expiry/<seconds, 16 hex digits>/<id>`, so that its time is found without a search;
//! - `sys/revoke/<id>` while its children are being revoked; its maker's id, where it has one.
//!
//! - `sys/lease/<mount uuid>/<path>/<id>` where it lives for a time and an auth method issued it, so that
//!   it is found among leases; its own are below `sys/token/lease/<id>/`.
//!
//! `sys/token/role/<name>` is a role, after which tokens are made.

mod batch;
mod issue;

mod limits;
mod record;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing {
    pub use super::batch::fuzzing::token_text;
    pub use super::record::fuzzing::token_record;
}
mod revoke;
mod role;
mod tidy;

pub(crate) use issue::{Issued, Issuer, NewToken, auth, token_length};
pub(crate) use record::{TokenKind, TokenRecord};
pub(crate) use role::{Role, RoleType, Roles};

use crate::cache::Cache;
use crate::pipeline::{COMMIT_TRIES, contended};
use crate::tidying::Tidying;
use crate::turns::Turns;
use crate::{Core, CoreError};
use batch::BatchKey;
use secretum_audit::AuthWords;
use secretum_crypto::{ClockRef, HmacKey, RngRef, SecretString};
use secretum_engine::{Caller, Fault, LIST_NAMES_MAX, LIST_PAGE};
use secretum_policy::cedar;
use secretum_storage::{Batch, Key, PageOf, Pages, Precondition, Revision, Storage, StorageError};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

/// How many tokens are held parsed. What one may carry is limited, so this bounds their memory, too:
/// see [`limits`].
const CACHED: usize = 8_192;

/// The longest token that is made or looked up, in bytes.
const TOKEN_BYTES_MAX: usize = 512;

/// A token's id: the HMAC of the token, in hex.
pub(crate) type Id = Arc<str>;

/// A token that exists.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) id: Id,
    pub(crate) record: TokenRecord,
    /// The commit that wrote the record.
    pub(crate) revision: Revision,
    /// The caller as engines see it.
    pub(crate) caller: Arc<Caller>,
    /// How audit records tell of it.
    pub(crate) audit_words: AuthWords,
    /// The month in which its client was counted last.
    pub(crate) counted: AtomicU32,
    /// The caller as Cedar policies see it, made when one looks.
    cedar: OnceLock<Option<cedar::Caller>>,
}

impl Token {
    fn new(id: Id, record: TokenRecord, revision: Revision) -> Arc<Self> {
        let caller = Arc::new(Caller {
            accessor: record.accessor.clone(),
            display_name: record.display_name.clone(),
            policies: record.policies.clone(),
            entity_id: record.entity_id.clone(),
        });
        Arc::new(Self {
            id,
            record,
            revision,
            caller,
            audit_words: AuthWords::default(),
            counted: AtomicU32::new(0),
            cedar: OnceLock::new(),
        })
    }

    /// The caller as Cedar policies see it.
    ///
    /// **Errors**: [`Fault::Internal`] where the schema of Cedar policies cannot be used.
    pub(crate) fn cedar(&self) -> Result<&cedar::Caller, Fault> {
        let (accessor, roles) = (&self.record.accessor, &self.record.policies);
        let made = || cedar::Caller::new(None, accessor, roles, &[]).ok();
        let unusable = || Fault::Internal("the Cedar schema cannot be used".to_owned());
        self.cedar.get_or_init(made).as_ref().ok_or_else(unusable)
    }
}

/// The tokens of a vault.
#[derive(Debug)]
pub(crate) struct Tokens {
    storage: Arc<dyn Storage>,
    clock: ClockRef,
    rng: RngRef,
    id_key: HmacKey,
    accessor_key: HmacKey,
    batch: BatchKey,
    pub(crate) tidying: Tidying,
    cache: Cache<Id, Arc<Token>>,
}

impl Tokens {
    /// The tokens of an unsealed vault.
    pub(crate) fn new(core: &Core, storage: Arc<dyn Storage>) -> Result<Self, CoreError> {
        Ok(Self {
            storage,
            clock: Arc::clone(&core.config.clock),
            rng: Arc::clone(&core.config.rng),
            id_key: HmacKey::new(core.barrier.derived_key("token id")?.expose()),
            accessor_key: HmacKey::new(core.barrier.derived_key("token accessor")?.expose()),
            batch: BatchKey::new(core)?,
            tidying: Tidying::new("tokens"),
            cache: Cache::new(CACHED),
        })
    }

    /// The id of a token's text.
    pub(crate) fn id(&self, token: &str) -> String {
        self.id_key.sign_hex(token.as_bytes())
    }

    /// The id of the token of this text, whether or not there is one; `None` for what no token is.
    pub(crate) fn id_of(&self, token: &str) -> Option<String> {
        let is_one = !token.is_empty() && token.len() <= TOKEN_BYTES_MAX;
        is_one.then(|| self.id(token))
    }

    /// The token of this text, unless it is unknown or its time is over.
    pub(crate) async fn find(&self, token: &str) -> Result<Option<Arc<Token>>, Fault> {
        if batch::is_batch(token) {
            return Box::pin(self.find_batch(token)).await;
        }
        match self.id_of(token) {
            Some(id) => self.get(&id).await,
            None => Ok(None),
        }
    }

    /// The batch token of this text. It ends with its parent, which is asked for each time.
    async fn find_batch(&self, text: &str) -> Result<Option<Arc<Token>>, Fault> {
        let id = self.id(text);
        let token = match self.cache.get(&*id) {
            Ok(token) => token,
            Err(ticket) => {
                let Some(record) = self.batch.open(text) else {
                    return Ok(None);
                };
                let token = Token::new(Arc::from(id), record, Revision(0));
                self.cache
                    .fill(ticket, Arc::clone(&token.id), Arc::clone(&token));
                token
            }
        };
        if let Some(parent) = &token.record.parent
            && Box::pin(self.get(parent)).await?.is_none()
        {
            return Ok(None);
        }
        Ok(Some(token).filter(|token| !token.record.is_over(self.clock.now())))
    }

    /// The token of this accessor, unless it is unknown or its time is over.
    pub(crate) async fn find_by_accessor(
        &self,
        accessor: &str,
    ) -> Result<Option<Arc<Token>>, Fault> {
        let key = self.accessor_key(accessor)?;
        match self.storage.get(&key).await? {
            Some(entry) => {
                self.get(&record::AccessorRecord::read(&entry.value)?.id)
                    .await
            }
            None => Ok(None),
        }
    }

    /// The token of this id, unless it is unknown or its time is over.
    pub(crate) async fn get(&self, id: &str) -> Result<Option<Arc<Token>>, Fault> {
        let token = match self.cache.get(id) {
            Ok(token) => token,
            Err(ticket) => {
                let Some(token) = Box::pin(self.read(id)).await? else {
                    return Ok(None);
                };
                self.cache
                    .fill(ticket, Arc::clone(&token.id), Arc::clone(&token));
                token
            }
        };
        Ok(Some(token).filter(|token| !token.record.is_over(self.clock.now())))
    }

    /// Whether there is a token of this text, be its time over or not, or was one whose tree is still
    /// ending.
    pub(crate) async fn is_taken(&self, token: &SecretString) -> Result<bool, Fault> {
        let id = self.id_key.sign_hex(token.expose().as_bytes());
        let is_ending = async || self.storage.get(&revoke::revoke_key(&id)?).await;
        Ok(self.read(&id).await?.is_some() || is_ending().await?.is_some())
    }

    /// A token as it is stored now: what a request holds may be older, where others changed it
    /// meanwhile.
    ///
    /// **Errors**: [`Fault::Denied`] where it is gone.
    pub(crate) async fn newest(&self, token: &Arc<Token>) -> Result<Arc<Token>, Fault> {
        match token.record.kind {
            TokenKind::Service => self.read(&token.id).await?.ok_or(Fault::Denied),
            TokenKind::Batch => Ok(Arc::clone(token)),
        }
    }

    /// A batch that fails where a token ends meanwhile: what it holds would outlive it.
    ///
    /// **Errors**: [`Fault::Denied`] where it is gone.
    pub(crate) async fn while_it_lives(&self, token: &Arc<Token>) -> Result<Batch, Fault> {
        let token = self.newest(token).await?;
        let still = Precondition::At(token.revision);
        Ok(Batch::new().require(id_key(&token.id)?, still))
    }

    /// Takes one use of a token that has a number of them.
    ///
    /// **Errors**: [`Fault::Denied`] where none is left.
    pub(crate) async fn use_up(
        &self,
        token: Arc<Token>,
        turns: &Turns,
    ) -> Result<Arc<Token>, Fault> {
        if token.record.num_uses == 0 {
            Ok(token)
        } else {
            Box::pin(self.take_use(token, turns)).await
        }
    }

    async fn take_use(&self, mut token: Arc<Token>, turns: &Turns) -> Result<Arc<Token>, Fault> {
        let mut turn = None;
        for _ in 0..COMMIT_TRIES {
            let mut record = token.record.clone();
            // One use left becomes a mark that this is the last, since 0 stands for any number.
            record.num_uses = match record.num_uses {
                i64::MIN..=0 => return Err(Fault::Denied),
                1 => record::USED_UP,
                more => more - 1,
            };
            let expect = Precondition::At(token.revision);
            let batch = Batch::new().put_if(id_key(&token.id)?, expect, record.to_bytes()?);
            match self.storage.commit(batch).await {
                Ok(revision) => {
                    return Ok(Token::new(Arc::clone(&token.id), record, revision));
                }
                Err(StorageError::Conflict { key }) => {
                    drop(turn);
                    turn = turns.wait_for(&key).await;
                    token = self.read(&token.id).await?.ok_or(Fault::Denied)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended())
    }

    /// Accessors of all tokens, sorted.
    pub(crate) async fn accessors(&self) -> Result<Vec<String>, Fault> {
        let prefix = Key::try_from("sys/token/accessor/")?;
        let mut pages = Pages::new(&*self.storage, prefix, PageOf::Entries, LIST_PAGE);
        let now = self.clock.now();
        let mut accessors = Vec::new();
        while let Some(rows) = pages.next().await? {
            if accessors.len() >= LIST_NAMES_MAX {
                return Err(Fault::invalid(format!(
                    "there are more than {LIST_NAMES_MAX} tokens: too many for one listing"
                )));
            }
            for entry in rows.iter().filter_map(|row| row.entry.as_ref()) {
                let record = record::AccessorRecord::read(&entry.value)?;
                // One whose time is over may be a moment away from its removal. Past the cache, from
                // which all of them would push those in use.
                let token = self.read(&record.id).await?;
                if token.is_some_and(|token| !token.record.is_over(now)) {
                    accessors.push(record.accessor);
                }
            }
        }
        accessors.sort_unstable();
        Ok(accessors)
    }

    pub(crate) fn forget(&self, id: &str) {
        self.cache.forget(id);
    }

    pub(crate) fn forget_all(&self) {
        self.cache.clear();
    }

    async fn read(&self, id: &str) -> Result<Option<Arc<Token>>, Fault> {
        let Some(entry) = self.storage.get(&id_key(id)?).await? else {
            return Ok(None);
        };
        let record = TokenRecord::read(&entry.value)?;
        Ok(Some(Token::new(Arc::from(id), record, entry.revision)))
    }

    fn accessor_key(&self, accessor: &str) -> Result<Key, StorageError> {
        let hash = self.accessor_key.sign_hex(accessor.as_bytes());
        Key::try_from(format!("sys/token/accessor/{hash}"))
    }
}

pub(crate) fn id_key(id: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("sys/token/id/{id}"))
}

/// Where a token stands among the leases; `folder` is its record's `lease`.
fn lease_key(folder: &str, id: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("sys/lease/{folder}/{id}"))
}

fn child_key(parent: &str, id: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("sys/token/child/{parent}/{id}"))
}

fn expiry_key(expires: i64, id: &str) -> Result<Key, StorageError> {
    // Times before 1970 do not come, and all are past.
    Key::try_from(format!("sys/expiry/{:016x}/{id}", expires.max(0)))
}
