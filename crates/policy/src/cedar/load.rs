//! How many statements a request could meet, as far as their heads tell.
//!
//! A request meets what stands under the keys of its caller: everybody, the caller's type, the caller
//! itself, its roles and its groups (see [`Whom`]), at the resource and at what is above it. Nothing is
//! known here of the callers that there are, so the heaviest that there could be counts: of one type and
//! one name, with the [`ROLES_MAX`] roles and groups that have the most statements. No request meets more
//! than is found, action by action.
//!
//! Resources are sorted once, so that what is below another follows it; from there on they are numbers.
//! The cost is that of the sort: a logarithm above the length of all names.

use super::heads;
use super::statement::{CallerType, ResourceKey, Statement, Whom};
use super::{Action, EVALUATED_MAX, ROLES_MAX, STATEMENTS_ALIKE_MAX};
use cedar_policy::Effect;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Since when a statement is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// Before the change, and behind it.
    Always,
    /// Only before the change.
    Before,
    /// Only behind the change.
    After,
}

/// All statements, by the resources that their heads name.
#[derive(Debug)]
pub(super) struct Loads<'s> {
    /// Each behind those that it is below. The first is that of every resource.
    places: Vec<Place<'s>>,
    /// Whose the keys are, by their numbers.
    keys: Vec<Whom>,
}

/// What stands at a resource.
#[derive(Debug, Default)]
struct Place<'s> {
    id: &'s str,
    /// The nearest place that this one is below.
    above: usize,
    within: Vec<Stand<'s>>,
    exactly: Vec<Stand<'s>>,
}

/// A statement at its place.
#[derive(Debug, Clone, Copy)]
struct Stand<'s> {
    /// Number of the principal's key.
    key: usize,
    statement: &'s Statement,
    since: Since,
}

impl Stand<'_> {
    fn is_of(&self, action: Action, without: Since) -> bool {
        let actions = self.statement.head.actions.as_ref();
        self.since != without && actions.is_none_or(|actions| actions.contains(&action))
    }
}

impl<'s> Loads<'s> {
    pub(super) fn new(statements: impl Iterator<Item = (&'s Statement, Since)>) -> Self {
        let mut keys = Keys::default();
        let (mut anywhere, mut named) = (Vec::new(), Vec::new());
        for (statement, since) in statements {
            let head = &statement.head;
            if !head.can_match() || head.whom == Whom::Nobody {
                continue;
            }
            let key = keys.number(&head.principal, head.whom);
            let stand = Stand {
                key,
                statement,
                since,
            };
            match &head.resource {
                ResourceKey::Anywhere => anywhere.push(stand),
                ResourceKey::Exactly(id) => named.push((&**id, true, stand)),
                ResourceKey::Within(id) => named.push((&**id, false, stand)),
                ResourceKey::Nothing => {}
            }
        }
        let mut loads = Self {
            places: vec![Place {
                within: anywhere,
                ..Place::default()
            }],
            keys: keys.whom,
        };
        named.sort_by(|(one, ..), (other, ..)| above_first(one, other));
        let mut open = vec![0];
        for (id, exactly, stand) in named {
            loads.add((id, exactly), stand, &mut open);
        }
        loads
    }

    /// Puts what comes next in the order of places; `open` are those that the last is below, and itself.
    fn add(&mut self, (id, exactly): (&'s str, bool), stand: Stand<'s>, open: &mut Vec<usize>) {
        let known = |at: &usize| *at != 0 && self.places.get(*at).is_some_and(|one| one.id == id);
        if !open.last().is_some_and(known) {
            // The first is never closed.
            while open.len() > 1 {
                let last = open.last().and_then(|at| self.places.get(*at));
                if last.is_some_and(|last| is_below(id, last.id)) {
                    break;
                }
                open.pop();
            }
            let above = open.last().copied().unwrap_or_default();
            open.push(self.places.len());
            self.places.push(Place {
                id,
                above,
                ..Place::default()
            });
        }
        if let Some(place) = self.places.last_mut() {
            match exactly {
                true => place.exactly.push(stand),
                false => place.within.push(stand),
            }
        }
    }

    /// The id of a new statement of which, with those that were there, there would be too many alike.
    pub(super) fn too_many_alike(&self) -> Option<&'s str> {
        let places = self.places.iter();
        let groups = places.flat_map(|place| [&place.within, &place.exactly]);
        let mut with_new =
            groups.filter(|stands| stands.iter().any(|one| one.since == Since::After));
        with_new.find_map(|stands| too_many_in(stands))
    }

    /// How many statements a request could meet behind the change, where that is more than is evaluated
    /// and more than before.
    pub(super) fn worsened(&self) -> Option<usize> {
        let all = self.actions().into_iter().filter_map(|action| {
            let after = self.met(action, Since::Before);
            after.iter().find(|met| **met > EVALUATED_MAX)?;
            let before = self.met(action, Since::After);
            let both = after.into_iter().zip(before);
            let worse = both.filter(|(after, before)| *after > EVALUATED_MAX && after > before);
            worse.map(|(after, _)| after).max()
        });
        all.max()
    }

    /// The most statements that a request could meet behind the change.
    pub(super) fn heaviest(&self) -> usize {
        let actions = self.actions().into_iter();
        let all = actions.flat_map(|action| self.met(action, Since::Before));
        all.max().unwrap_or_default()
    }

    /// The actions that heads name, and one of the others, which are all met alike.
    fn actions(&self) -> BTreeSet<Action> {
        let places = self.places.iter();
        let stands = places.flat_map(|place| place.within.iter().chain(&place.exactly));
        let named = stands.filter_map(|stand| stand.statement.head.actions.as_ref());
        let mut actions: BTreeSet<Action> = named.flatten().copied().collect();
        let other = Action::all().find(|action| !actions.contains(action));
        actions.extend(other);
        actions
    }

    /// How many statements a request with this action could meet, those of one time left out: of each
    /// place in turn what is below it, and itself.
    fn met(&self, action: Action, without: Since) -> Vec<usize> {
        let mut tally = Tally::new(&self.keys);
        let mut met = Vec::with_capacity(2 * self.places.len());
        let mut open: Vec<(usize, &Place<'_>)> = Vec::new();
        for (at, place) in self.places.iter().enumerate() {
            while let Some((last, gone)) = open.pop() {
                if at != 0 && last == place.above {
                    open.push((last, gone));
                    break;
                }
                tally.count(&gone.within, (action, without), -1);
            }
            tally.count(&place.within, (action, without), 1);
            open.push((at, place));
            met.push(tally.heaviest());
            tally.count(&place.exactly, (action, without), 1);
            met.push(tally.heaviest());
            tally.count(&place.exactly, (action, without), -1);
        }
        met
    }
}

/// Those that are evaluated together: of one key, one effect, and one action or any.
#[derive(PartialEq, Eq, Hash)]
struct Alike {
    key: usize,
    forbids: bool,
    action: Option<Action>,
}

/// The id of a new one of which there are too many at one place.
fn too_many_in<'s>(stands: &[Stand<'s>]) -> Option<&'s str> {
    let mut alike: HashMap<Alike, (usize, Option<&'s str>)> = HashMap::new();
    for stand in stands.iter().filter(|one| one.since != Since::Before) {
        let statement = stand.statement;
        for action in heads::keys(&statement.head) {
            let place = Alike {
                key: stand.key,
                forbids: statement.effect == Effect::Forbid,
                action,
            };
            let (count, new) = alike.entry(place).or_default();
            *count += 1;
            if stand.since == Since::After {
                new.get_or_insert(&*statement.id);
            }
        }
    }
    let too_many = alike
        .into_values()
        .filter(|(count, _)| *count > STATEMENTS_ALIKE_MAX);
    too_many.filter_map(|(_, new)| new).min()
}

/// Numbers for the keys of principals.
#[derive(Default)]
struct Keys<'s> {
    numbers: HashMap<&'s str, usize>,
    whom: Vec<Whom>,
}

impl<'s> Keys<'s> {
    fn number(&mut self, principal: &'s str, whom: Whom) -> usize {
        let next = self.whom.len();
        let number = *self.numbers.entry(principal).or_insert(next);
        if number == next {
            self.whom.push(whom);
        }
        number
    }
}

/// What a request meets at the place that was reached.
struct Tally<'k> {
    keys: &'k [Whom],
    /// The statements of each key.
    of_key: Vec<usize>,
    anybody: usize,
    types: Types,
    roles: Ranked,
    groups: Ranked,
}

/// What callers meet by their type and name.
#[derive(Default)]
struct Types {
    user: OfType,
    service: OfType,
    token: OfType,
}

#[derive(Default)]
struct OfType {
    every: usize,
    one: Ranked,
}

impl Types {
    fn of(&mut self, kind: CallerType) -> &mut OfType {
        match kind {
            CallerType::User => &mut self.user,
            CallerType::Service => &mut self.service,
            CallerType::Token => &mut self.token,
        }
    }

    fn heaviest(&self) -> usize {
        let types = [&self.user, &self.service, &self.token].into_iter();
        let own = types.map(|own| own.every + own.one.heaviest(1));
        own.max().unwrap_or_default()
    }
}

impl<'k> Tally<'k> {
    fn new(keys: &'k [Whom]) -> Self {
        Self {
            keys,
            of_key: vec![0; keys.len()],
            anybody: 0,
            types: Types::default(),
            roles: Ranked::default(),
            groups: Ranked::default(),
        }
    }

    fn count(&mut self, stands: &[Stand<'_>], (action, without): (Action, Since), step: isize) {
        for stand in stands.iter().filter(|one| one.is_of(action, without)) {
            self.step(stand.key, step);
        }
    }

    fn step(&mut self, key: usize, step: isize) {
        let (Some(whom), Some(own)) = (self.keys.get(key), self.of_key.get_mut(key)) else {
            return;
        };
        let before = *own;
        let now = before.saturating_add_signed(step);
        *own = now;
        match whom {
            Whom::Anybody => self.anybody = now,
            Whom::Every(kind) => self.types.of(*kind).every = now,
            Whom::One(kind) => self.types.of(*kind).one.change(before, now),
            Whom::Role => self.roles.change(before, now),
            Whom::Group => self.groups.change(before, now),
            Whom::Nobody => {}
        }
    }

    /// The most that one caller meets.
    fn heaviest(&self) -> usize {
        let many = self.roles.heaviest(ROLES_MAX) + self.groups.heaviest(ROLES_MAX);
        self.anybody + self.types.heaviest() + many
    }
}

/// How many keys have how many statements.
#[derive(Debug, Default)]
struct Ranked(BTreeMap<usize, usize>);

impl Ranked {
    /// The statements of a key were so many, and are so many now.
    fn change(&mut self, before: usize, now: usize) {
        if let Some(keys) = self.0.get_mut(&before) {
            *keys -= 1;
            if *keys == 0 {
                self.0.remove(&before);
            }
        }
        if now > 0 {
            *self.0.entry(now).or_default() += 1;
        }
    }

    /// The statements of the keys that have the most, of so many keys.
    fn heaviest(&self, keys: usize) -> usize {
        let (mut left, mut sum) = (keys, 0);
        for (statements, keys) in self.0.iter().rev() {
            let counted = left.min(*keys);
            sum += statements * counted;
            left -= counted;
            if left == 0 {
                break;
            }
        }
        sum
    }
}

/// The order in which what is below an id follows it at once: a slash comes before all else.
fn above_first(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let alike = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    work::done(alike);
    let rank = |byte: Option<&u8>| byte.map(|byte| (*byte != b'/', *byte));
    rank(one.get(alike)).cmp(&rank(other.get(alike)))
}

/// Whether an id is below another.
fn is_below(id: &str, above: &str) -> bool {
    work::done(above.len().min(id.len()));
    id.strip_prefix(above)
        .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(not(test))]
mod work {
    pub(super) const fn done(_: usize) {}
}

/// Counts the bytes of names that are looked at.
#[cfg(test)]
pub(super) mod work {
    use std::cell::{Cell, RefCell};

    type Watcher = Box<dyn Fn()>;

    thread_local! {
        static DONE: Cell<usize> = const { Cell::new(0) };
        static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
    }

    pub(super) fn done(bytes: usize) {
        DONE.set(DONE.get() + bytes + 1);
        WATCHER.with_borrow(|watcher| watcher.iter().for_each(|watch| watch()));
    }

    pub(super) fn taken() -> usize {
        DONE.take()
    }

    /// Calls this whenever names are looked at by this thread.
    pub(in crate::cedar) fn watch(watch: impl Fn() + 'static) {
        WATCHER.set(Some(Box::new(watch)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::reads::Reads;
    use super::super::statement::Head;
    use super::*;

    fn statement(serial: usize, resource: ResourceKey) -> Statement {
        Statement {
            serial: serial as u64,
            id: serial.to_string().into(),
            effect: Effect::Permit,
            head: Head {
                principal: format!("Role::\"r{}\"", serial % 7).into(),
                whom: Whom::Role,
                actions: None,
                resource,
            },
            text: "".into(),
            reads: Reads::default(),
        }
    }

    #[test]
    fn the_work_grows_with_the_length_of_the_names_and_not_with_its_square() {
        let above = "a/".repeat(2_000);
        let (names, each) = (3_000, above.len());
        let statements: Vec<Statement> = (0..names)
            .map(|n| match n % 3 {
                0 => statement(n, ResourceKey::Exactly(format!("{above}{n}").into())),
                1 => statement(n, ResourceKey::Within(format!("{above}{n}/b").into())),
                // Of all lengths, each above the next.
                _ => {
                    let length = 2 * (n % 2_000) + 1;
                    statement(n, ResourceKey::Within(above[..length].into()))
                }
            })
            .collect();
        work::taken();
        let all = statements.iter().map(|one| (one, Since::Always));
        let loads = Loads::new(all);
        let met = loads.heaviest();
        assert!(met >= 1_000, "{met}");
        let work = work::taken();
        // A sort looks at each name as often as there are bits in the number of names.
        let most = names * each * (names.ilog2() as usize + 3);
        assert!(work < most, "{work} of {most}");
        // Each prefix of each name would be so much.
        let squared = names * each * each / 4;
        assert!(most * 50 < squared);
    }

    #[test]
    fn what_is_below_follows_at_once() {
        let mut ids = ["a-b", "a/b", "a", "", "a/b/c", "/x", "a/b-c", "a/", "ab"];
        ids.sort_by(|one, other| above_first(one, other));
        assert_eq!(
            ids,
            ["", "/x", "a", "a/", "a/b", "a/b/c", "a/b-c", "a-b", "ab"]
        );
        for (id, above, expected) in [
            ("a/b", "a", true),
            ("a", "a", false),
            ("ab", "a", false),
            ("/x", "", true),
            ("x", "", false),
            ("a/", "a", true),
        ] {
            assert_eq!(is_below(id, above), expected, "{id} {above}");
        }
    }
}
