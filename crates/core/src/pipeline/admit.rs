//! Whether a caller is known, before the rest of its request is read.

use super::{Flow, log_failure};
use crate::{Core, Request};
use secretum_engine::Fault;

impl Core {
    /// Whether a request, of which the body is still to come, carries a token that the vault knows.
    ///
    /// Grants nothing, and takes no use of the token: [`Core::handle`] asks again. A refusal is
    /// recorded as [`Core::handle`] records one.
    ///
    /// **Errors**: [`Fault::Sealed`]; [`Fault::Denied`] for who is not known; what refuses records.
    pub async fn admit(&self, request: &Request) -> Result<(), Fault> {
        let admitted = self.is_known(request).await;
        if let Err(fault) = &admitted {
            log_failure(request, fault);
        }
        admitted
    }

    /// Whether a request carries a token that the vault knows; records nothing, and counts who cannot
    /// be found out as unknown.
    pub async fn knows(&self, request: &Request) -> bool {
        let (Some(active), Some(token)) = (self.active(), &request.token) else {
            return false;
        };
        let Ok(_under_way) = active.enter() else {
            return false;
        };
        let found = async {
            active.read_point().await?;
            active.tokens.find(token.expose()).await
        };
        tokio::select! {
            biased;
            found = found => matches!(found, Ok(Some(_))),
            () = active.ending.cancelled() => false,
        }
    }

    async fn is_known(&self, request: &Request) -> Result<(), Fault> {
        let active = self.active().ok_or(Fault::Sealed)?;
        let _under_way = active.enter()?;
        let admitted = async {
            active.read_point().await?;
            let token = match &request.token {
                Some(token) => active.tokens.find(token.expose()).await?,
                None => None,
            };
            if token.is_some_and(|token| token.record.is_usable_from(request.remote_address)) {
                return Ok(());
            }
            let flow = Flow::new(&active, request);
            flow.record_refusal(&Fault::Denied).await?;
            Err(Fault::Denied)
        };
        tokio::select! {
            biased;
            admitted = admitted => admitted,
            () = active.ending.cancelled() => Err(Fault::Sealed),
        }
    }
}
