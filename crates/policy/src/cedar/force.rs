//! [`Cedar`]: the documents in force, and the decision.

use super::ask::Asked;
use super::contexts::Contexts;
use super::heads::{HeadPlace, Heads};
use super::load;
use super::prepared::Prepared;
use super::statement::Statement;
use super::{
    Ask, Caller, CedarProblem, Document, EVALUATED_MAX, STATEMENTS_ALIKE_MAX, TOTAL_TEXT_BYTES_MAX,
};
use cedar_policy::{Authorizer, Effect};
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The documents in force.
#[derive(Debug, Default)]
pub struct Cedar {
    /// Whether there is anything at all; all that a request costs where there is not.
    any: AtomicBool,
    documents: RwLock<Documents>,
    prepared: Prepared,
    contexts: Contexts,
}

#[derive(Debug, Default)]
struct Documents {
    by_name: HashMap<Arc<str>, Document>,
    text_bytes: usize,
    /// Documents that were stored and cannot be read, and why.
    unreadable: BTreeMap<String, String>,
    forbids: Heads,
    permits: Heads,
    /// The document of each id.
    ids: HashMap<Arc<str>, Arc<str>>,
}

/// What is to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Whether something forbids; the rest permits already.
    Forbids,
    /// Whether something forbids, else whether something permits.
    Both,
}

/// What the documents say of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Silent,
    /// The statement of this id permits it, and none forbids it.
    Permitted(Arc<str>),
    /// The statement of this id forbids it.
    Forbidden(Arc<str>),
}

/// Why nothing can be decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// A document in force cannot be read, before it is written anew or deleted.
    #[error(
        "the stored Cedar policy `{name}` cannot be read: {reason}; write it anew, or delete it"
    )]
    Unreadable {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// There is more to evaluate than one request may cost.
    #[error(
        "{statements} Cedar statements would have to be evaluated, and {EVALUATED_MAX} is the most: name \
         principals, actions and resources in their heads"
    )]
    TooMany {
        /// How many.
        statements: usize,
    },
}

impl Cedar {
    /// Whether there is nothing in force.
    pub fn is_empty(&self) -> bool {
        // Whoever may rely on a change has been told of it through a lock, so no order is needed here.
        !self.any.load(Ordering::Relaxed)
    }

    /// Puts a document in force, in the place of one of its name.
    pub fn put(&self, document: Document) {
        let mut documents = self.documents.write();
        documents.remove(&document.name);
        documents.insert(document);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Notes that a document is in force that cannot be read.
    pub fn put_unreadable(&self, name: &str, reason: String) {
        let mut documents = self.documents.write();
        documents.remove(name);
        documents.unreadable.insert(name.to_owned(), reason);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Takes a document out of force.
    pub fn remove(&self, name: &str) {
        let mut documents = self.documents.write();
        documents.remove(name);
        let any = !documents.by_name.is_empty() || !documents.unreadable.is_empty();
        self.any.store(any, Ordering::Relaxed);
    }

    /// Takes out of force what is not among these names.
    pub fn retain(&self, names: &[String]) {
        let gone: Vec<String> = {
            let documents = self.documents.read();
            let known = documents.by_name.keys().map(|name| (**name).to_owned());
            let known = known.chain(documents.unreadable.keys().cloned());
            known.filter(|name| !names.contains(name)).collect()
        };
        gone.iter().for_each(|name| self.remove(name));
    }

    /// Whether a document can come in force beside the others.
    ///
    /// **Errors**: [`CedarProblem::TotalTooLong`], [`CedarProblem::TakenId`],
    /// [`CedarProblem::TooManyAlike`], [`CedarProblem::TooManyTogether`].
    pub fn check(&self, document: &Document) -> Result<(), CedarProblem> {
        let documents = self.documents.read();
        let old = documents.by_name.get(&document.name);
        let others = documents.text_bytes - old.map_or(0, |old| old.text_bytes);
        if others + document.text_bytes > TOTAL_TEXT_BYTES_MAX {
            return Err(CedarProblem::TotalTooLong);
        }
        for statement in &document.statements {
            let owner = documents.ids.get(&statement.id);
            if let Some(owner) = owner.filter(|owner| **owner != document.name) {
                return Err(CedarProblem::TakenId {
                    id: statement.id.to_string(),
                    document: owner.to_string(),
                });
            }
        }
        documents.check_alike(document)?;
        documents.check_together(document)
    }

    /// How many statements one request could meet, where that is more than is evaluated: it is then
    /// refused. Who has many roles may meet more.
    pub fn overload(&self) -> Option<usize> {
        let statements = self.documents.read().heaviest(None);
        (statements > EVALUATED_MAX).then_some(statements)
    }

    /// What the documents say of a request.
    ///
    /// **Errors**: [`Undecided`].
    pub fn decide(&self, ask: &Ask<'_>, wanted: Wanted) -> Result<Verdict, Undecided> {
        if self.is_empty() {
            return Ok(Verdict::Silent);
        }
        let (mut forbids, mut permits) = (Vec::new(), Vec::new());
        {
            let documents = self.documents.read();
            documents.check_readable()?;
            documents.forbids.candidates(ask, &mut forbids);
            if wanted == Wanted::Both {
                documents.permits.candidates(ask, &mut permits);
            }
        }
        if forbids.is_empty() && permits.is_empty() {
            return Ok(Verdict::Silent);
        }
        let statements = forbids.len() + permits.len();
        if statements > EVALUATED_MAX {
            return Err(Undecided::TooMany { statements });
        }
        let all = forbids.iter().chain(&permits).map(|statement| &**statement);
        let asked = ask.asked(all, &self.contexts);
        Ok(self.combined(asked.as_ref(), forbids, permits))
    }

    /// Whether some request for this resource, or for one below it, may be permitted.
    ///
    /// Never says no where one would be; may say yes where a condition or a `forbid` says no.
    pub fn may_permit_below(&self, caller: &Caller, id: &str) -> bool {
        let id = id.strip_suffix('/').unwrap_or(id);
        !self.is_empty() && self.documents.read().permits.any_below(caller.keys(), id)
    }

    /// Any `forbid` that is satisfied or errs forbids, else any `permit` that is satisfied permits.
    fn combined(
        &self,
        asked: Option<&Asked>,
        mut forbids: Vec<Arc<Statement>>,
        mut permits: Vec<Arc<Statement>>,
    ) -> Verdict {
        // So that of several the same one decides each time.
        forbids.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        permits.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        let is = |wanted: fn(Outcome) -> bool| {
            move |statement: &&Arc<Statement>| wanted(self.outcome(asked, statement))
        };
        let forbids = forbids
            .iter()
            .find(is(|outcome| outcome != Outcome::Unsatisfied));
        if let Some(statement) = forbids {
            return Verdict::Forbidden(Arc::clone(&statement.id));
        }
        let permits = permits
            .iter()
            .find(is(|outcome| outcome == Outcome::Satisfied));
        match permits {
            Some(statement) => Verdict::Permitted(Arc::clone(&statement.id)),
            None => Verdict::Silent,
        }
    }

    fn outcome(&self, asked: Option<&Asked>, statement: &Statement) -> Outcome {
        let Some(asked) = asked else {
            return Outcome::Erred;
        };
        if statement.reads.tags && asked.without_parameters {
            return Outcome::Erred;
        }
        let Some(set) = self.prepared.get(statement) else {
            return Outcome::Erred;
        };
        let answer = Authorizer::new().is_authorized(&asked.request, &set, &asked.entities);
        let diagnostics = answer.diagnostics();
        if diagnostics.errors().next().is_some() {
            Outcome::Erred
        } else if diagnostics.reason().next().is_some() {
            Outcome::Satisfied
        } else {
            Outcome::Unsatisfied
        }
    }
}

/// What came of the evaluation of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Satisfied,
    Unsatisfied,
    Erred,
}

impl Documents {
    fn insert(&mut self, document: Document) {
        for statement in &document.statements {
            self.heads(statement.effect).insert(statement);
            let owner = Arc::clone(&document.name);
            self.ids.insert(Arc::clone(&statement.id), owner);
        }
        self.text_bytes += document.text_bytes;
        self.by_name.insert(Arc::clone(&document.name), document);
    }

    fn remove(&mut self, name: &str) {
        self.unreadable.remove(name);
        let Some(document) = self.by_name.remove(name) else {
            return;
        };
        self.text_bytes -= document.text_bytes;
        for statement in &document.statements {
            self.heads(statement.effect).remove(statement);
            let owner = self.ids.get(&statement.id);
            if owner.is_some_and(|owner| *owner == document.name) {
                self.ids.remove(&statement.id);
            }
        }
    }

    /// Whether there would be too many statements at one place with those of this document.
    fn check_alike(&self, document: &Document) -> Result<(), CedarProblem> {
        let old = self.by_name.get(&document.name);
        let old = old.into_iter().flat_map(|old| &old.statements);
        let gone: HashSet<u64> = old.map(|statement| statement.serial).collect();
        let mut added: HashMap<_, (usize, &Statement)> = HashMap::new();
        for statement in &document.statements {
            let forbids = statement.effect == Effect::Forbid;
            for place in HeadPlace::all(&statement.head) {
                added.entry((forbids, place)).or_insert((0, statement)).0 += 1;
            }
        }
        for ((forbids, place), (count, statement)) in added {
            let heads = if forbids {
                &self.forbids
            } else {
                &self.permits
            };
            if heads.standing_at(&place, &gone) + count > STATEMENTS_ALIKE_MAX {
                let id = statement.id.to_string();
                return Err(CedarProblem::TooManyAlike { id });
            }
        }
        Ok(())
    }

    /// Whether one request could meet too many statements with this document. One that leaves it at what
    /// it is, or less, may come: that is how it is mended.
    fn check_together(&self, document: &Document) -> Result<(), CedarProblem> {
        let statements = self.heaviest(Some(document));
        if statements > EVALUATED_MAX && statements > self.heaviest(None) {
            return Err(CedarProblem::TooManyTogether { statements });
        }
        Ok(())
    }

    /// The most statements that a request could meet, with a document in the place of one of its name.
    fn heaviest(&self, new: Option<&Document>) -> usize {
        let replaced = new.map(|new| &new.name);
        let kept = self.by_name.values();
        let kept = kept.filter(|document| Some(&document.name) != replaced);
        let all = kept.chain(new).flat_map(|document| &document.statements);
        load::heaviest(all.map(|statement| &statement.head))
    }

    fn heads(&mut self, effect: Effect) -> &mut Heads {
        match effect {
            Effect::Forbid => &mut self.forbids,
            Effect::Permit => &mut self.permits,
        }
    }

    fn check_readable(&self) -> Result<(), Undecided> {
        match self.unreadable.first_key_value() {
            None => Ok(()),
            Some((name, reason)) => Err(Undecided::Unreadable {
                name: name.clone(),
                reason: reason.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Circumstances, PREPARED_MAX, Resource};
    use super::*;
    use secretum_crypto::Timestamp;
    use std::time::Duration;

    fn document(name: &str, text: &str) -> Document {
        Document::read(name, text).unwrap()
    }

    fn decide(cedar: &Cedar, role: &str, path: &str) -> Result<Verdict, Undecided> {
        let caller = Caller::new(None, "accessor", &[role.to_owned()], &[]).unwrap();
        let ask = Ask {
            caller: &caller,
            action: Action::named("read").unwrap(),
            resource: &Resource::new("secret/", path, path, "kv"),
            around: Circumstances {
                ttl: Duration::from_secs(60),
                time: Timestamp::from_unix_seconds(1_800_000_000),
                ip: None,
                mfa: false,
                wrap_ttl: Duration::ZERO,
                parameters: None,
            },
        };
        cedar.decide(&ask, Wanted::Both)
    }

    #[test]
    fn a_document_takes_the_place_of_one_of_its_name_and_leaves_nothing_behind() {
        let cedar = Cedar::default();
        assert!(cedar.is_empty());
        let text = |role: &str| {
            format!(
                "permit (principal in Role::\"{role}\", action in [Action::\"view\", Action::\"use\"],
                         resource in Secret::\"secret/a\");
                 forbid (principal is Token, action, resource == Secret::\"secret/a/no\");
                 permit (principal, action == Action::\"fly\", resource);"
            )
        };
        // The last statement can match nothing, and was stored by a version that knew the action.
        let stored = |role| Document::read_stored("d", &text(role)).unwrap();
        cedar.put(stored("one"));
        let permitted = Ok(Verdict::Permitted("d#1".into()));
        assert_eq!(decide(&cedar, "one", "a/b"), permitted);
        assert_eq!(
            decide(&cedar, "one", "a/no"),
            Ok(Verdict::Forbidden("d#2".into()))
        );
        cedar.put(stored("two"));
        assert_eq!(decide(&cedar, "one", "a/b"), Ok(Verdict::Silent));
        assert_eq!(decide(&cedar, "two", "a/b"), permitted);
        cedar.remove("d");
        assert!(cedar.is_empty());
        assert_eq!(decide(&cedar, "two", "a/b"), Ok(Verdict::Silent));
        let left = cedar.documents.read();
        assert!(left.forbids.is_empty() && left.permits.is_empty() && left.ids.is_empty());
        assert_eq!(left.text_bytes, 0);
    }

    #[test]
    fn a_document_that_cannot_be_read_decides_nothing_until_it_is_gone() {
        let cedar = Cedar::default();
        cedar.put(document("good", "permit (principal, action, resource);"));
        cedar.put_unreadable("bad", "no Cedar".to_owned());
        let error = decide(&cedar, "any", "a").unwrap_err();
        assert!(matches!(error, Undecided::Unreadable { name, .. } if name == "bad"));
        cedar.put(document("bad", "permit (principal, action, resource);"));
        assert!(decide(&cedar, "any", "a").is_ok());
        cedar.put_unreadable("bad", "no Cedar".to_owned());
        cedar.retain(&["good".to_owned()]);
        assert!(decide(&cedar, "any", "a").is_ok());
    }

    #[test]
    fn ids_and_bytes_are_shared_by_all_documents() {
        let cedar = Cedar::default();
        let mine = "@id(\"mine\") permit (principal, action, resource);";
        cedar.put(document("one", mine));
        let two = document("two", mine);
        let taken = CedarProblem::TakenId {
            id: "mine".to_owned(),
            document: "one".to_owned(),
        };
        assert_eq!(cedar.check(&two), Err(taken));
        assert_eq!(cedar.check(&document("one", mine)), Ok(()));
        let mut large = document("three", "permit (principal, action, resource);");
        large.text_bytes = TOTAL_TEXT_BYTES_MAX - mine.len();
        assert_eq!(cedar.check(&large), Ok(()));
        large.text_bytes += 1;
        assert_eq!(cedar.check(&large), Err(CedarProblem::TotalTooLong));
    }

    #[test]
    fn what_one_decision_evaluates_has_its_limit() {
        let cedar = Cedar::default();
        let alike =
            |count: usize| "permit (principal, action, resource) when { false };".repeat(count);
        let half = STATEMENTS_ALIKE_MAX / 2;
        cedar.put(document("one", &alike(half)));
        assert_eq!(cedar.check(&document("two", &alike(half))), Ok(()));
        // One that is written anew makes room for itself.
        assert_eq!(cedar.check(&document("one", &alike(2 * half))), Ok(()));
        let refused = cedar.check(&document("two", &alike(half + 1)));
        assert!(matches!(refused, Err(CedarProblem::TooManyAlike { .. })));
        // Those of other heads do not count.
        let other = "permit (principal in Role::\"r\", action, resource) when { false };";
        assert_eq!(
            cedar.check(&document("two", &other.repeat(2 * half))),
            Ok(())
        );
        for at in 1..EVALUATED_MAX / half {
            cedar.put(document(&format!("d{at}"), &alike(half)));
        }
        assert_eq!(decide(&cedar, "any", "a"), Ok(Verdict::Silent));
        cedar.put(document("last", &alike(half)));
        let statements = EVALUATED_MAX + half;
        assert_eq!(
            decide(&cedar, "any", "a"),
            Err(Undecided::TooMany { statements })
        );
    }

    #[test]
    fn what_one_request_could_meet_is_known_when_it_is_written() {
        let cedar = Cedar::default();
        let many = |effect: &str, head: &str| {
            format!("{effect} ({head}) when {{ false }};").repeat(STATEMENTS_ALIKE_MAX)
        };
        let anywhere = "principal, action, resource";
        let within = "principal, action, resource in Secret::\"secret/a\"";
        let reads = "principal, action == Action::\"read\", resource";
        for (name, effect, head) in [
            ("one", "forbid", anywhere),
            ("two", "permit", anywhere),
            ("three", "forbid", within),
            ("four", "permit", reads),
        ] {
            let document = document(name, &many(effect, head));
            assert_eq!(cedar.check(&document), Ok(()), "{name}");
            cedar.put(document);
        }
        let role = |name: &str| format!("principal in Role::\"{name}\", action, resource");
        let fits = document("five", &many("permit", &role("r")));
        assert_eq!(cedar.check(&fits), Ok(()));
        cedar.put(fits);
        assert_eq!(cedar.overload(), None);
        // What only others meet does not count, and what is not below each other neither.
        let beside = "principal, action, resource in Secret::\"secret/b\"";
        for head in [&role("s"), beside] {
            assert_eq!(cedar.check(&document("six", &many("permit", head))), Ok(()));
        }
        let one = |head: &str| document("six", &format!("permit ({head});"));
        let statements = EVALUATED_MAX + 1;
        let exact = "principal, action == Action::\"read\", resource == Secret::\"secret/a/b\"";
        let lists = role("r").replace("action,", "action == Action::\"list\",");
        for head in [&lists, exact] {
            let refused = cedar.check(&one(head));
            assert_eq!(refused, Err(CedarProblem::TooManyTogether { statements }));
        }
        // What was in force already can be made less, and not more.
        cedar.put(one(exact));
        assert_eq!(cedar.overload(), Some(statements));
        assert_eq!(cedar.check(&one(exact)), Ok(()));
        let less = document("two", "permit (principal, action, resource);");
        assert_eq!(cedar.check(&less), Ok(()));
        let more = document("six", &format!("permit ({exact});").repeat(2));
        let statements = EVALUATED_MAX + 2;
        assert_eq!(
            cedar.check(&more),
            Err(CedarProblem::TooManyTogether { statements })
        );
    }

    #[test]
    fn no_more_is_prepared_than_the_bound() {
        let cedar = Cedar::default();
        for at in 0..PREPARED_MAX / 100 + 10 {
            let text: String = (0..100)
                .map(|n| format!("permit (principal in Role::\"{at}-{n}\", action, resource);"))
                .collect();
            cedar.put(Document::read_stored(&format!("d{at}"), &text).unwrap());
            for n in 0..100 {
                let role = format!("{at}-{n}");
                let id = format!("d{at}#{}", n + 1);
                let expected = Ok(Verdict::Permitted(id.as_str().into()));
                assert_eq!(decide(&cedar, &role, "a"), expected);
            }
        }
        let held = cedar.prepared.len();
        assert!((PREPARED_MAX / 2..=PREPARED_MAX).contains(&held), "{held}");
    }

    #[test]
    fn a_mount_is_seen_by_who_may_do_something_below() {
        let cedar = Cedar::default();
        let text = "permit (principal in Role::\"deep\", action, resource in Secret::\"kv/a/b\");
            permit (principal in Role::\"above\", action, resource in Secret::\"team\");
            permit (principal in Role::\"like\", action, resource == Secret::\"kv-2/a\");
            permit (principal in Role::\"all\", action, resource);
            forbid (principal in Role::\"none\", action, resource);";
        cedar.put(document("d", text));
        for (role, mount, seen) in [
            ("deep", "kv/", true),
            ("deep", "kv-2/", false),
            ("deep", "team/kv/", false),
            ("above", "team/kv/", true),
            ("above", "teams/", false),
            ("like", "kv-2/", true),
            ("like", "kv/", false),
            ("all", "kv/", true),
            ("none", "kv/", false),
        ] {
            let caller = Caller::new(None, "accessor", &[role.to_owned()], &[]).unwrap();
            assert_eq!(
                cedar.may_permit_below(&caller, mount),
                seen,
                "{role} {mount}"
            );
        }
    }
}
