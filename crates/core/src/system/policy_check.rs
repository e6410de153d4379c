//! `sys/policies/check`: whether a token may do something, on the path and on others that the request
//! touches, and which policy says so.

use super::{Sys, System};
use crate::decision::{Finding, Place, Question, action_name, verb_of};
use crate::identity::Identity;
use crate::mounts::Mount;
use crate::pipeline::{Touched, Toucher};
use schemars::JsonSchema;
use secretum_api::RequestPath;
use secretum_api::fields::{JsonObject, Seconds};
use secretum_engine::{
    Access, Body, Context, Fault, Handle, Input, Matched, Reply, RowFacts, RowId, Touch, Verb,
};
use secretum_policy::{AccessRequest, Operation};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Tells whether a token may do something on a path, and which policies decide. Nothing is done, and
/// whether something exists is not looked at: `operation` says whether a write would create or update,
/// on the path and on others that the request touches, as a copy does.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CheckPolicies {
    /// The token; the caller's own where neither token nor accessor is given.
    #[serde(default)]
    token: String,
    /// The accessor of the token.
    #[serde(default)]
    accessor: String,
    /// The path, with its mount.
    #[serde(default)]
    path: String,
    /// `create`, `read`, `update`, `patch`, `delete`, `list` or `scan`.
    #[serde(default)]
    operation: String,
    /// The fields that the request would have.
    #[serde(default)]
    parameters: Option<JsonObject>,
    /// Where the request would come from; where the caller is, if that is not given.
    #[serde(default)]
    ip: String,
    /// The life that its wrapped answer would have.
    #[serde(default)]
    wrap_ttl: Seconds,
}

/// What the policies say.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Checked {
    allowed: bool,
    path: String,
    operation: String,
    /// What the path asks of its caller: `public`, `token`, `sudo` or `root`.
    access: &'static str,
    /// The action that Cedar policies are asked for.
    cedar_action: String,
    /// The resource that Cedar policies are asked for.
    cedar_resource: String,
    /// The HCL rule that had part in it.
    policy: Option<Said>,
    /// The Cedar statement that had part in it.
    cedar_policy: Option<Said>,
    /// The most names that a listing may ask for with `limit`, where a policy allows only such pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    page_limit: Option<u64>,
    /// What the request does on other paths than its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    touches: Vec<CheckedTouch>,
}

/// What the policies say of another path that the request touches.
#[derive(Serialize, JsonSchema)]
struct CheckedTouch {
    allowed: bool,
    path: String,
    operation: &'static str,
    policy: Option<Said>,
    cedar_policy: Option<Said>,
}

#[derive(Serialize, JsonSchema)]
struct Said {
    decision: &'static str,
    policy_id: String,
}

impl Said {
    fn new(allowed: bool, policy_id: &str) -> Self {
        Self {
            decision: if allowed { "allow" } else { "deny" },
            policy_id: policy_id.to_owned(),
        }
    }

    /// What HCL and Cedar had to say.
    fn both(found: &Finding) -> [Option<Self>; 2] {
        let hcl = found.policy.as_deref();
        let cedar = found.cedar.as_ref();
        [
            hcl.map(|id| Self::new(found.allowed, id)),
            cedar.map(|said| Self::new(said.allowed, &said.policy_id)),
        ]
    }
}

/// A request that nobody makes.
struct Imagined<'a> {
    path: &'a str,
    verb: Verb,
    operation: Operation,
    mount: Option<(&'a Mount, &'a str)>,
    row: Option<FoundRow<'a>>,
}

/// The row of a request, with its captures.
struct FoundRow<'a> {
    id: RowId,
    captures: Vec<(&'static str, &'a str)>,
    facts: RowFacts,
}

impl Handle<CheckPolicies> for Sys {
    type Data = Checked;
    type Error = Fault;

    async fn handle(&self, ask: CheckPolicies, context: &Context) -> Result<Reply<Checked>, Fault> {
        let system = System::of(context)?;
        let whom = whom(&system, &ask).await?;
        let (operation, verb) = operation(&ask.operation)?;
        let path = RequestPath::parse(ask.path.trim_start_matches('/'))
            .map_err(|error| Fault::invalid(error.to_string()))?;
        let path = if verb.names_folder() {
            path.into_folder()
        } else {
            path
        };
        let found = system.active.mounts.find(path.as_str());
        let imagined = Imagined::new(
            path.as_str(),
            (operation, verb),
            found.as_ref().map(|(mount, rest)| (&**mount, *rest)),
        );
        let checked = imagined.check(&system, &whom, &ask, context.remote_address)?;
        Ok(Reply::data(checked))
    }
}

impl<'a> Imagined<'a> {
    fn new(
        path: &'a str,
        (operation, verb): (Operation, Verb),
        mount: Option<(&'a Mount, &'a str)>,
    ) -> Self {
        let row = mount.and_then(|(mount, rest)| match mount.engine.find(verb, rest) {
            Matched::Row(id, captures) => Some(FoundRow {
                id,
                captures,
                facts: mount.engine.facts(id)?,
            }),
            Matched::OtherVerb | Matched::Nothing => None,
        });
        Self {
            path,
            verb,
            operation,
            mount,
            row,
        }
    }

    fn check(
        &self,
        system: &System,
        whom: &Identity,
        ask: &CheckPolicies,
        here: Option<IpAddr>,
    ) -> Result<Checked, Fault> {
        let fields = match &ask.parameters {
            Some(object) => fields(object)?,
            None => BTreeMap::new(),
        };
        let by = Toucher {
            identity: whom,
            wrap_ttl: Some(ask.wrap_ttl.duration()).filter(|ttl| !ttl.is_zero()),
            address: address(&ask.ip, here)?,
        };
        let question = Question {
            acl: &whom.acl,
            token: &whom.token,
            mount: self.mount,
            request: AccessRequest {
                path: self.path,
                operation: self.operation,
                parameters: Some(&fields),
                wrap_ttl: by.wrap_ttl,
            },
            row: self.row.as_ref().map(|row| row.facts),
            address: by.address,
        };
        let mut checked = self.told(question.access(), &question.decide(&system.active)?);
        // What is refused at its own path touches no other.
        if checked.allowed {
            checked.touches = self.check_touches(system, ask.parameters.as_ref(), &by)?;
            checked.allowed = checked.touches.iter().all(|touch| touch.allowed);
        }
        Ok(checked)
    }

    /// **Errors**: [`Fault::Invalid`] where the parameters do not tell what the request touches.
    fn check_touches(
        &self,
        system: &System,
        parameters: Option<&JsonObject>,
        by: &Toucher<'_>,
    ) -> Result<Vec<CheckedTouch>, Fault> {
        let row = self.row.as_ref().filter(|row| row.facts.touches);
        let (Some((mount, _)), Some(row)) = (self.mount, row) else {
            return Ok(Vec::new());
        };
        let body = parameters.map(JsonObject::as_raw).map(Body::new);
        let input = Input {
            captures: row.captures.clone(),
            query: &[],
            body: body.transpose()?,
            whole_body: row.facts.whole_body,
        };
        let touches = mount.engine.touches(row.id, &input).map_err(|fault| {
            Fault::invalid(format!(
                "`parameters` are needed as the request would have them: {fault}"
            ))
        })?;
        let check = |touch| self.check_touch(system, (mount, touch), by);
        touches.iter().map(check).collect()
    }

    fn check_touch(
        &self,
        system: &System,
        (mount, touch): (&Mount, &Touch),
        by: &Toucher<'_>,
    ) -> Result<CheckedTouch, Fault> {
        let touched = Touched::new(mount, touch)?;
        let operation = touched.operation_beside(self.operation);
        let found = touched.decide(operation, by, &system.active)?;
        let [policy, cedar_policy] = Said::both(&found);
        Ok(CheckedTouch {
            allowed: found.allowed,
            path: touched.path(),
            operation: operation.name(),
            policy,
            cedar_policy,
        })
    }

    fn told(&self, access: Access, found: &Finding) -> Checked {
        let place = Place {
            mount: self.mount,
            path: self.path,
            lists: self.verb.names_folder(),
        };
        let name = self.operation.name();
        let action = self.row.as_ref().and_then(|row| row.facts.action);
        let [policy, cedar_policy] = match access {
            Access::Public => [None, None],
            Access::Token | Access::Sudo | Access::Root => Said::both(found),
        };
        Checked {
            allowed: found.allowed || access == Access::Public,
            path: self.path.to_owned(),
            operation: name.to_owned(),
            access: match access {
                Access::Public => "public",
                Access::Token => "token",
                Access::Sudo => "sudo",
                Access::Root => "root",
            },
            cedar_action: action_name(action, self.operation).to_owned(),
            cedar_resource: place.resource().id().to_owned(),
            policy,
            cedar_policy,
            page_limit: found.page_limit,
            touches: Vec::new(),
        }
    }
}

/// Whose rights are asked about.
async fn whom(system: &System, ask: &CheckPolicies) -> Result<Identity, Fault> {
    let tokens = &system.active.tokens;
    let token = match (ask.token.is_empty(), ask.accessor.is_empty()) {
        (true, true) => Some(Arc::clone(&system.identity()?.token)),
        (false, true) => tokens.find(&ask.token).await?,
        (true, false) => tokens.find_by_accessor(&ask.accessor).await?,
        (false, false) => {
            return Err(Fault::invalid("name a token or an accessor, not both"));
        }
    };
    let token = token.ok_or_else(|| Fault::invalid("there is no such token"))?;
    let acl = system.active.policies.acl(&token.record.policies).await?;
    Ok(Identity { token, acl })
}

fn operation(word: &str) -> Result<(Operation, Verb), Fault> {
    let named = Operation::ALL.into_iter().find(|own| own.name() == word);
    let operation = named.ok_or_else(|| {
        Fault::invalid(format!(
            "`operation` is `create`, `read`, `update`, `patch`, `delete`, `list` or `scan`, not `{word}`"
        ))
    })?;
    Ok((operation, verb_of(operation)))
}

fn fields(object: &JsonObject) -> Result<BTreeMap<String, Box<RawValue>>, Fault> {
    serde_json::from_str(object.get())
        .map_err(|error| Fault::invalid(format!("`parameters` cannot be read: {error}")))
}

fn address(given: &str, here: Option<IpAddr>) -> Result<Option<IpAddr>, Fault> {
    match given {
        "" => Ok(here),
        given => given
            .parse()
            .map(Some)
            .map_err(|_| Fault::invalid(format!("`ip` is an address, not `{given}`"))),
    }
}
