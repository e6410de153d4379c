//! Creating tokens.

use super::{System, TokenEngine};
use crate::life::{Life, Lives};
use crate::limits::check_life;
use crate::system::wrapping;
use crate::tokens::{Issuer, NewToken, Role, RoleType, Token, TokenKind};
use schemars::JsonSchema;
use secretum_api::fields::{CommaList, KeyValues, Seconds};
use secretum_crypto::SecretString;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::Deserialize;

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

/// Creates a token by a role.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct CreateByRole(Wanted);

/// Creates a token.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
#[derive(Default)]
struct Wanted {
    /// Name of the role, in the path that has one.
    role_name: String,
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
    /// `service` or `batch`.
    #[serde(rename = "type")]
    kind: String,
    /// Not served by this version.
    entity_alias: String,
}

/// By which of the paths a token is created.
enum Way {
    Child,
    Orphan,
    ByRole(String, Box<Role>),
}

impl Way {
    fn path(&self) -> String {
        match self {
            Self::Child => "auth/token/create".to_owned(),
            Self::Orphan => "auth/token/create-orphan".to_owned(),
            Self::ByRole(name, _) => format!("auth/token/create/{name}"),
        }
    }

    fn role(&self) -> Option<&Role> {
        match self {
            Self::ByRole(_, role) => Some(role),
            Self::Child | Self::Orphan => None,
        }
    }
}

/// Creates a token for a caller.
async fn create(context: &Context, wanted: Wanted, way: Way) -> Result<Reply<()>, Fault> {
    let system = System::of(context)?;
    let identity = system.identity()?;
    let caller = &identity.token;
    let path = way.path();
    // Who has it may give away what it has not itself.
    let privileged = context.has_sudo;
    check_maker(caller)?;
    wanted.check(privileged)?;
    let ruled = match way.role() {
        Some(role) => role.policies(
            &wanted.policies.0,
            &caller.record.policies,
            wanted.no_default_policy,
        )?,
        None => None,
    };
    let policies = match ruled {
        Some(policies) => wanted.given(policies)?,
        None => wanted.policies(&caller.record.policies, privileged)?,
    };
    let tokens = &system.active.tokens;
    let is_orphan = matches!(way, Way::Orphan)
        || wanted.no_parent
        || way.role().is_some_and(|role| role.orphan);
    let parent = if is_orphan {
        None
    } else {
        Some(tokens.newest(caller).await?)
    };
    let lives = system.active.mounts.lives_at(&path);
    let new = wanted.token(caller, policies, lives, way)?;
    let issuer = Issuer::at(&system.active, &new.path);
    let new = NewToken {
        parent,
        issuer,
        ..new
    };
    let chosen = new.text.as_ref().map(SecretString::duplicate);
    let issued = tokens.prepare_auth(new)?;
    if let Some(text) = &chosen
        && tokens.is_taken(text).await?
    {
        return Err(Fault::invalid("cannot create a token with a duplicate ID"));
    }
    let mut warnings = Vec::new();
    for policy in &issued.auth.policies {
        if !system.active.policies.exists(policy).await? {
            warnings.push(format!("Policy \"{policy}\" does not exist"));
        }
    }
    warnings.extend(issued.warning);
    let reply = Reply::issued(issued.auth).with_writes(issued.writes);
    Ok(warnings.into_iter().fold(reply, Reply::warn))
}

/// Refuses a caller that may not have children.
fn check_maker(caller: &Token) -> Result<(), Fault> {
    if caller.record.kind == TokenKind::Batch {
        return Err(Fault::invalid("batch tokens cannot create more tokens"));
    }
    if caller.record.num_uses != 0 {
        return Err(Fault::invalid(
            "restricted use token cannot generate child tokens",
        ));
    }
    Ok(())
}

impl Wanted {
    /// Refuses what this caller may not have, or this version does not serve.
    fn check(&self, privileged: bool) -> Result<(), Fault> {
        let refuse = |text: &'static str| Err(Fault::invalid(text));
        if self.asked_kind().is_err() {
            return refuse("invalid 'type' value");
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

    /// The kind that is asked for.
    fn asked_kind(&self) -> Result<Option<TokenKind>, ()> {
        match self.kind.as_str() {
            "" | "default" | "default-service" => Ok(None),
            "service" => Ok(Some(TokenKind::Service)),
            "batch" => Ok(Some(TokenKind::Batch)),
            _ => Err(()),
        }
    }

    /// Refuses what a token that is kept nowhere cannot have.
    fn check_batch(&self, policies: &[String]) -> Result<(), Fault> {
        for (setting, is_set) in [
            ("id", !self.id.is_empty()),
            ("num_uses", self.num_uses > 0),
            ("period", self.period.0 > 0),
            ("explicit_max_ttl", self.explicit_max_ttl.0 > 0),
        ] {
            if is_set {
                return Err(Fault::invalid(format!(
                    "batch tokens cannot have \"{setting}\" set"
                )));
            }
        }
        if policies.iter().any(|policy| policy == "root") {
            return Err(Fault::invalid("batch tokens cannot be root tokens"));
        }
        Ok(())
    }

    /// Puts what a role says in the place of what was asked for, where it says more.
    fn bounded_by(&mut self, role: &Role) {
        let shorter = |asked: u64, most: u64| match (asked, most) {
            (asked, 0) => asked,
            (0, most) => most,
            (asked, most) => asked.min(most),
        };
        self.explicit_max_ttl = Seconds(shorter(self.explicit_max_ttl.0, role.explicit_max_ttl));
        if role.period > 0 {
            self.period = Seconds(role.period);
        }
        self.num_uses = match (self.num_uses, role.num_uses) {
            (asked, 0) => asked,
            (0, most) => most,
            (asked, most) => asked.min(most),
        };
        if !role.renewable {
            self.renewable = Some(false);
        }
    }

    /// The token that is wanted, made by a caller.
    fn token(
        mut self,
        caller: &Token,
        policies: Vec<String>,
        lives: Lives,
        way: Way,
    ) -> Result<NewToken, Fault> {
        let asked = self.asked_kind().unwrap_or_default();
        let kind = way
            .role()
            .map_or(RoleType::DefaultService, |role| role.kind)
            .kind(asked);
        if kind == TokenKind::Batch {
            self.check_batch(&policies)?;
        }
        let mut path = way.path();
        let (role, bound_cidrs) = match way {
            Way::ByRole(name, role) => {
                if kind == TokenKind::Service {
                    self.bounded_by(&role);
                }
                if !role.path_suffix.is_empty() {
                    path = format!("{path}/{}", role.path_suffix);
                }
                (name, role.bound_cidrs)
            }
            Way::Child | Way::Orphan => (String::new(), Vec::new()),
        };
        let life = self.life(caller, &policies, lives)?;
        Ok(NewToken {
            text: Some(self.id)
                .filter(|id| !id.is_empty())
                .map(SecretString::new),
            parent: None,
            policies,
            path,
            kind,
            role,
            bound_cidrs,
            meta: if self.meta.0.is_empty() {
                self.metadata.0
            } else {
                self.meta.0
            },
            display_name: display_name(&self.display_name),
            num_uses: self.num_uses,
            life,
            explicit_max_ttl: self.explicit_max_ttl.0,
            period: self.period.0,
            renewable: kind == TokenKind::Service && self.renewable.unwrap_or(true),
            issuer: None,
        })
    }

    /// How long the new token is to live. Only a root token may live without end.
    fn life(&self, caller: &Token, policies: &[String], lives: Lives) -> Result<Life, Fault> {
        let Seconds(asked) = if self.ttl.0 > 0 { self.ttl } else { self.lease };
        check_life("ttl", asked)?;
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
        Ok(match (self.explicit_max_ttl.0, self.period.0) {
            (0, 0) if is_root && asked == 0 => Life::Endless,
            // Nothing else bounds it.
            (explicit_max, 0) if is_root && asked == 0 => Life::Exactly(explicit_max),
            _ => Life::Within(asked, lives),
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
        // Who has no `default` policy cannot give it away, unless it may give away any.
        let mut adds_default = privileged || own.iter().any(|policy| policy == "default");
        if policies.is_empty() {
            policies = own.to_vec();
            adds_default = false;
        }
        if !privileged && policies.iter().any(|policy| !own.contains(policy)) {
            return Err(Fault::invalid("child policies must be subset of parent"));
        }
        if self.no_default_policy {
            policies.retain(|policy| policy != "default");
        } else if adds_default {
            policies.push("default".to_owned());
        }
        self.given(policies)
    }

    /// The policies of the new token, sorted, where they are ones that can be given.
    fn given(&self, mut policies: Vec<String>) -> Result<Vec<String>, Fault> {
        if policies
            .iter()
            .any(|policy| policy == wrapping::POLICY_NAME)
        {
            return Err(Fault::invalid(format!(
                "cannot assign policy \"{}\"",
                wrapping::POLICY_NAME
            )));
        }
        if policies.iter().any(|policy| policy == "root") {
            // It needs no other, and no other takes from it.
            return Ok(vec!["root".to_owned()]);
        }
        policies.sort_unstable();
        policies.dedup();
        // Who names `default` alone and goes without it wants a token that may do nothing.
        if policies.is_empty() && self.policies.0.is_empty() {
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
        create(context, request.0, Way::Child).await
    }
}

impl Handle<CreateOrphan> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: CreateOrphan, context: &Context) -> Result<Reply<()>, Fault> {
        create(context, request.0, Way::Orphan).await
    }
}

impl Handle<CreateByRole> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: CreateByRole, context: &Context) -> Result<Reply<()>, Fault> {
        let mut wanted = request.0;
        let name = std::mem::take(&mut wanted.role_name);
        let found = System::of(context)?.active.roles.find(&name).await?;
        let (role, _) =
            found.ok_or_else(|| Fault::invalid(format!("unknown role {}", name.escape_debug())))?;
        create(context, wanted, Way::ByRole(name, Box::new(role))).await
    }
}
