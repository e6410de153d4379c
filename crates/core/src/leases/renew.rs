//! Renewing leases.

use super::revoke::checked;
use super::{Leases, Stored};
use crate::active::Active;
use crate::life::Bounds;
use secretum_engine::{Fault, LeaseGrant};
use secretum_storage::{Batch, Precondition};

/// A lease that was renewed, and not committed yet.
#[derive(Debug)]
pub(crate) struct Renewal {
    pub(crate) grant: LeaseGrant,
    pub(crate) writes: Batch,
    pub(crate) warning: Option<String>,
}

impl Leases {
    /// Gives a lease a longer life, within what its engine and its mount allow; 0 for what its engine
    /// gives.
    ///
    /// **Errors**: [`Fault::Invalid`] where there is no such lease, or it cannot be renewed.
    pub(crate) async fn renew(
        &self,
        active: &Active,
        id: &str,
        increment: u64,
    ) -> Result<Renewal, Fault> {
        let found = match Self::place(active, id) {
            Some(place) => self.read(&place).await?.map(|found| (place, found)),
            None => None,
        };
        let Some((place, (stored, revision))) = found else {
            return Err(Fault::invalid("lease not found"));
        };
        let Stored::Secret(mut record) = stored else {
            return Err(Fault::invalid(
                "tokens cannot be renewed here: renew them at auth/token/renew",
            ));
        };
        let now = self.clock.now();
        if record.is_over(now) || record.is_irrevocable() {
            return Err(Fault::invalid("lease expired"));
        }
        if !record.renewable {
            return Err(Fault::invalid("lease is not renewable"));
        }
        let mount = active.mounts.of(&place.mount).ok_or(Fault::NotFound)?;
        let lease = record.lease(&place);
        let terms = mount.engine.lease_terms(&lease).await?;
        let age = now.unix_seconds().saturating_sub(record.issued);
        let bounds = Bounds {
            explicit_max: terms.max_ttl,
            period: 0,
            age: u64::try_from(age).unwrap_or(0),
        };
        let asked = if increment > 0 { increment } else { terms.ttl };
        let given = active
            .mounts
            .lives(&mount.record.settings.config)
            .give(asked, bounds);
        // A token of which nothing is kept ends it by its own end.
        let most = record
            .expires_max
            .map(|most| most.saturating_sub(now.unix_seconds()));
        let most = most.map_or(u64::MAX, |most| u64::try_from(most).unwrap_or(0));
        let seconds = given.seconds.min(most);
        if seconds == 0 {
            return Err(Fault::invalid("the lease has reached its maximum life"));
        }
        let writes = checked(&mount, mount.engine.renew(&lease, seconds).await?)?;
        let index = self.index(&place);
        let expires = now.unix_seconds().saturating_add_unsigned(seconds);
        let mut batch = writes;
        if let Some(due) = record.due.filter(|due| *due != expires) {
            batch = batch.delete(index.due(due)?);
        }
        (record.expires, record.due) = (expires, Some(expires));
        record.last_renewal = Some(now.unix_seconds());
        let renewable = record.renewable;
        let stored = Stored::Secret(record).to_bytes()?;
        Ok(Renewal {
            grant: LeaseGrant {
                id: id.to_owned(),
                duration_seconds: seconds,
                renewable,
            },
            writes: batch.put(index.due(expires)?, place.to_bytes()?).put_if(
                place.key()?,
                Precondition::At(revision),
                stored,
            ),
            warning: given.warning,
        })
    }
}
