//! [`Identity`]: who a request comes from, as the pipeline knows it.

use crate::active::Active;
use crate::tokens::Token;
use secretum_crypto::SecretString;
use secretum_engine::Fault;
use secretum_policy::Acl;
use std::net::IpAddr;
use std::sync::Arc;

/// A caller whose token was found.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) token: Arc<Token>,
    /// What its policies grant.
    pub(crate) acl: Arc<Acl>,
}

impl Identity {
    /// Finds who a token belongs to, and takes one use of it.
    ///
    /// **Errors**: [`Fault::Denied`] where there is no token, or it is unknown, over, used up, or not for
    /// use from this address.
    pub(crate) async fn find(
        active: &Active,
        token: Option<&SecretString>,
        address: Option<IpAddr>,
    ) -> Result<Self, Fault> {
        let text = token.ok_or(Fault::Denied)?;
        let token = active
            .tokens
            .find(text.expose())
            .await?
            .filter(|token| token.record.is_usable_from(address))
            .ok_or(Fault::Denied)?;
        let token = active.tokens.use_up(token, &active.turns).await?;
        active.activity.seen(active, &token);
        let acl = active.policies.acl(&token.record.policies).await?;
        Ok(Self { token, acl })
    }
}
