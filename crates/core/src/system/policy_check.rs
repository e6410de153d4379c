//! `sys/policies/check`: whether a token may do something, and which policy says so.

use super::{Sys, System};
use crate::decision::{Finding, Place, Question};
use crate::identity::Identity;
use crate::mounts::Mount;
use schemars::JsonSchema;
use secretum_api::RequestPath;
use secretum_api::fields::{JsonObject, Seconds};
use secretum_engine::{Access, Context, Fault, Handle, Matched, Reply, Verb};
use secretum_policy::{AccessRequest, Operation};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Tells whether a token may do something on a path, and which policies decide. Nothing is done, and
/// whether something exists is not looked at.
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
}

/// A request that nobody makes.
struct Imagined<'a> {
    path: &'a str,
    verb: Verb,
    operation: Operation,
    mount: Option<(&'a Mount, &'a str)>,
    access: Access,
    action: Option<&'static str>,
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
        let facts = mount.and_then(|(mount, rest)| match mount.engine.find(verb, rest) {
            Matched::Row(row, _) => mount.engine.facts(row),
            Matched::OtherVerb | Matched::Nothing => None,
        });
        Self {
            path,
            verb,
            operation,
            mount,
            access: facts.map_or(Access::Token, |facts| facts.access),
            action: facts.and_then(|facts| facts.action),
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
        let question = Question {
            acl: &whom.acl,
            token: &whom.token,
            mount: self.mount,
            request: AccessRequest {
                path: self.path,
                operation: self.operation,
                parameters: Some(&fields),
                wrap_ttl: Some(ask.wrap_ttl.duration()).filter(|ttl| !ttl.is_zero()),
            },
            action: self.action,
            sudo: self.access == Access::Sudo,
            address: address(&ask.ip, here)?,
        };
        Ok(self.told(&question.decide(&system.active)?))
    }

    fn told(&self, found: &Finding) -> Checked {
        let by_policies = self.access != Access::Public;
        let place = Place {
            mount: self.mount,
            path: self.path,
            lists: self.verb.names_folder(),
        };
        let name = self.operation.capability().name();
        let allowed = match self.access {
            Access::Public => true,
            Access::Token | Access::Sudo => found.allowed,
            Access::Root => found.root,
        };
        let policy = found.policy.as_deref().filter(|_| by_policies);
        let cedar = found.cedar.as_ref().filter(|_| by_policies);
        Checked {
            allowed,
            path: self.path.to_owned(),
            operation: name.to_owned(),
            access: match self.access {
                Access::Public => "public",
                Access::Token => "token",
                Access::Sudo => "sudo",
                Access::Root => "root",
            },
            cedar_action: self.action.unwrap_or(name).to_owned(),
            cedar_resource: place.resource().id().to_owned(),
            policy: policy.map(|id| Said::new(allowed, id)),
            cedar_policy: cedar.map(|said| Said::new(said.allowed, &said.policy_id)),
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
    Ok(match word {
        "create" => (Operation::Create, Verb::Write),
        "read" => (Operation::Read, Verb::Read),
        "update" => (Operation::Update, Verb::Write),
        "patch" => (Operation::Patch, Verb::Patch),
        "delete" => (Operation::Delete, Verb::Delete),
        "list" => (Operation::List, Verb::List),
        "scan" => (Operation::Scan, Verb::Scan),
        other => {
            return Err(Fault::invalid(format!(
                "`operation` is `create`, `read`, `update`, `patch`, `delete`, `list` or `scan`, \
                 not `{other}`"
            )));
        }
    })
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
