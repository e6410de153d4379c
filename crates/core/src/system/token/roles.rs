//! `auth/token/roles`: what tokens made by a role may carry.

use super::{System, TokenEngine};
use crate::tokens::{Role, RoleType};
use schemars::JsonSchema;
use secretum_api::fields::{AddressRange, CommaList, Seconds};
use secretum_engine::{Context, Exists, Fault, Handle, Input, Listing, Reply, listing};
use serde::{Deserialize, Serialize};

/// Lists the names of roles.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListRoles {}

/// Reads a role.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadRole {
    /// Name of the role.
    name: String,
}

/// Deletes a role; tokens that it made stay.
#[derive(Deserialize, JsonSchema)]
pub(super) struct DeleteRole {
    /// Name of the role.
    name: String,
}

/// Makes a role, or changes what is named of one.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteRole {
    /// Name of the role.
    name: String,
    /// The only policies that its tokens may have, whatever their maker has.
    allowed_policies: Option<CommaList>,
    /// The same, with `*` for any characters.
    allowed_policies_glob: Option<CommaList>,
    /// Policies that its tokens may not have.
    disallowed_policies: Option<CommaList>,
    /// The same, with `*` for any characters.
    disallowed_policies_glob: Option<CommaList>,
    /// Entity aliases that its tokens may be made for.
    allowed_entity_aliases: Option<CommaList>,
    /// Whether its tokens have no parent.
    orphan: Option<bool>,
    /// Whether its tokens can be renewed.
    renewable: Option<bool>,
    /// What stands at the end of the path that its tokens name as theirs.
    path_suffix: Option<String>,
    /// Where its tokens can be used from; anywhere where there is none.
    token_bound_cidrs: Option<CommaList>,
    /// The older name of `token_bound_cidrs`.
    bound_cidrs: Option<CommaList>,
    /// The longest life of its tokens.
    token_explicit_max_ttl: Option<Seconds>,
    /// The older name of `token_explicit_max_ttl`.
    explicit_max_ttl: Option<Seconds>,
    /// The life that each renewal gives its tokens, without end.
    token_period: Option<Seconds>,
    /// The older name of `token_period`.
    period: Option<Seconds>,
    /// How often its tokens can be used; 0 for any number.
    token_num_uses: Option<u32>,
    /// Whether its tokens go without the policy `default`, where the role says which policies they may
    /// have.
    token_no_default_policy: Option<bool>,
    /// The kind of its tokens: `service`, `batch`, `default-service` or `default-batch`.
    token_type: Option<RoleType>,
}

/// A role.
#[derive(Serialize, JsonSchema)]
pub(super) struct RoleFacts {
    name: String,
    allowed_policies: Vec<String>,
    allowed_policies_glob: Vec<String>,
    disallowed_policies: Vec<String>,
    disallowed_policies_glob: Vec<String>,
    allowed_entity_aliases: Vec<String>,
    orphan: bool,
    renewable: bool,
    path_suffix: String,
    token_bound_cidrs: Vec<AddressRange>,
    /// The same, where it was written by this older name.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_cidrs: Option<Vec<AddressRange>>,
    token_explicit_max_ttl: u64,
    explicit_max_ttl: u64,
    token_period: u64,
    period: u64,
    token_num_uses: u32,
    token_no_default_policy: bool,
    token_type: RoleType,
}

impl RoleFacts {
    fn of(name: String, role: Role) -> Self {
        Self {
            name,
            allowed_policies: role.allowed_policies,
            allowed_policies_glob: role.allowed_policies_glob,
            disallowed_policies: role.disallowed_policies,
            disallowed_policies_glob: role.disallowed_policies_glob,
            allowed_entity_aliases: role.allowed_entity_aliases,
            orphan: role.orphan,
            renewable: role.renewable,
            path_suffix: role.path_suffix,
            bound_cidrs: (role.shows_older_bound_cidrs && !role.bound_cidrs.is_empty())
                .then(|| role.bound_cidrs.clone()),
            token_bound_cidrs: role.bound_cidrs,
            token_explicit_max_ttl: role.explicit_max_ttl,
            explicit_max_ttl: role.explicit_max_ttl,
            token_period: role.period,
            period: role.period,
            token_num_uses: role.num_uses,
            token_no_default_policy: role.no_default_policy,
            token_type: role.kind,
        }
    }
}

impl WriteRole {
    /// Puts what is named in the place of what was.
    fn change(self, role: &mut Role) -> Result<(), Fault> {
        let names = |list: Option<CommaList>, place: &mut Vec<String>| {
            if let Some(CommaList(names)) = list {
                *place = names;
            }
        };
        names(self.allowed_policies, &mut role.allowed_policies);
        names(self.allowed_policies_glob, &mut role.allowed_policies_glob);
        names(self.disallowed_policies, &mut role.disallowed_policies);
        names(
            self.disallowed_policies_glob,
            &mut role.disallowed_policies_glob,
        );
        names(
            self.allowed_entity_aliases,
            &mut role.allowed_entity_aliases,
        );
        let is_older = self.token_bound_cidrs.is_none();
        if let Some(CommaList(cidrs)) = self.token_bound_cidrs.or(self.bound_cidrs) {
            role.shows_older_bound_cidrs = is_older;
            let ranges = cidrs.iter().map(|text| text.parse());
            role.bound_cidrs = ranges.collect::<Result<_, _>>().map_err(Fault::invalid)?;
        }
        let explicit_max_ttl = self.token_explicit_max_ttl.or(self.explicit_max_ttl);
        role.explicit_max_ttl = explicit_max_ttl.map_or(role.explicit_max_ttl, |life| life.0);
        let period = self.token_period.or(self.period);
        role.period = period.map_or(role.period, |life| life.0);
        role.kind = self.token_type.unwrap_or(role.kind);
        role.orphan = self.orphan.unwrap_or(role.orphan);
        role.renewable = self.renewable.unwrap_or(role.renewable);
        role.path_suffix = self
            .path_suffix
            .unwrap_or_else(|| std::mem::take(&mut role.path_suffix));
        role.num_uses = self.token_num_uses.unwrap_or(role.num_uses);
        role.no_default_policy = self
            .token_no_default_policy
            .unwrap_or(role.no_default_policy);
        Ok(())
    }
}

impl Handle<ListRoles> for TokenEngine {
    type Data = Listing;
    type Error = Fault;

    async fn handle(&self, _: ListRoles, context: &Context) -> Result<Reply<Listing>, Fault> {
        listing(System::of(context)?.active.roles.names().await?)
    }
}

impl Handle<ReadRole> for TokenEngine {
    type Data = RoleFacts;
    type Error = Fault;

    async fn handle(&self, ask: ReadRole, context: &Context) -> Result<Reply<RoleFacts>, Fault> {
        let found = System::of(context)?.active.roles.find(&ask.name).await?;
        let (role, _) = found.ok_or(Fault::NotFound)?;
        Ok(Reply::data(RoleFacts::of(ask.name, role)))
    }
}

impl Handle<WriteRole> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: WriteRole, context: &Context) -> Result<Reply<()>, Fault> {
        let roles = &System::of(context)?.active.roles;
        let name = request.name.clone();
        let (mut role, record) = match roles.find(&name).await? {
            Some((role, record)) => (role, Some(record)),
            None => (Role::default(), None),
        };
        let is_ignored = request.token_bound_cidrs.is_some() && request.bound_cidrs.is_some();
        request.change(&mut role)?;
        let reply = Reply::wrote(roles.put(&name, &role, record.as_ref())?);
        Ok(match is_ignored {
            true => reply.warn("`bound_cidrs`, the older name of `token_bound_cidrs`, is ignored"),
            false => reply,
        })
    }
}

impl Exists<WriteRole> for TokenEngine {
    async fn exists(&self, input: &Input<'_>, context: &Context) -> Result<bool, Fault> {
        let roles = &System::of(context)?.active.roles;
        Ok(roles.find(input.capture("name")).await?.is_some())
    }
}

impl Handle<DeleteRole> for TokenEngine {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: DeleteRole, context: &Context) -> Result<Reply<()>, Fault> {
        let roles = &System::of(context)?.active.roles;
        Ok(Reply::wrote(roles.remove(&request.name)?))
    }
}
