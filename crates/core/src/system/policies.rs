//! `sys/policy` and `sys/policies/acl`.

use super::{Sys, System};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Listing, Reply};
use serde::{Deserialize, Serialize};

/// Lists the names of policies.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListLegacy {}

/// Lists the names of policies.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListPolicies {}

/// Reads a policy as it was written.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadLegacy {
    /// Name of the policy.
    name: String,
}

/// Reads a policy as it was written.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadPolicy {
    /// Name of the policy.
    name: String,
}

/// Writes a policy, in HCL or JSON.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct WritePolicy {
    /// Name of the policy.
    name: String,
    /// The policy, as text or in base64.
    #[serde(default)]
    policy: String,
    /// The older name of `policy`.
    #[serde(default)]
    rules: String,
}

/// Deletes a policy.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeletePolicy {
    /// Name of the policy.
    name: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct LegacyListing {
    keys: Vec<String>,
    policies: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct LegacyPolicy {
    name: String,
    rules: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct PolicyText {
    pub(super) name: String,
    pub(super) policy: String,
}

/// A policy as text, where it may be in base64.
///
/// **Errors**: [`Fault::Invalid`] where there is none.
pub(super) fn as_text(given: String) -> Result<String, Fault> {
    if given.is_empty() {
        return Err(Fault::invalid("'policy' parameter not supplied or empty"));
    }
    // A policy holds quotes, braces or brackets, which no base64 does.
    let text = STANDARD
        .decode(given.trim())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.unwrap_or(given))
}

/// The name as policies are known by, and the text.
async fn find(name: &str, context: &Context) -> Result<(String, String), Fault> {
    let name = name.to_lowercase();
    if name == "root" {
        return Ok((name, String::new()));
    }
    let text = System::of(context)?.active.policies.text(&name).await?;
    text.map(|text| (name, text)).ok_or(Fault::NotFound)
}

impl Handle<ListLegacy> for Sys {
    type Data = LegacyListing;
    type Error = Fault;

    async fn handle(
        &self,
        _: ListLegacy,
        context: &Context,
    ) -> Result<Reply<LegacyListing>, Fault> {
        let names = System::of(context)?.active.policies.names().await?;
        Ok(Reply::data(LegacyListing {
            keys: names.clone(),
            policies: names,
        }))
    }
}

impl Handle<ListPolicies> for Sys {
    type Data = Listing;
    type Error = Fault;

    async fn handle(&self, _: ListPolicies, context: &Context) -> Result<Reply<Listing>, Fault> {
        let keys = System::of(context)?.active.policies.names().await?;
        Ok(Reply::data(Listing { keys }))
    }
}

impl Handle<ReadLegacy> for Sys {
    type Data = LegacyPolicy;
    type Error = Fault;

    async fn handle(
        &self,
        ask: ReadLegacy,
        context: &Context,
    ) -> Result<Reply<LegacyPolicy>, Fault> {
        let (name, rules) = find(&ask.name, context).await?;
        Ok(Reply::data(LegacyPolicy { name, rules }))
    }
}

impl Handle<ReadPolicy> for Sys {
    type Data = PolicyText;
    type Error = Fault;

    async fn handle(&self, ask: ReadPolicy, context: &Context) -> Result<Reply<PolicyText>, Fault> {
        let (name, policy) = find(&ask.name, context).await?;
        Ok(Reply::data(PolicyText { name, policy }))
    }
}

impl Handle<WritePolicy> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: WritePolicy, context: &Context) -> Result<Reply<()>, Fault> {
        let given = if request.policy.is_empty() {
            request.rules
        } else {
            request.policy
        };
        let text = as_text(given)?;
        let policies = &System::of(context)?.active.policies;
        Ok(Reply::wrote(
            policies.prepare(&request.name.to_lowercase(), &text)?,
        ))
    }
}

impl Handle<DeletePolicy> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: DeletePolicy, context: &Context) -> Result<Reply<()>, Fault> {
        let policies = &System::of(context)?.active.policies;
        Ok(Reply::wrote(
            policies.prepare_removal(&request.name.to_lowercase())?,
        ))
    }
}
