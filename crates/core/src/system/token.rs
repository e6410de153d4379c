//! `auth/token`: creating, looking up, renewing and revoking tokens.

use super::System;
use super::token_facts::TokenFacts;
use crate::tokens::{NewToken, Token, auth};
use schemars::JsonSchema;
use secretum_api::fields::{CommaList, KeyValues, Seconds, short_duration};
use secretum_crypto::SecretString;
use secretum_engine::{
    Access, Context, Engine, Fault, Handle, Listing, Reply, Routes, Verb, listing,
};
use serde::Deserialize;
use std::sync::Arc;

/// The most uses that a token may be limited to.
const NUM_USES_MAX: u32 = 1_000_000_000;

/// The engine of `auth/token`.
#[derive(Debug)]
pub(crate) struct TokenEngine;

impl Engine for TokenEngine {
    const KIND: &'static str = "token";
    const ABOUT: &'static str = "Token based credentials";

    fn routes() -> Routes<Self> {
        Routes::new()
            .on::<Create>(Verb::Write, "create", Access::Token)
            .on::<CreateOrphan>(Verb::Write, "create-orphan", Access::Token)
            .on::<Lookup>(Verb::Write, "lookup", Access::Token)
            .on::<Lookup>(Verb::Read, "lookup", Access::Token)
            .on::<LookupSelf>(Verb::Read, "lookup-self", Access::Token)
            .on::<LookupSelf>(Verb::Write, "lookup-self", Access::Token)
            .on::<LookupAccessor>(Verb::Write, "lookup-accessor", Access::Token)
            .on::<Renew>(Verb::Write, "renew", Access::Token)
            .on::<RenewSelf>(Verb::Write, "renew-self", Access::Token)
            .on::<RenewAccessor>(Verb::Write, "renew-accessor", Access::Token)
            .on::<Revoke>(Verb::Write, "revoke", Access::Token)
            .on::<RevokeSelf>(Verb::Write, "revoke-self", Access::Token)
            .on::<RevokeAccessor>(Verb::Write, "revoke-accessor", Access::Token)
            .on::<RevokeOrphan>(Verb::Write, "revoke-orphan", Access::Sudo)
            .on::<ListAccessors>(Verb::List, "accessors", Access::Sudo)
    }
}

/// Creates a token, the caller's child.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Create(Wanted);

/// Creates a token without a parent.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct CreateOrphan(Wanted);

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

/// Describes a token.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Lookup {
    /// The token; the caller's own where it is missing.
    #[serde(default)]
    token: String,
}

/// Describes the caller's token.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct LookupSelf {
    /// Accepted for compatibility.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    token: String,
}

/// Describes the token of an accessor.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct LookupAccessor {
    /// The accessor.
    #[serde(default)]
    accessor: String,
}

/// Gives a token a longer life.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Renew {
    /// The token; the caller's own where it is missing.
    #[serde(default)]
    token: String,
    /// The life wanted.
    #[serde(default)]
    increment: Seconds,
}

/// Gives the caller's token a longer life.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RenewSelf {
    /// The life wanted.
    #[serde(default)]
    increment: Seconds,
    /// Accepted for compatibility.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    token: String,
}

/// Gives the token of an accessor a longer life.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RenewAccessor {
    /// The accessor.
    #[serde(default)]
    accessor: String,
    /// The life wanted.
    #[serde(default)]
    increment: Seconds,
}

/// Ends a token and all that it made.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Revoke {
    /// The token.
    #[serde(default)]
    token: String,
}

/// Ends the caller's token and all that it made.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RevokeSelf {}

/// Ends the token of an accessor and all that it made.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RevokeAccessor {
    /// The accessor.
    #[serde(default)]
    accessor: String,
}

/// Ends a token; what it made stays, without a parent.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RevokeOrphan {
    /// The token.
    #[serde(default)]
    token: String,
}

/// Lists the accessors of all tokens.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListAccessors {}

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

/// The token of a text, or the caller's own where the text is empty.
async fn named(system: &System, text: &str) -> Result<(Arc<Token>, String), Fault> {
    if text.is_empty() {
        let own = system.token.as_ref().map(|token| token.expose().to_owned());
        let token = &system.identity()?.token;
        return Ok((
            system.active.tokens.newest(token).await?,
            own.unwrap_or_default(),
        ));
    }
    let token = system
        .active
        .tokens
        .find(text)
        .await?
        .ok_or(Fault::BadToken)?;
    Ok((token, text.to_owned()))
}

async fn by_accessor(system: &System, accessor: &str) -> Result<Arc<Token>, Fault> {
    if accessor.is_empty() {
        return Err(Fault::invalid("missing accessor"));
    }
    let token = system.active.tokens.find_by_accessor(accessor).await?;
    token.ok_or_else(|| Fault::DeniedBecause("invalid accessor".into()))
}

async fn facts(context: &Context, token: &str) -> Result<Reply<TokenFacts>, Fault> {
    let system = System::of(context)?;
    let (token, id) = named(&system, token).await?;
    Ok(Reply::data(TokenFacts::of(&token, id, context.clock.now())))
}

/// Renews a token; what is answered names it by `text`.
fn renewed(
    system: &System,
    token: &Token,
    text: String,
    wanted: Seconds,
) -> Result<Reply<()>, Fault> {
    let renewal = system.active.tokens.renew(token, wanted.0)?;
    let reply =
        Reply::renewed(auth(text, &renewal.record, renewal.ttl)).with_writes(renewal.writes);
    Ok(capped(wanted, renewal.ttl)
        .into_iter()
        .fold(reply, Reply::warn))
}

/// A warning where the life given is shorter than the one wanted.
fn capped(wanted: Seconds, given: u64) -> Option<String> {
    (given > 0 && wanted.0 > given).then(|| {
        format!(
            "TTL of \"{}\" exceeded the effective max_ttl of \"{}\"; TTL value is capped accordingly",
            short_duration(wanted.duration()),
            short_duration(Seconds(given).duration()),
        )
    })
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

impl Handle<Lookup> for TokenEngine {
    type Data = TokenFacts;
    type Error = Fault;

    async fn handle(&self, ask: Lookup, context: &Context) -> Result<Reply<TokenFacts>, Fault> {
        facts(context, &ask.token).await
    }
}

impl Handle<LookupSelf> for TokenEngine {
    type Data = TokenFacts;
    type Error = Fault;

    async fn handle(&self, _: LookupSelf, context: &Context) -> Result<Reply<TokenFacts>, Fault> {
        facts(context, "").await
    }
}

impl Handle<LookupAccessor> for TokenEngine {
    type Data = TokenFacts;
    type Error = Fault;

    async fn handle(
        &self,
        ask: LookupAccessor,
        context: &Context,
    ) -> Result<Reply<TokenFacts>, Fault> {
        let token = by_accessor(&*System::of(context)?, &ask.accessor).await?;
        Ok(Reply::data(TokenFacts::of(
            &token,
            String::new(),
            context.clock.now(),
        )))
    }
}

impl Handle<Renew> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: Renew, context: &Context) -> Result<Reply<()>, Fault> {
        let system = System::of(context)?;
        let (token, text) = named(&system, &request.token)
            .await
            .map_err(|fault| match fault {
                Fault::BadToken => Fault::invalid("token not found"),
                other => other,
            })?;
        renewed(&system, &token, text, request.increment)
    }
}

impl Handle<RenewSelf> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: RenewSelf, context: &Context) -> Result<Reply<()>, Fault> {
        let system = System::of(context)?;
        let (token, text) = named(&system, "").await?;
        renewed(&system, &token, text, request.increment)
    }
}

impl Handle<RenewAccessor> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: RenewAccessor, context: &Context) -> Result<Reply<()>, Fault> {
        let system = System::of(context)?;
        let token = by_accessor(&system, &request.accessor).await?;
        renewed(&system, &token, String::new(), request.increment)
    }
}

impl Handle<Revoke> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: Revoke, context: &Context) -> Result<Reply<()>, Fault> {
        if request.token.is_empty() {
            return Err(Fault::invalid("missing token ID"));
        }
        let system = System::of(context)?;
        // A token that is not there is revoked already.
        if let Some(token) = system.active.tokens.find(&request.token).await? {
            system
                .active
                .tokens
                .revoke(&system.active, &token.id)
                .await?;
        }
        Ok(Reply::empty())
    }
}

impl Handle<RevokeSelf> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: RevokeSelf, context: &Context) -> Result<Reply<()>, Fault> {
        let system = System::of(context)?;
        system
            .active
            .tokens
            .revoke(&system.active, &system.identity()?.token.id)
            .await?;
        Ok(Reply::empty())
    }
}

impl Handle<RevokeAccessor> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: RevokeAccessor, context: &Context) -> Result<Reply<()>, Fault> {
        let system = System::of(context)?;
        if request.accessor.is_empty() {
            return Err(Fault::invalid("missing accessor"));
        }
        match system
            .active
            .tokens
            .find_by_accessor(&request.accessor)
            .await?
        {
            Some(token) => {
                system
                    .active
                    .tokens
                    .revoke(&system.active, &token.id)
                    .await?;
                Ok(Reply::empty())
            }
            None => Ok(Reply::empty().warn("No token found with this accessor")),
        }
    }
}

impl Handle<RevokeOrphan> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: RevokeOrphan, context: &Context) -> Result<Reply<()>, Fault> {
        if request.token.is_empty() {
            return Err(Fault::invalid("missing token ID"));
        }
        let system = System::of(context)?;
        let token = system.active.tokens.find(&request.token).await?;
        let token = token.ok_or_else(|| Fault::invalid("token to revoke not found"))?;
        system
            .active
            .tokens
            .revoke_orphan(&system.active, &token.id)
            .await?;
        Ok(Reply::empty())
    }
}

impl Handle<ListAccessors> for TokenEngine {
    type Data = Listing;
    type Error = Fault;

    async fn handle(&self, _: ListAccessors, context: &Context) -> Result<Reply<Listing>, Fault> {
        listing(System::of(context)?.active.tokens.accessors().await?)
    }
}
