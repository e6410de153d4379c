//! Creating tokens.

use super::{System, TokenEngine, capped};
use crate::tokens::{NewToken, Token};
use schemars::JsonSchema;
use secretum_api::fields::{CommaList, KeyValues, Seconds};
use secretum_crypto::SecretString;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::Deserialize;
use std::sync::Arc;

/// The most uses that a token may be limited to.
const NUM_USES_MAX: u32 = 1_000_000_000;

/// Creates a token, the caller's child.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Create(Wanted);

/// Creates a token without a parent.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct CreateOrphan(Wanted);

/// Creates a token.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
#[derive(Default)]
struct Wanted {
    /// The token itself; random where it is empty. Root only.
    id: String,
    /// Names of its policies; the caller's where there are none.
    policies: CommaList,
    /// Metadata for audit logs.
    meta: KeyValues,
    /// The older name of `meta`.
    metadata: KeyValues,
    /// Whether it has no parent. Needs sudo.
    no_parent: bool,
    /// Whether it goes without the policy `default`.
    no_default_policy: bool,
    /// Whether it can be renewed.
    renewable: Option<bool>,
    /// Its life.
    ttl: Seconds,
    /// The older name of `ttl`.
    lease: Seconds,
    /// The longest life that renewals can give it.
    explicit_max_ttl: Seconds,
    /// The life that each renewal gives it, without end. Needs sudo.
    period: Seconds,
    /// A name for logs.
    display_name: String,
    /// How often it can be used; 0 for any number.
    num_uses: u32,
    /// `service`.
    #[serde(rename = "type")]
    kind: String,
    /// Not served by this version.
    entity_alias: String,
}

/// Creates a token for a caller.
async fn create(context: &Context, wanted: Wanted, orphan: bool) -> Result<Reply<()>, Fault> {
    let system = System::of(context)?;
    let identity = system.identity()?;
    let caller = &identity.token;
    let path = if orphan {
        "auth/token/create-orphan"
    } else {
        "auth/token/create"
    };
    let privileged = caller.record.is_root() || identity.acl.capabilities(path).contains(&"sudo");
    if caller.record.num_uses != 0 {
        return Err(Fault::invalid(
            "restricted use token cannot generate child tokens",
        ));
    }
    wanted.check(privileged)?;
    let policies = wanted.policies(&caller.record.policies, privileged)?;
    let mut warnings = Vec::new();
    for policy in &policies {
        if !system.active.policies.exists(policy).await? {
            warnings.push(format!("Policy \"{policy}\" does not exist"));
        }
    }
    let asked = wanted.life();
    let tokens = &system.active.tokens;
    let parent = if orphan || wanted.no_parent {
        None
    } else {
        Some(tokens.newest(caller).await?)
    };
    let new = wanted.token(caller, parent, policies, path)?;
    if let Some(text) = &new.text
        && tokens.is_taken(text).await?
    {
        return Err(Fault::invalid("cannot create a token with a duplicate ID"));
    }
    let (auth, writes) = tokens.prepare_auth(new)?;
    warnings.extend(capped(asked, auth.lease_duration));
    let reply = Reply::issued(auth).with_writes(writes);
    Ok(warnings.into_iter().fold(reply, Reply::warn))
}

impl Wanted {
    /// Refuses what this caller may not have, or this version does not serve.
    fn check(&self, privileged: bool) -> Result<(), Fault> {
        let refuse = |text: &'static str| Err(Fault::invalid(text));
        match self.kind.as_str() {
            "" | "service" | "default" | "default-service" => {}
            "batch" => return refuse("batch tokens are not served by this version"),
            _ => return refuse("invalid 'type' value"),
        }
        if !self.entity_alias.is_empty() {
            return refuse("entity aliases are not served by this version");
        }
        if !privileged && !self.id.is_empty() {
            return refuse("root or sudo privileges required to specify token id");
        }
        if self.id.starts_with("s.") || self.id.starts_with("hvs.") || self.id.contains(['.', ' '])
        {
            return refuse("custom token ID cannot have the 'hvs.' prefix, nor a dot or blank");
        }
        if !privileged && self.no_parent {
            return refuse("root or sudo privileges required to create orphan token");
        }
        if !privileged && self.period.0 > 0 {
            return refuse("root or sudo privileges required to create periodic token");
        }
        if self.num_uses > NUM_USES_MAX {
            return refuse("number of uses is over the limit of 1000000000");
        }
        Ok(())
    }

    /// The life asked for; 0 where none is.
    fn life(&self) -> Seconds {
        if self.ttl.0 > 0 { self.ttl } else { self.lease }
    }

    /// The token that is wanted, made by a caller.
    fn token(
        self,
        caller: &Token,
        parent: Option<Arc<Token>>,
        policies: Vec<String>,
        path: &str,
    ) -> Result<NewToken, Fault> {
        let asked = self.life().0;
        let is_root = policies.iter().any(|policy| policy == "root");
        if is_root && !caller.record.is_root() {
            return Err(Fault::invalid(
                "root tokens may not be created without parent token being root",
            ));
        }
        if is_root && caller.record.expires.is_some() && asked == 0 {
            return Err(Fault::invalid(
                "expiring root tokens cannot create non-expiring root tokens",
            ));
        }
        Ok(NewToken {
            text: Some(self.id)
                .filter(|id| !id.is_empty())
                .map(SecretString::new),
            parent,
            policies,
            path: path.to_owned(),
            meta: if self.meta.0.is_empty() {
                self.metadata.0
            } else {
                self.meta.0
            },
            display_name: display_name(&self.display_name),
            num_uses: self.num_uses,
            // Only a root token may live without end.
            ttl: (asked > 0).then_some(asked).or(is_root.then_some(0)),
            explicit_max_ttl: self.explicit_max_ttl.0,
            period: self.period.0,
            renewable: self.renewable.unwrap_or(true),
        })
    }

    /// The policies of the new token, sorted.
    fn policies(&self, own: &[String], privileged: bool) -> Result<Vec<String>, Fault> {
        let mut policies: Vec<String> = self
            .policies
            .0
            .iter()
            .map(|policy| policy.to_lowercase())
            .collect();
        if policies.is_empty() {
            policies = own.to_vec();
        }
        let missing = |policy: &String| !own.contains(policy) && policy != "default";
        if !privileged && policies.iter().any(missing) {
            return Err(Fault::invalid("child policies must be subset of parent"));
        }
        if policies.iter().any(|policy| policy == "root") {
            // It needs no other, and no other takes from it.
            return Ok(vec!["root".to_owned()]);
        }
        if self.no_default_policy {
            policies.retain(|policy| policy != "default");
        } else {
            policies.push("default".to_owned());
        }
        policies.sort_unstable();
        policies.dedup();
        if policies.is_empty() {
            return Err(Fault::invalid("token must have at least one policy"));
        }
        Ok(policies)
    }
}

/// The name of a token in logs: `token`, or `token-<name>` without odd characters.
fn display_name(wanted: &str) -> String {
    if wanted.is_empty() {
        return "token".to_owned();
    }
    let name: String = wanted
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '-'
            }
        })
        .collect();
    format!("token-{}", name.trim_end_matches('-'))
}

impl Handle<Create> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: Create, context: &Context) -> Result<Reply<()>, Fault> {
        create(context, request.0, false).await
    }
}

impl Handle<CreateOrphan> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: CreateOrphan, context: &Context) -> Result<Reply<()>, Fault> {
        create(context, request.0, true).await
    }
}
