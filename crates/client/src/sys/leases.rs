//! Leases.

use super::Sys;
use crate::{ClientError, Request, Secret};
use serde::Serialize;

/// Which leases end.
#[derive(Debug, Clone, Copy)]
pub enum Leases<'a> {
    /// One, by its id.
    One(&'a str),
    /// All of which the ids begin with this.
    Below(&'a str),
    /// The same; those that cannot be ended are given up, and what they stand for may go on.
    BelowByForce(&'a str),
}

impl Sys<'_> {
    /// What is known of a lease.
    ///
    /// **Errors**: as [`crate::Client::send`]; 400 where there is none.
    pub async fn lease(&self, id: &str) -> Result<Option<Secret>, ClientError> {
        #[derive(Serialize)]
        struct Ask<'a> {
            lease_id: &'a str,
        }
        let request = Request::put("sys/leases/lookup").json(&Ask { lease_id: id })?;
        self.client.act(request).await
    }

    /// Prolongs a lease, by this long where the server grants it.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn renew_lease(
        &self,
        id: &str,
        increment: Option<&str>,
    ) -> Result<Option<Secret>, ClientError> {
        #[derive(Serialize)]
        struct Ask<'a> {
            lease_id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            increment: Option<&'a str>,
        }
        let ask = Ask {
            lease_id: id,
            increment,
        };
        let request = Request::put("sys/leases/renew").json(&ask)?;
        self.client.act(request).await
    }

    /// Ends leases; before it answers, where it is to be `sync`.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn revoke_leases(&self, which: Leases<'_>, sync: bool) -> Result<(), ClientError> {
        #[derive(Serialize)]
        struct Ask<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            lease_id: Option<&'a str>,
            sync: bool,
        }
        let (path, lease_id) = match which {
            Leases::One(id) => ("sys/leases/revoke".to_owned(), Some(id)),
            Leases::Below(prefix) => (format!("sys/leases/revoke-prefix/{prefix}"), None),
            Leases::BelowByForce(prefix) => (format!("sys/leases/revoke-force/{prefix}"), None),
        };
        let request = Request::put(path);
        let request = match which {
            // It always waits.
            Leases::BelowByForce(_) => request,
            _ => request.json(&Ask { lease_id, sync })?,
        };
        self.client.done(request).await
    }
}
