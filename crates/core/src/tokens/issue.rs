//! Issuing and renewing tokens.

use super::record::AccessorRecord;
use super::record::TokenKind;
use super::revoke::revoke_key;
use super::{Token, TokenRecord, Tokens, child_key, expiry_key, id_key, lease_key, limits};
use crate::active::Active;
use crate::leases::{Stored, leaving_key};
use crate::life::{Bounds, Given, Life, Lives};
use secretum_api::Auth;
use secretum_api::fields::AddressRange;
use secretum_crypto::{SecretString, random_base62};
use secretum_engine::{Fault, to_json};
use secretum_storage::{Batch, Precondition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a token that is stored begins with.
const SERVICE_PREFIX: &str = "hvs.";

/// Characters of a token behind its prefix: 166 bits.
const TOKEN_CHARACTERS: usize = 28;

/// Characters of a token that is stored, as it is made here.
pub(crate) fn token_length() -> usize {
    SERVICE_PREFIX.len() + TOKEN_CHARACTERS
}

const ACCESSOR_CHARACTERS: usize = 24;

/// A token to be made.
#[derive(Debug)]
pub(crate) struct NewToken {
    /// Its text, where it is not to be random.
    pub(crate) text: Option<SecretString>,
    /// Who makes it; `None` for an orphan.
    pub(crate) parent: Option<Arc<Token>>,
    /// Sorted, without doubles.
    pub(crate) policies: Vec<String>,
    pub(crate) path: String,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) display_name: String,
    pub(crate) num_uses: u32,
    pub(crate) life: Life,
    pub(crate) explicit_max_ttl: u64,
    pub(crate) period: u64,
    pub(crate) renewable: bool,
    pub(crate) kind: TokenKind,
    /// The role that makes it; empty without one.
    pub(crate) role: String,
    pub(crate) bound_cidrs: Vec<AddressRange>,
    /// The mount that issues it; `None` for what is no login.
    pub(crate) issuer: Option<Issuer>,
}

/// Where a token is issued.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// UUID of the mount.
    pub(crate) mount: String,
    /// The path, relative to it.
    pub(crate) path: String,
}

impl Issuer {
    /// The mount that a path belongs to.
    pub(crate) fn at(active: &Active, path: &str) -> Option<Self> {
        let (mount, path) = active.mounts.find(path)?;
        Some(Self {
            mount: mount.record.uuid.clone(),
            path: path.to_owned(),
        })
    }
}

/// A token that was made.
#[derive(Debug)]
pub(crate) struct Issued {
    /// What its caller is told.
    pub(crate) auth: Auth,
    /// What must be committed to have it.
    pub(crate) writes: Batch,
    /// Why it lives shorter than asked for.
    pub(crate) warning: Option<String>,
}

/// A token that was renewed.
#[derive(Debug)]
pub(crate) struct Renewal {
    pub(crate) record: TokenRecord,
    pub(crate) writes: Batch,
    pub(crate) given: Given,
}

impl NewToken {
    /// A token that carries nothing but its policies, and has no parent.
    pub(crate) fn plain(policy: &str, path: &str, life: Life) -> Self {
        Self {
            text: None,
            parent: None,
            policies: vec![policy.to_owned()],
            path: path.to_owned(),
            meta: BTreeMap::new(),
            display_name: String::new(),
            num_uses: 0,
            life,
            explicit_max_ttl: 0,
            period: 0,
            renewable: false,
            kind: TokenKind::Service,
            role: String::new(),
            bound_cidrs: Vec::new(),
            issuer: None,
        }
    }

    /// A root token, as init makes it.
    pub(crate) fn root(text: Option<SecretString>) -> Self {
        Self {
            text,
            display_name: "root".to_owned(),
            ..Self::plain("root", "auth/token/root", Life::Endless)
        }
    }

    /// Its first life; one of 0 seconds has no end.
    fn first_life(&self) -> Given {
        let exactly = |seconds| Given {
            seconds,
            warning: None,
        };
        let bounds = Bounds {
            explicit_max: self.explicit_max_ttl,
            period: self.period,
            age: 0,
        };
        match self.life {
            Life::Endless => exactly(0),
            Life::Exactly(seconds) => exactly(seconds),
            Life::Within(asked, lives) => lives.give(asked, bounds),
        }
    }
}

impl Tokens {
    /// Makes a token; gives its text and what must be committed to have it.
    pub(crate) fn prepare(&self, new: NewToken) -> Result<(SecretString, Batch), Fault> {
        let (text, _, batch, _) = self.prepare_record(new)?;
        Ok((text, batch))
    }

    /// As [`Tokens::prepare`]; gives what its caller is told of the token, too.
    pub(crate) fn prepare_auth(&self, new: NewToken) -> Result<Issued, Fault> {
        let (text, record, writes, warning) = self.prepare_record(new)?;
        let ttl = record.ttl_left(self.clock.now());
        Ok(Issued {
            auth: auth(text.expose().to_owned(), &record, ttl),
            writes,
            warning,
        })
    }

    fn prepare_record(
        &self,
        new: NewToken,
    ) -> Result<(SecretString, TokenRecord, Batch, Option<String>), Fault> {
        limits::check_new(&new)?;
        let Given {
            seconds: ttl,
            warning,
        } = new.first_life();
        if ttl == 0 && new.life != Life::Endless {
            return Err(Fault::invalid("a token cannot have a life of 0 seconds"));
        }
        let now = self.clock.now().unix_seconds();
        let expires = (ttl > 0).then(|| now.saturating_add_unsigned(ttl));
        let accessor = match new.kind {
            TokenKind::Service => self.random("", ACCESSOR_CHARACTERS)?.expose().to_owned(),
            TokenKind::Batch => String::new(),
        };
        let record = TokenRecord {
            accessor,
            parent: new.parent.as_ref().map(|parent| parent.id.to_string()),
            policies: new.policies,
            path: new.path,
            meta: new.meta,
            display_name: new.display_name,
            // Whoever it belongs to made it, and answers for it.
            entity_id: (new.parent.as_ref())
                .map(|parent| parent.record.entity_id.clone())
                .unwrap_or_default(),
            num_uses: i64::from(new.num_uses),
            created: now,
            ttl,
            explicit_max_ttl: new.explicit_max_ttl,
            period: new.period,
            renewable: new.renewable && ttl > 0,
            expires,
            last_renewal: None,
            kind: new.kind,
            role: new.role,
            bound_cidrs: new.bound_cidrs,
            lease: (new
                .issuer
                .filter(|_| expires.is_some() && new.kind == TokenKind::Service))
            .map(|issuer| format!("{}/{}", issuer.mount, issuer.path)),
        };
        let (text, batch) = match (record.kind, new.text) {
            (TokenKind::Batch, _) => (self.batch.seal(&record, &*self.rng)?, Batch::new()),
            (TokenKind::Service, text) => {
                let text = match text {
                    Some(text) => text,
                    None => self.random(SERVICE_PREFIX, TOKEN_CHARACTERS)?,
                };
                let batch = self.birth(&text, &record, new.parent.as_deref())?;
                (text, batch)
            }
        };
        Ok((text, record, batch, warning))
    }

    /// The records of a new token. Its parent must still be there when they are committed.
    fn birth(
        &self,
        text: &SecretString,
        record: &TokenRecord,
        parent: Option<&Token>,
    ) -> Result<Batch, Fault> {
        let id = self.id_key.sign_hex(text.expose().as_bytes());
        let accessor = AccessorRecord {
            accessor: record.accessor.clone(),
            id: id.clone(),
        };
        let mut batch = Batch::new()
            .put_if(id_key(&id)?, Precondition::Absent, record.to_bytes()?)
            // What an earlier token of the same text made is still ending; it would take along what
            // this one makes.
            .require(revoke_key(&id)?, Precondition::Absent)
            .put(self.accessor_key(&record.accessor)?, to_json(&accessor)?);
        if let Some(expires) = record.expires {
            batch = batch.put(expiry_key(expires, &id)?, Vec::new());
        }
        if let Some(lease) = &record.lease {
            let (mount, _) = lease.split_once('/').unwrap_or_default();
            batch = batch
                .put(lease_key(lease, &id)?, Stored::Token.to_bytes()?)
                .require(leaving_key(mount)?, Precondition::Absent);
        }
        if let Some(parent) = parent {
            batch = batch
                .put(child_key(&parent.id, &id)?, Vec::new())
                .require(id_key(&parent.id)?, Precondition::At(parent.revision));
        }
        Ok(batch)
    }

    /// Gives a token a longer life, within what its mount allows; 0 for as long as the last time.
    ///
    /// **Errors**: [`Fault::Invalid`] where it cannot be renewed.
    pub(crate) fn renew(
        &self,
        token: &Token,
        increment: u64,
        lives: Lives,
    ) -> Result<Renewal, Fault> {
        let record = &token.record;
        if record.kind == TokenKind::Batch {
            return Err(Fault::invalid("batch tokens cannot be renewed"));
        }
        let Some(expires) = record.expires else {
            return Err(Fault::invalid(
                "invalid lease ID: the token has no end to put off",
            ));
        };
        if !record.renewable {
            return Err(Fault::invalid("lease is not renewable"));
        }
        let now = self.clock.now();
        let wanted = if increment > 0 {
            increment
        } else {
            record.last_life(expires)
        };
        let given = lives.give(wanted, record.bounds(now));
        if given.seconds == 0 {
            return Err(Fault::invalid("the token has reached its maximum life"));
        }
        let mut renewed = record.clone();
        renewed.expires = Some(now.unix_seconds().saturating_add_unsigned(given.seconds));
        renewed.last_renewal = Some(now.unix_seconds());
        let key = id_key(&token.id)?;
        let mut writes =
            Batch::new().put_if(key, Precondition::At(token.revision), renewed.to_bytes()?);
        if renewed.expires != Some(expires) {
            writes = writes.delete(expiry_key(expires, &token.id)?);
        }
        if let Some(expires) = renewed.expires {
            writes = writes.put(expiry_key(expires, &token.id)?, Vec::new());
        }
        Ok(Renewal {
            record: renewed,
            writes,
            given,
        })
    }

    fn random(&self, prefix: &str, characters: usize) -> Result<SecretString, Fault> {
        let random = random_base62(&*self.rng, characters).map_err(Fault::internal)?;
        Ok(SecretString::new(format!("{prefix}{}", random.expose())))
    }
}

/// What a caller is told of a token.
pub(crate) fn auth(client_token: String, record: &TokenRecord, ttl: u64) -> Auth {
    Auth {
        client_token,
        accessor: record.accessor.clone(),
        policies: record.policies.clone(),
        token_policies: record.policies.clone(),
        identity_policies: Vec::new(),
        metadata: (!record.meta.is_empty()).then(|| record.meta.clone()),
        lease_duration: ttl,
        renewable: record.renewable,
        entity_id: record.entity_id.clone(),
        token_type: record.kind.as_str().to_owned(),
        orphan: record.parent.is_none(),
        mfa_requirement: None,
        num_uses: u64::try_from(record.num_uses).unwrap_or(0),
    }
}
