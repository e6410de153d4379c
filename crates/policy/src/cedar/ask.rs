//! [`Ask`]: who asks for what, as entities.

use super::contexts::{Around, Contexts};
use super::parameters;
use super::reads::Reads;
use super::statement::{ANYBODY, Head, Statement, principal_key, type_key};
use super::vocabulary::{Vocabulary, entity};
use super::{Action, CedarProblem};
use crate::Parameters;
use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression as Value};
use secretum_crypto::Timestamp;
use std::collections::{HashMap, HashSet};
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
    /// With everything that it is in.
    entity: Entity,
    /// What it is in, by the keys of the index.
    parents: HashMap<Box<str>, EntityUid>,
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
            parents: parents
                .iter()
                .map(|uid| (principal_key(uid), uid.clone()))
                .collect(),
            entity: Entity::new_no_attrs(uid.clone(), parents),
            uid,
            keys,
        })
    }

    /// The caller in those of its roles and groups alone that these heads name.
    fn within<'s>(&self, heads: impl Iterator<Item = &'s Head>) -> Entity {
        let named = heads.filter_map(|head| self.parents.get(&head.principal));
        Entity::new_no_attrs(self.uid.clone(), named.cloned().collect())
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
    /// In Cedar's form, with what something looks at; `None` where it has none.
    ///
    /// Of what is above the caller and the resource, only that is told which heads name, unless a
    /// condition can ask for more.
    pub(super) fn asked<'s>(
        &self,
        candidates: impl Iterator<Item = &'s Statement> + Clone,
        contexts: &Contexts,
    ) -> Option<Asked> {
        let all = candidates.clone();
        let reads = all.fold(Reads::default(), |all, one| all.with(one.reads));
        let heads = candidates.map(|statement| &statement.head);
        let vocabulary = Vocabulary::get().ok()?;
        let action = self.action.entry()?;
        let secret = &vocabulary.types.secret;
        let resource = entity(secret, &self.resource.id);
        let above = with_prefixes(&self.resource.id);
        // Each of them is the resource or above it, so its length tells which.
        let lengths: HashSet<usize> = heads.clone().filter_map(Head::within_bytes).collect();
        let named = |id: &&str| reads.hierarchy || lengths.contains(&id.len());
        let above = above.filter(|id| *id != self.resource.id).filter(named);
        let parents: Vec<EntityUid> = above.map(|id| entity(secret, id)).collect();
        let attributes = [
            ("path", self.resource.path),
            ("engine", self.resource.engine),
            ("mount", self.resource.mount),
            ("namespace", "root"),
        ]
        .map(|(name, text)| (name.to_owned(), Value::new_string(text.to_owned())));
        let attributes = attributes.into_iter().filter(|_| reads.resource);
        let secret = Entity::new_with_tags(resource.clone(), attributes, parents, []).ok()?;
        let caller = match reads.hierarchy {
            true => self.caller.entity.clone(),
            false => self.caller.within(heads.clone()),
        };
        let mut all = vec![caller, action.entity.clone(), secret];
        let mut without_parameters = false;
        if reads.tags {
            let tags = match self.around.parameters {
                None => Some(Vec::new()),
                Some(parameters) => parameters::tags(parameters),
            };
            without_parameters = tags.is_none();
            let uid = entity(&vocabulary.types.parameters, PARAMETERS);
            let tags = tags.unwrap_or_default();
            all.push(Entity::new_with_tags(uid, [], [], tags).ok()?);
        }
        let around = self.around.of(reads);
        let context = contexts.get(around, |around| around.context(vocabulary))?;
        let (principal, action) = (self.caller.uid.clone(), action.uid.clone());
        Some(Asked {
            request: Request::new(principal, action, resource, context, None).ok()?,
            entities: Entities::from_entities(all, None).ok()?,
            without_parameters,
        })
    }
}

impl Circumstances<'_> {
    /// That of it which is looked at.
    fn of(&self, reads: Reads) -> Around {
        let read = |attribute| reads.has(attribute);
        Around {
            attributes: reads.context,
            ttl: if read(Reads::TTL) {
                self.ttl
            } else {
                Duration::ZERO
            },
            millis: if read(Reads::TIME) {
                self.time.unix_nanos().div_euclid(1_000_000)
            } else {
                0
            },
            ip: self.ip.filter(|_| read(Reads::IP)),
            mfa: self.mfa && read(Reads::MFA),
            wrap_ttl: if read(Reads::WRAP_TTL) {
                self.wrap_ttl
            } else {
                Duration::ZERO
            },
        }
    }
}

impl Around {
    fn context(&self, vocabulary: &Vocabulary) -> Option<Context> {
        let mut pairs = Vec::with_capacity(6);
        let mut add = |attribute: u8, name: &str, make: &dyn Fn() -> Option<Value>| {
            if self.attributes & attribute != 0 {
                pairs.extend(make().map(|value| (name.to_owned(), value)));
            }
        };
        let parameters = || entity(&vocabulary.types.parameters, PARAMETERS);
        let nanos = self.millis.saturating_mul(1_000_000);
        let ip = self.ip.map(|ip| ip.to_canonical().to_string());
        add(Reads::TTL, "ttl", &|| Some(duration(self.ttl)));
        add(Reads::TIME, "time", &|| {
            let text = moment(Timestamp::from_unix_nanos(nanos));
            Some(Value::new_datetime(text))
        });
        add(Reads::IP, "ip", &|| ip.as_ref().map(Value::new_ip));
        add(Reads::MFA, "mfa", &|| Some(Value::new_bool(self.mfa)));
        add(Reads::PARAMETERS, "parameters", &|| {
            Some(Value::new_entity_uid(parameters()))
        });
        add(Reads::WRAP_TTL, "wrap_ttl", &|| {
            Some(duration(self.wrap_ttl))
        });
        Context::from_pairs(pairs).ok()
    }
}

/// The id of the entity whose tags are the parameters.
const PARAMETERS: &str = "request";

/// A duration as Cedar counts it, in milliseconds; what is longer than it can count ends there.
fn duration(of: Duration) -> Value {
    let millis = i64::try_from(of.as_millis()).unwrap_or(i64::MAX);
    Value::new_duration(format!("{millis}ms"))
}

/// A moment as Cedar reads it, to the millisecond.
pub(super) fn moment(time: Timestamp) -> String {
    let millis = time.unix_nanos().rem_euclid(1_000_000_000) / 1_000_000;
    let text = time.to_rfc3339();
    let seconds = text.get(..19).unwrap_or_default();
    format!("{seconds}.{millis:03}Z")
}
