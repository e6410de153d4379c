//! [`Ask`]: who asks for what, as entities.

use super::parameters;
use super::statement::{ANYBODY, principal_key, type_key};
use super::vocabulary::{Vocabulary, entity};
use super::{Action, CedarProblem};
use crate::Parameters;
use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression as Value};
use secretum_crypto::Timestamp;
use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// The entity of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerEntity {
    /// A human, by name.
    User(String),
    /// A machine, by name.
    Service(String),
}

/// Who asks, made ready once for many requests.
#[derive(Debug, Clone)]
pub struct Caller {
    uid: EntityUid,
    entity: Entity,
    /// The keys of the index under which statements may stand that concern it.
    keys: Vec<Box<str>>,
}

impl Caller {
    /// A caller with this entity, else with a token of this accessor; with these policies on the
    /// token and these groups.
    ///
    /// **Errors**: [`CedarProblem::Schema`].
    pub fn new(
        login: Option<&CallerEntity>,
        accessor: &str,
        roles: &[String],
        groups: &[String],
    ) -> Result<Self, CedarProblem> {
        let types = &Vocabulary::get()?.types;
        let (kind, id) = match login {
            Some(CallerEntity::User(name)) => (&types.user, name.as_str()),
            Some(CallerEntity::Service(name)) => (&types.service, name.as_str()),
            None => (&types.token, accessor),
        };
        let uid = entity(kind, id);
        let roles = roles.iter().map(|name| entity(&types.role, name));
        let groups = groups.iter().map(|name| entity(&types.group, name));
        let parents: HashSet<EntityUid> = roles.chain(groups).collect();
        let mut keys = vec![ANYBODY.into(), type_key(kind), principal_key(&uid)];
        keys.extend(parents.iter().map(principal_key));
        Ok(Self {
            entity: Entity::new_no_attrs(uid.clone(), parents),
            uid,
            keys,
        })
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| &**key)
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Resource<'a> {
    /// `<mount>/<logical path>`.
    pub(super) id: String,
    path: &'a str,
    engine: &'a str,
    mount: &'a str,
}

impl<'a> Resource<'a> {
    /// A resource below a mount, whose path may end in a slash; `logical` is the path below the mount
    /// that Cedar knows, `path` the one that the API has, with the mount.
    pub fn new(mount: &'a str, logical: &str, path: &'a str, engine: &'a str) -> Self {
        let mount = mount.strip_suffix('/').unwrap_or(mount);
        let id = match (mount, logical) {
            (mount, "") => mount.to_owned(),
            ("", logical) => logical.to_owned(),
            (mount, logical) => format!("{mount}/{logical}"),
        };
        Self {
            id,
            path,
            engine,
            mount,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id, and each prefix that ends before a slash.
    pub(super) fn with_prefixes(&self) -> impl Iterator<Item = &str> {
        with_prefixes(&self.id)
    }
}

/// An id, and each prefix that ends before a slash.
pub(super) fn with_prefixes(id: &str) -> impl Iterator<Item = &str> {
    let slashes = id.match_indices('/').map(|(at, _)| at);
    slashes.chain([id.len()]).filter_map(|end| id.get(..end))
}

/// What is around a request.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// The life that is asked for.
    pub ttl: Duration,
    /// Now.
    pub time: Timestamp,
    /// Where it comes from. Where that is not known, what looks at it errs.
    pub ip: Option<IpAddr>,
    /// Whether a second factor was proved.
    pub mfa: bool,
    /// The life that the wrapped answer is to have.
    pub wrap_ttl: Duration,
    /// The fields of the request.
    pub parameters: Option<&'a dyn Parameters>,
}

impl fmt::Debug for Circumstances<'_> {
    /// Parameters hold secrets and are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circumstances")
            .field("ttl", &self.ttl)
            .field("time", &self.time)
            .field("ip", &self.ip)
            .finish_non_exhaustive()
    }
}

/// A question to the policies.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What is to be done.
    pub action: Action,
    /// With what.
    pub resource: &'a Resource<'a>,
    /// The rest.
    pub around: Circumstances<'a>,
}

/// A question in Cedar's form.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) entities: Entities,
    /// Whether the parameters are not among the entities though they were wanted: what looks at them
    /// errs.
    pub(super) without_parameters: bool,
}

impl Ask<'_> {
    /// In Cedar's form, with the parameters where something looks at them; `None` where it has none.
    pub(super) fn asked(&self, reads_parameters: bool) -> Option<Asked> {
        let vocabulary = Vocabulary::get().ok()?;
        let action = self.action.entry()?;
        let secret = &vocabulary.types.secret;
        let resource = entity(secret, &self.resource.id);
        let above = self.resource.with_prefixes();
        let above = above.filter(|id| *id != self.resource.id);
        let parents: Vec<EntityUid> = above.map(|id| entity(secret, id)).collect();
        let attributes = [
            ("path", self.resource.path),
            ("engine", self.resource.engine),
            ("mount", self.resource.mount),
            ("namespace", "root"),
        ]
        .map(|(name, text)| (name.to_owned(), Value::new_string(text.to_owned())));
        let secret = Entity::new_with_tags(resource.clone(), attributes, parents, []).ok()?;
        let request = entity(&vocabulary.types.parameters, "request");
        let tags = match self.around.parameters.filter(|_| reads_parameters) {
            None => Some(Vec::new()),
            Some(parameters) => parameters::tags(parameters),
        };
        let without_parameters = tags.is_none();
        let tags = tags.unwrap_or_default();
        let parameters = Entity::new_with_tags(request.clone(), [], [], tags).ok()?;
        let all = [
            self.caller.entity.clone(),
            action.entity.clone(),
            secret,
            parameters,
        ];
        let context = self.context(request)?;
        let (principal, action) = (self.caller.uid.clone(), action.uid.clone());
        Some(Asked {
            request: Request::new(principal, action, resource, context, None).ok()?,
            entities: Entities::from_entities(all, None).ok()?,
            without_parameters,
        })
    }

    fn context(&self, parameters: EntityUid) -> Option<Context> {
        let around = &self.around;
        let mut pairs = Vec::with_capacity(6);
        pairs.push(("ttl", duration(around.ttl)));
        pairs.push(("time", Value::new_datetime(moment(around.time))));
        if let Some(ip) = around.ip {
            pairs.push(("ip", Value::new_ip(ip.to_canonical().to_string())));
        }
        pairs.push(("mfa", Value::new_bool(around.mfa)));
        pairs.push(("parameters", Value::new_entity_uid(parameters)));
        pairs.push(("wrap_ttl", duration(around.wrap_ttl)));
        let pairs = pairs.into_iter();
        Context::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value))).ok()
    }
}

/// A duration as Cedar counts it, in milliseconds; what is longer than it can count ends there.
fn duration(of: Duration) -> Value {
    let millis = i64::try_from(of.as_millis()).unwrap_or(i64::MAX);
    Value::new_duration(format!("{millis}ms"))
}

/// A moment as Cedar reads it, to the millisecond.
fn moment(time: Timestamp) -> String {
    let millis = time.unix_nanos().rem_euclid(1_000_000_000) / 1_000_000;
    let text = time.to_rfc3339();
    let seconds = text.get(..19).unwrap_or_default();
    format!("{seconds}.{millis:03}Z")
}
