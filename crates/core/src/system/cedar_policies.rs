//! `sys/policies/cedar`.

use super::policies::{PolicyText, as_text};
use super::{Sys, System};
use crate::policies::cedar::{CedarPolicies, WRITES};
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Listing, Reply};
use serde::Deserialize;

/// Lists the names of Cedar policies.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListCedar {}

/// Reads a Cedar policy as it was written.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadCedar {
    /// Name of the policy.
    name: String,
}

/// Writes a Cedar policy, which is in force at once for everybody it concerns.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct WriteCedar {
    /// Name of the policy.
    name: String,
    /// The policy, as text or in base64.
    #[serde(default)]
    policy: String,
}

/// Deletes a Cedar policy.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeleteCedar {
    /// Name of the policy.
    name: String,
}

impl Handle<ListCedar> for Sys {
    type Data = Listing;
    type Error = Fault;

    async fn handle(&self, _: ListCedar, context: &Context) -> Result<Reply<Listing>, Fault> {
        let keys = System::of(context)?.active.cedar.names().await?;
        if keys.is_empty() {
            return Err(Fault::NotFound);
        }
        Ok(Reply::data(Listing { keys }))
    }
}

impl Handle<ReadCedar> for Sys {
    type Data = PolicyText;
    type Error = Fault;

    async fn handle(&self, ask: ReadCedar, context: &Context) -> Result<Reply<PolicyText>, Fault> {
        let name = ask.name.to_lowercase();
        let text = System::of(context)?.active.cedar.text(&name).await?;
        let policy = text.ok_or(Fault::NotFound)?;
        Ok(Reply::data(PolicyText { name, policy }))
    }
}

impl Handle<WriteCedar> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: WriteCedar, context: &Context) -> Result<Reply<()>, Fault> {
        let text = as_text(request.policy)?;
        let active = &System::of(context)?.active;
        let change = active.begin_change(WRITES).await?;
        let name = request.name.to_lowercase();
        let (batch, warnings) = active.cedar.prepare(&name, text).await?;
        let reply = Reply::wrote(change.and(batch));
        Ok(warnings.into_iter().fold(reply, Reply::warn))
    }
}

impl Handle<DeleteCedar> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: DeleteCedar, _: &Context) -> Result<Reply<()>, Fault> {
        let name = request.name.to_lowercase();
        Ok(Reply::wrote(CedarPolicies::prepare_removal(&name)?))
    }
}
