//! [`Statement`]: one `permit` or `forbid`, with what its head says.

use super::reads::Reads;
use super::vocabulary::{Types, Vocabulary};
use super::{Action, CedarProblem};
use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PrincipalConstraint,
    ResourceConstraint,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers statements, so that one that was replaced is never taken for its successor.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// One `permit` or `forbid`.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) serial: u64,
    pub(super) id: Arc<str>,
    pub(super) effect: Effect,
    pub(super) head: Head,
    /// As it was written. It is prepared when it is asked for first.
    pub(super) text: Box<str>,
    pub(super) reads: Reads,
}

/// What a head says, as keys of the index.
///
/// INVARIANT: a request that satisfies the head is found by the key. The reverse need not hold: the
/// evaluation looks at the head again.
#[derive(Debug)]
pub(super) struct Head {
    /// See [`principal_key`].
    pub(super) principal: Box<str>,
    /// Of whom that is a key.
    pub(super) whom: Whom,
    /// `None` for any.
    pub(super) actions: Option<Vec<Action>>,
    pub(super) resource: ResourceKey,
}

/// Which callers have a key of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// All.
    Anybody,
    /// All of a type, of which a caller has one.
    Every(CallerType),
    /// The one caller of this type and a name.
    One(CallerType),
    /// Those with a policy of a name; a caller may have many.
    Role,
    /// Those in a group; a caller may be in many.
    Group,
    /// None.
    Nobody,
}

/// What a caller can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallerType {
    User,
    Service,
    Token,
}

impl CallerType {
    fn named(types: &Types, name: &EntityTypeName) -> Option<Self> {
        let all = [
            (&types.user, Self::User),
            (&types.service, Self::Service),
            (&types.token, Self::Token),
        ];
        let found = all.into_iter().find(|(own, _)| *own == name);
        found.map(|(_, kind)| kind)
    }
}

/// Which resources a head means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ResourceKey {
    /// Any.
    Anywhere,
    /// The one of this id.
    Exactly(Box<str>),
    /// The one of this id and what is below.
    Within(Box<str>),
    /// None that there is.
    Nothing,
}

/// The key of every principal.
pub(super) const ANYBODY: &str = "";

/// The key of the principals that are this entity, or in it.
pub(super) fn principal_key(entity: &EntityUid) -> Box<str> {
    entity.to_string().into()
}

/// The key of the principals of a type.
pub(super) fn type_key(kind: &EntityTypeName) -> Box<str> {
    format!("is {kind}").into()
}

impl Statement {
    pub(super) fn new(policy: &Policy) -> Result<Self, CedarProblem> {
        let vocabulary = Vocabulary::get()?;
        let text = policy.to_cedar().unwrap_or_default();
        let id: &str = policy.id().as_ref();
        Ok(Self {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            id: id.into(),
            effect: policy.effect(),
            head: Head::of(policy, vocabulary),
            reads: Reads::of(policy, &text),
            text: text.into(),
        })
    }
}

impl Head {
    /// Whether there can be a request that satisfies it.
    pub(super) fn can_match(&self) -> bool {
        let no_action = self.actions.as_ref().is_some_and(Vec::is_empty);
        !no_action && self.resource != ResourceKey::Nothing
    }

    /// The length of the name of which it means everything below.
    pub(super) fn within_bytes(&self) -> Option<usize> {
        match &self.resource {
            ResourceKey::Within(id) => Some(id.len()),
            _ => None,
        }
    }

    fn of(policy: &Policy, vocabulary: &Vocabulary) -> Self {
        let (principal, whom) = principal(&policy.principal_constraint(), &vocabulary.types);
        Self {
            principal,
            whom,
            actions: match policy.action_constraint() {
                ActionConstraint::Any => None,
                ActionConstraint::Eq(action) => Some(means(vocabulary, &[action])),
                ActionConstraint::In(actions) => Some(means(vocabulary, &actions)),
            },
            resource: match policy.resource_constraint() {
                ResourceConstraint::Any | ResourceConstraint::Is(_) => ResourceKey::Anywhere,
                ResourceConstraint::Eq(entity) => {
                    secret(vocabulary, &entity).map_or(ResourceKey::Nothing, ResourceKey::Exactly)
                }
                ResourceConstraint::In(entity) | ResourceConstraint::IsIn(_, entity) => {
                    secret(vocabulary, &entity).map_or(ResourceKey::Nothing, ResourceKey::Within)
                }
            },
        }
    }
}

/// The key of a head's principal, and of whom it is one.
fn principal(constraint: &PrincipalConstraint, types: &Types) -> (Box<str>, Whom) {
    let of_type = |name, whom: fn(CallerType) -> Whom| {
        CallerType::named(types, name).map_or(Whom::Nobody, whom)
    };
    match constraint {
        PrincipalConstraint::Any => (ANYBODY.into(), Whom::Anybody),
        PrincipalConstraint::Is(name) => (type_key(name), of_type(name, Whom::Every)),
        PrincipalConstraint::Eq(entity)
        | PrincipalConstraint::In(entity)
        | PrincipalConstraint::IsIn(_, entity) => {
            let whom = match entity.type_name() {
                name if *name == types.role => Whom::Role,
                name if *name == types.group => Whom::Group,
                name => of_type(name, Whom::One),
            };
            (principal_key(entity), whom)
        }
    }
}

/// The actions that these and these groups stand for, each once.
fn means(vocabulary: &Vocabulary, named: &[EntityUid]) -> Vec<Action> {
    let members = named.iter().flat_map(|uid| vocabulary.members(uid));
    let mut actions: Vec<Action> = members.copied().collect();
    actions.sort_unstable();
    actions.dedup();
    actions
}

/// The id of a secret; nothing else is a resource, or above one.
fn secret(vocabulary: &Vocabulary, entity: &EntityUid) -> Option<Box<str>> {
    let is_one = *entity.type_name() == vocabulary.types.secret;
    is_one.then(|| entity.id().unescaped().into())
}
