//! [`Heads`]: which statements can match, at the cost of the path's length and the caller's policies.
//!
//! By principal first: a caller looks up itself, its type, its groups, its policies, and everybody.
//! Then by resource: everything, the id, and each prefix of it. Then by action.

use super::Action;
use super::ask::{Ask, with_prefixes};
use super::statement::{Head, ResourceKey, Statement};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// Statements of one effect, by their heads.
#[derive(Debug, Default)]
pub(super) struct Heads {
    by_principal: HashMap<Box<str>, ByResource>,
    len: usize,
}

#[derive(Debug, Default)]
struct ByResource {
    anywhere: ByAction,
    exactly: HashMap<Box<str>, ByAction>,
    within: HashMap<Box<str>, ByAction>,
    /// How many names of `within` have so many bytes: no other prefix of a resource is looked up.
    lengths: HashMap<usize, usize>,
    /// How many statements name each id.
    named: BTreeMap<Box<str>, usize>,
}

/// By action; `None` is any.
#[derive(Debug, Default)]
struct ByAction(HashMap<Option<Action>, Vec<Arc<Statement>>>);

impl Heads {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn insert(&mut self, statement: &Arc<Statement>) {
        let head = &statement.head;
        if !head.can_match() {
            return;
        }
        let found = self.by_principal.entry(head.principal.clone()).or_default();
        let Some(place) = found.place_made(&head.resource) else {
            return;
        };
        place.insert(statement);
        if let ResourceKey::Exactly(id) | ResourceKey::Within(id) = &head.resource {
            *found.named.entry(id.clone()).or_default() += 1;
        }
        self.len += 1;
    }

    pub(super) fn remove(&mut self, statement: &Statement) {
        let head = &statement.head;
        let Some(found) = self.by_principal.get_mut(&head.principal) else {
            return;
        };
        if found.remove(statement) {
            self.len = self.len.saturating_sub(1);
        }
        if found.is_empty() {
            self.by_principal.remove(&head.principal);
        }
    }

    /// Adds the statements whose head can match.
    pub(super) fn candidates(&self, ask: &Ask<'_>, into: &mut Vec<Arc<Statement>>) {
        if self.is_empty() {
            return;
        }
        let id = ask.resource.id.as_str();
        for key in ask.caller.keys() {
            let Some(found) = self.by_principal.get(key) else {
                continue;
            };
            found.anywhere.of(ask.action, into);
            if found.named.is_empty() {
                continue;
            }
            if let Some(place) = found.exactly.get(id) {
                place.of(ask.action, into);
            }
            for place in found.above(id) {
                place.of(ask.action, into);
            }
        }
    }

    /// Whether a head can match some request for this resource or for one below it.
    pub(super) fn any_below(&self, keys: impl Iterator<Item = impl AsRef<str>>, id: &str) -> bool {
        let mut found = keys.filter_map(|key| self.by_principal.get(key.as_ref()));
        found.any(|found| found.any_below(id))
    }
}

impl ByResource {
    /// Where statements of this resource stand, made if it is not there.
    fn place_made(&mut self, key: &ResourceKey) -> Option<&mut ByAction> {
        match key {
            ResourceKey::Anywhere => Some(&mut self.anywhere),
            ResourceKey::Exactly(id) => Some(self.exactly.entry(id.clone()).or_default()),
            ResourceKey::Within(id) => Some(match self.within.entry(id.clone()) {
                Entry::Occupied(place) => place.into_mut(),
                Entry::Vacant(place) => {
                    *self.lengths.entry(id.len()).or_default() += 1;
                    place.insert(ByAction::default())
                }
            }),
            ResourceKey::Nothing => None,
        }
    }

    fn remove(&mut self, statement: &Statement) -> bool {
        let (places, id) = match &statement.head.resource {
            ResourceKey::Anywhere => return self.anywhere.remove(statement),
            ResourceKey::Nothing => return false,
            ResourceKey::Exactly(id) => (&mut self.exactly, id),
            ResourceKey::Within(id) => (&mut self.within, id),
        };
        let Some(place) = places.get_mut(id) else {
            return false;
        };
        let removed = place.remove(statement);
        if place.0.is_empty() {
            places.remove(id);
            if matches!(statement.head.resource, ResourceKey::Within(_))
                && let Some(names) = self.lengths.get_mut(&id.len())
            {
                *names -= 1;
                if *names == 0 {
                    self.lengths.remove(&id.len());
                }
            }
        }
        if removed && let Some(count) = self.named.get_mut(id) {
            *count -= 1;
            if *count == 0 {
                self.named.remove(id);
            }
        }
        removed
    }

    fn is_empty(&self) -> bool {
        self.anywhere.0.is_empty() && self.named.is_empty()
    }

    /// What is said of a resource by the names that it is below, and by its own.
    fn above(&self, id: &str) -> impl Iterator<Item = &ByAction> {
        let prefixes = with_prefixes(id).filter(|above| self.lengths.contains_key(&above.len()));
        prefixes.filter_map(|above| self.within.get(above))
    }

    fn any_below(&self, id: &str) -> bool {
        let from = (Bound::Included(id), Bound::Unbounded);
        let below = |name: &str| match name.strip_prefix(id) {
            Some(rest) => id.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        };
        // What follows the id directly may go on in a segment of its own: `a-b` stands before `a/b`.
        let slash = format!("{id}/");
        let from_slash = (Bound::Included(slash.as_str()), Bound::Unbounded);
        let first = |bounds: (Bound<&str>, Bound<&str>)| {
            let mut names = self.named.range::<str, _>(bounds);
            names.next().is_some_and(|(name, _)| below(name))
        };
        !self.anywhere.0.is_empty()
            || self.above(id).next().is_some()
            || first(from)
            || first(from_slash)
    }
}

impl ByAction {
    fn insert(&mut self, statement: &Arc<Statement>) {
        for key in keys(&statement.head) {
            self.0.entry(key).or_default().push(Arc::clone(statement));
        }
    }

    fn remove(&mut self, statement: &Statement) -> bool {
        let mut removed = false;
        for key in keys(&statement.head) {
            let Some(place) = self.0.get_mut(&key) else {
                continue;
            };
            let before = place.len();
            place.retain(|other| other.serial != statement.serial);
            removed |= place.len() < before;
            if place.is_empty() {
                self.0.remove(&key);
            }
        }
        removed
    }

    fn of(&self, action: Action, into: &mut Vec<Arc<Statement>>) {
        for key in [Some(action), None] {
            into.extend(self.0.get(&key).into_iter().flatten().cloned());
        }
    }
}

/// The actions of a head; `None` is any.
pub(super) fn keys(head: &Head) -> Vec<Option<Action>> {
    match &head.actions {
        None => vec![None],
        Some(actions) => actions.iter().copied().map(Some).collect(),
    }
}
