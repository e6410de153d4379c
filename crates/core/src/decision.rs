//! [`Question`] and [`Finding`]: what is asked of the policies, and what HCL and Cedar say together.
//!
//! A request is allowed where one of them permits it and neither forbids it. HCL forbids by `deny`
//! only: what else it does not permit, Cedar may. A route that needs `sudo` needs the verb and `sudo`,
//! each from either. Nothing is forbidden to a root token.
//!
//! Where there is no Cedar policy, all that this costs is to find that out.

use crate::active::Active;
use crate::mounts::Mount;
use crate::tokens::Token;
use secretum_api::fields::Seconds;
use secretum_engine::{Access, Fault, Matched, RowFacts, Verb};
use secretum_policy::cedar::{Action, Ask, Caller, Circumstances, Resource, Verdict, Wanted};
use secretum_policy::{
    AccessRequest, Acl, Capability, CapabilitySet, Decision, Operation, Parameters,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What is asked of the policies.
pub(crate) struct Question<'q> {
    pub(crate) acl: &'q Acl,
    pub(crate) token: &'q Token,
    /// The mount of the path, and what follows.
    pub(crate) mount: Option<(&'q Mount, &'q str)>,
    pub(crate) request: AccessRequest<'q>,
    /// The row that would answer, where there is one.
    pub(crate) row: Option<RowFacts>,
    /// Where the request comes from.
    pub(crate) address: Option<IpAddr>,
}

/// What the policies say.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) allowed: bool,
    pub(crate) root: bool,
    /// Whether the caller has `sudo`, too, where the row asks and the request is allowed.
    pub(crate) has_sudo: bool,
    /// The id of the HCL rule that had part in it, empty where none matches; `None` where Cedar decided
    /// alone.
    pub(crate) policy: Option<String>,
    /// The Cedar statement that had part in it.
    pub(crate) cedar: Option<CedarFinding>,
    /// The most names of a page, where HCL alone permits a listing.
    pub(crate) page_limit: Option<u64>,
}

/// What a Cedar statement decided.
#[derive(Debug, Clone)]
pub(crate) struct CedarFinding {
    pub(crate) allowed: bool,
    pub(crate) policy_id: Arc<str>,
}

/// Who gives a right.
enum Source {
    Hcl,
    Cedar(Arc<str>),
    Nobody,
}

impl Question<'_> {
    /// What the row asks of its caller.
    pub(crate) fn access(&self) -> Access {
        self.row.map_or(Access::Token, |row| row.access)
    }

    fn asks_sudo(&self) -> bool {
        self.row.is_some_and(|row| row.asks_sudo)
    }

    /// Asks HCL and, where there is any, Cedar.
    ///
    /// **Errors**: [`Fault::Internal`] where a policy cannot be read.
    pub(crate) fn decide(&self, active: &Active) -> Result<Finding, Fault> {
        let mut found = self.by_policies(active)?;
        found.allowed &= self.access() != Access::Root || found.root;
        found.has_sudo &= found.allowed && self.asks_sudo();
        Ok(found)
    }

    fn by_policies(&self, active: &Active) -> Result<Finding, Fault> {
        let hcl = self.acl.decide(&self.request);
        // A second factor cannot be proved yet: a rule that asks for one gives nothing.
        let proved = hcl.mfa_methods.is_empty();
        let verb = hcl.allowed && proved;
        let sudo = hcl.sudo && proved;
        if hcl.root || hcl.forbids() || active.cedar.is_empty() {
            let allowed = verb && (sudo || self.access() != Access::Sudo);
            return Ok(Finding {
                has_sudo: sudo,
                ..found_by_hcl(&hcl, allowed)
            });
        }
        self.with_cedar(active, &hcl, (verb, sudo))
    }

    fn with_cedar(
        &self,
        active: &Active,
        hcl: &Decision,
        (verb, sudo): (bool, bool),
    ) -> Result<Finding, Fault> {
        let action = self.row.and_then(|row| row.action);
        let name = action_name(action, self.request.operation);
        // What HCL permits in part only, Cedar may permit whole.
        let whole = verb && hcl.page_limit.is_none();
        let verb = match source(self.ask(active, name, whole)?, verb) {
            Ok(source) => source,
            Err(id) => return Ok(forbidden(id)),
        };
        let needs_sudo = self.access() == Access::Sudo;
        if !needs_sudo && !self.asks_sudo() {
            return Ok(combined(hcl, verb, None));
        }
        let sudo = source(self.ask(active, Capability::Sudo.name(), sudo)?, sudo);
        Ok(match sudo {
            Ok(sudo) if needs_sudo => combined(hcl, verb, Some(sudo)),
            Err(id) if needs_sudo => forbidden(id),
            sudo => Finding {
                has_sudo: matches!(sudo, Ok(Source::Hcl | Source::Cedar(_))),
                ..combined(hcl, verb, None)
            },
        })
    }

    /// What Cedar says of an action; only whether it is forbidden, where it is permitted already.
    fn ask(&self, active: &Active, action: &str, permitted: bool) -> Result<Verdict, Fault> {
        let lists = matches!(self.request.operation, Operation::List | Operation::Scan);
        let place = Place {
            mount: self.mount,
            path: self.request.path,
            lists,
        };
        let around = circumstances(active, self.mount, self.address, self.request.parameters);
        let wrap_ttl = self.request.wrap_ttl.unwrap_or_default();
        let ask = Ask {
            caller: self.token.cedar()?,
            action: named(action)?,
            resource: &place.resource(),
            around: Circumstances { wrap_ttl, ..around },
        };
        let wanted = if permitted {
            Wanted::Forbids
        } else {
            Wanted::Both
        };
        active.cedar.decide(&ask, wanted)
    }
}

/// What is asked for, as Cedar knows it.
pub(crate) struct Place<'q> {
    pub(crate) mount: Option<(&'q Mount, &'q str)>,
    /// The whole path.
    pub(crate) path: &'q str,
    /// Whether it names a folder, whose last slash does not count.
    pub(crate) lists: bool,
}

impl<'q> Place<'q> {
    pub(crate) fn resource(&self) -> Resource<'q> {
        let trimmed = |path: &'q str| match self.lists {
            true => path.strip_suffix('/').unwrap_or(path),
            false => path,
        };
        match self.mount {
            Some((mount, rest)) => {
                let logical = trimmed(mount.engine.logical(rest));
                Resource::new(&mount.path, logical, self.path, &mount.record.kind)
            }
            None => Resource::new("", trimmed(self.path), self.path, ""),
        }
    }
}

/// What is around a request, but for the life of its wrapping.
fn circumstances<'q>(
    active: &Active,
    mount: Option<(&Mount, &str)>,
    ip: Option<IpAddr>,
    parameters: Option<&'q dyn Parameters>,
) -> Circumstances<'q> {
    let given = |name: &str| {
        let json = parameters?.json(name)?;
        match serde_json::from_str(&json) {
            Ok(Seconds(0)) => None,
            Ok(ttl) => Some(ttl.duration()),
            // Nobody can say how long that is.
            Err(_) => Some(Duration::MAX),
        }
    };
    let of_mount = || {
        let config = mount.map(|(mount, _)| mount.record.settings.config.clone());
        let lives = active.mounts.lives(&config.unwrap_or_default());
        Duration::from_secs(lives.default)
    };
    Circumstances {
        // `lease` is the older name, which tokens can still be asked for with.
        ttl: given("ttl")
            .or_else(|| given("lease"))
            .unwrap_or_else(of_mount),
        time: active.core.config.clock.now(),
        ip,
        mfa: false,
        wrap_ttl: Duration::ZERO,
        parameters,
    }
}

fn named(action: &str) -> Result<Action, Fault> {
    Action::named(action)
        .ok_or_else(|| Fault::Internal(format!("the Cedar schema has no action `{action}`")))
}

/// Who gives a right, by what Cedar says and whether HCL gives it.
///
/// **Errors**: the id of the statement that forbids it.
fn source(cedar: Verdict, by_hcl: bool) -> Result<Source, Arc<str>> {
    match cedar {
        Verdict::Forbidden(id) => Err(id),
        Verdict::Permitted(id) => Ok(Source::Cedar(id)),
        Verdict::Silent if by_hcl => Ok(Source::Hcl),
        Verdict::Silent => Ok(Source::Nobody),
    }
}

fn rule(hcl: &Decision) -> String {
    match &hcl.deciding {
        _ if hcl.root => "root".to_owned(),
        Some(id) => format!("{}:{}", id.policy, id.path),
        None => String::new(),
    }
}

fn found_by_hcl(hcl: &Decision, allowed: bool) -> Finding {
    Finding {
        allowed,
        root: hcl.root,
        has_sudo: false,
        policy: Some(rule(hcl)),
        cedar: None,
        page_limit: hcl.page_limit,
    }
}

fn forbidden(policy_id: Arc<str>) -> Finding {
    Finding {
        allowed: false,
        root: false,
        has_sudo: false,
        policy: None,
        cedar: Some(CedarFinding {
            allowed: false,
            policy_id,
        }),
        page_limit: None,
    }
}

/// What comes of rights that are given by either, when nothing forbids.
fn combined(hcl: &Decision, verb: Source, sudo: Option<Source>) -> Finding {
    let sources = [Some(&verb), sudo.as_ref()];
    let any = |is: fn(&Source) -> bool| sources.into_iter().flatten().any(is);
    if any(|source| matches!(source, Source::Nobody)) {
        return found_by_hcl(hcl, false);
    }
    let by_hcl = any(|source| matches!(source, Source::Hcl));
    let page_limit = hcl.page_limit.filter(|_| matches!(verb, Source::Hcl));
    let mut cedar = [Some(verb), sudo].into_iter().flatten();
    let cedar = cedar.find_map(|source| match source {
        Source::Cedar(policy_id) => Some(CedarFinding {
            allowed: true,
            policy_id,
        }),
        Source::Hcl | Source::Nobody => None,
    });
    Finding {
        allowed: true,
        root: false,
        has_sudo: false,
        policy: by_hcl.then(|| rule(hcl)),
        cedar,
        page_limit,
    }
}

/// The verb that asks for an operation.
pub(crate) fn verb_of(operation: Operation) -> Verb {
    match operation {
        Operation::Create | Operation::Update => Verb::Write,
        Operation::Read => Verb::Read,
        Operation::Patch => Verb::Patch,
        Operation::Delete => Verb::Delete,
        Operation::List => Verb::List,
        Operation::Scan => Verb::Scan,
    }
}

/// What a token may do on a path, sorted, as `sys/capabilities` prints it. Cedar is asked with what is
/// around the caller now, and without parameters.
///
/// **Errors**: [`Fault::Internal`] where a policy cannot be read.
pub(crate) fn capabilities(
    active: &Active,
    (acl, token): (&Acl, &Token),
    path: &str,
    address: Option<IpAddr>,
) -> Result<Vec<&'static str>, Fault> {
    let hcl = acl.capability_set(path);
    if acl.is_root() || hcl.denies() || active.cedar.is_empty() {
        return Ok(acl.capabilities(path));
    }
    let found = active.mounts.find(path);
    let mount = found.as_ref().map(|(mount, rest)| (&**mount, *rest));
    let around = circumstances(active, mount, address, None);
    let caller = token.cedar()?;
    // As a request would have it.
    let folder = format!("{}/", path.trim_end_matches('/'));
    let has = |capability: Capability, action: &str, lists: bool| {
        let path = if lists { &folder } else { path };
        let place = Place { mount, path, lists };
        let ask = Ask {
            caller,
            action: named(action)?,
            resource: &place.resource(),
            around,
        };
        Ok::<_, Fault>(match active.cedar.decide(&ask, Wanted::Both)? {
            Verdict::Forbidden(_) => false,
            Verdict::Permitted(_) => true,
            Verdict::Silent => hcl.contains(capability),
        })
    };
    let mut all: CapabilitySet = hcl
        .iter()
        .filter(|one| matches!(one, Capability::Recover | Capability::Subscribe))
        .collect();
    for operation in Operation::ALL {
        let (capability, verb) = (operation.capability(), verb_of(operation));
        let action = mount.and_then(|(mount, rest)| action_of(mount, verb, rest));
        let action = action_name(action, operation);
        if has(capability, action, verb.names_folder())? {
            all = all.with(capability);
        }
    }
    if has(Capability::Sudo, Capability::Sudo.name(), false)? {
        all = all.with(Capability::Sudo);
    }
    Ok(if all.is_empty() {
        vec!["deny"]
    } else {
        all.names()
    })
}

/// The Cedar action of an operation on a row that has this action. What is not there yet is created, whatever
/// is done to it then.
pub(crate) fn action_name(of_row: Option<&'static str>, operation: Operation) -> &'static str {
    of_row
        .filter(|_| operation != Operation::Create)
        .unwrap_or(operation.name())
}

/// The Cedar action of the row for a verb on a path below a mount, where it is not the verb's.
pub(crate) fn action_of(mount: &Mount, verb: Verb, rest: &str) -> Option<&'static str> {
    match mount.engine.find(verb, rest) {
        Matched::Row(row, _) => mount.engine.facts(row)?.action,
        Matched::OtherVerb | Matched::Nothing => None,
    }
}

/// Whether a token may have some right under a mount.
pub(crate) fn any_right_below(
    active: &Active,
    (acl, token): (&Acl, &Token),
    mount_path: &str,
) -> bool {
    let by_cedar = |caller: &Caller| active.cedar.may_permit_below(caller, mount_path);
    acl.any_right_below(mount_path) || !active.cedar.is_empty() && token.cedar().is_ok_and(by_cedar)
}
