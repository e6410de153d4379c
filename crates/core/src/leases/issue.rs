//! Issuing leases.

use super::{LeaseRecord, Leases, Place, Stored, leaving_key};
use crate::life::{Bounds, Lives};
use crate::mounts::Mount;
use crate::tokens::{Token, TokenKind, id_key};
use secretum_crypto::random_base62;
use secretum_engine::{Fault, Lease, LeaseGrant, NewLease};
use secretum_storage::{Batch, Precondition};

/// Characters of the word of a lease: 142 bits.
const WORD_CHARACTERS: usize = 24;

/// A lease that was made, and not committed yet.
#[derive(Debug)]
pub(crate) struct Issued {
    /// What its caller is told.
    pub(crate) grant: LeaseGrant,
    /// What must be committed to have it.
    pub(crate) writes: Batch,
    /// Why it lives shorter than asked for.
    pub(crate) warning: Option<String>,
}

impl Leases {
    /// Makes a lease for what a mount handed out at a path to a token.
    pub(crate) fn prepare(
        &self,
        (mount, path): (&Mount, &str),
        owner: &Token,
        new: &NewLease,
        lives: Lives,
    ) -> Result<Issued, Fault> {
        let now = self.clock.now();
        let bounds = Bounds {
            explicit_max: new.terms.max_ttl,
            ..Bounds::default()
        };
        let given = lives.give(new.terms.ttl, bounds);
        let seconds = match owner.record.kind {
            TokenKind::Service => given.seconds,
            // Nothing is kept of it that its end could be seen by.
            TokenKind::Batch => given.seconds.min(owner.record.ttl_left(now)),
        };
        let expires = now.unix_seconds().saturating_add_unsigned(seconds);
        let word = random_base62(&*self.rng, WORD_CHARACTERS).map_err(Fault::internal)?;
        let place = Place {
            mount: mount.record.uuid.clone(),
            path: format!("{}/{}", path.trim_end_matches('/'), word.expose()),
        };
        let token = match owner.record.kind {
            TokenKind::Service => Some(owner.id.to_string()),
            TokenKind::Batch => owner.record.parent.clone(),
        };
        let record = LeaseRecord {
            token,
            issued: now.unix_seconds(),
            expires,
            expires_max: match owner.record.kind {
                TokenKind::Service => None,
                TokenKind::Batch => owner.record.expires,
            },
            due: Some(expires),
            last_renewal: None,
            ttl: new.terms.ttl,
            max_ttl: new.terms.max_ttl,
            renewable: new.renewable,
            data: new.data.clone(),
            failures: 0,
            failure: String::new(),
        };
        Ok(Issued {
            grant: LeaseGrant {
                id: format!("{}{}", mount.path, place.path),
                duration_seconds: seconds,
                renewable: new.renewable,
            },
            writes: self.birth(&place, record)?,
            warning: given.warning,
        })
    }

    /// The records of a new lease. Its token and its mount must still be there when they are committed.
    fn birth(&self, place: &Place, record: LeaseRecord) -> Result<Batch, Fault> {
        let index = self.index(place);
        let leads_there = place.to_bytes()?;
        let mut batch = Batch::new()
            .put(index.due(record.expires)?, leads_there.clone())
            .require(leaving_key(&place.mount)?, Precondition::Absent);
        if let Some(token) = &record.token {
            batch = batch
                .put(index.owned(token)?, leads_there)
                .require(id_key(token)?, Precondition::Present);
        }
        let stored = Stored::Secret(record).to_bytes()?;
        Ok(batch.put_if(place.key()?, Precondition::Absent, stored))
    }

    /// A lease that is not there yet, as its engine sees it.
    pub(crate) fn unborn(path: &str, new: &NewLease) -> Lease {
        Lease {
            path: path.to_owned(),
            terms: new.terms,
            data: new.data.clone(),
        }
    }
}
