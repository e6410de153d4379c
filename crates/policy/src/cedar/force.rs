//! [`Cedar`]: the documents in force, and the decision.

use super::ask::Asked;
use super::contexts::Contexts;
use super::heads::Heads;
use super::load::{Loads, Since};
use super::prepared::Prepared;
use super::statement::Statement;
use super::{Ask, Caller, CedarError, CedarProblem, Document, EVALUATED_MAX, TOTAL_TEXT_BYTES_MAX};
use cedar_policy::{Authorizer, Effect};
use parking_lot::RwLock;
use secretum_hcl::Position;
use std::collections::{BTreeMap, HashMap};
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
    by_name: HashMap<Arc<str>, Arc<Document>>,
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
        documents.insert(Arc::new(document));
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
    /// Its cost grows with the length of all documents; decisions go on meanwhile. What comes in force
    /// meanwhile is not seen: who puts documents in force sees to it that nothing does.
    ///
    /// **Errors**: [`CedarProblem::TotalTooLong`], [`CedarProblem::TakenId`],
    /// [`CedarProblem::TooManyAlike`], [`CedarProblem::TooManyTogether`], each at the statement that it
    /// is about, or at the first.
    pub fn check(&self, document: &Document) -> Result<(), CedarError> {
        let all = {
            let documents = self.documents.read();
            documents.check_texts(document)?;
            documents.all()
        };
        let old = |name: &str| match name == &*document.name {
            true => Since::Before,
            false => Since::Always,
        };
        let there = all.iter().flat_map(|one| of(one, old(&one.name)));
        let loads = Loads::new(there.chain(of(document, Since::After)));
        if let Some(id) = loads.too_many_alike() {
            let (at, id) = (document.place(id), id.to_owned());
            return Err(CedarError::new(at, CedarProblem::TooManyAlike { id }));
        }
        match loads.worsened() {
            Some(statements) => {
                let problem = CedarProblem::TooManyTogether { statements };
                Err(CedarError::new(Position::START, problem))
            }
            None => Ok(()),
        }
    }

    /// How many statements one request could meet, where that is more than is evaluated: it is then
    /// refused.
    pub fn overload(&self) -> Option<usize> {
        let all = self.documents.read().all();
        let all = all.iter().flat_map(|one| of(one, Since::Always));
        let statements = Loads::new(all).heaviest();
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

/// The statements of a document, and since when they are in force.
fn of(document: &Document, since: Since) -> impl Iterator<Item = (&Statement, Since)> {
    let statements = document.statements.iter();
    statements.map(move |statement| (&**statement, since))
}

/// What came of the evaluation of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Satisfied,
    Unsatisfied,
    Erred,
}

impl Documents {
    fn insert(&mut self, document: Arc<Document>) {
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

    /// All documents. Nothing is done with them while the others wait.
    fn all(&self) -> Vec<Arc<Document>> {
        self.by_name.values().cloned().collect()
    }

    /// Whether there is room for a document's text, and its ids are free.
    fn check_texts(&self, document: &Document) -> Result<(), CedarError> {
        let old = self.by_name.get(&document.name);
        let others = self.text_bytes - old.map_or(0, |old| old.text_bytes);
        if others + document.text_bytes > TOTAL_TEXT_BYTES_MAX {
            let problem = CedarProblem::TotalTooLong;
            return Err(CedarError::new(Position::START, problem));
        }
        for statement in &document.statements {
            let owner = self.ids.get(&statement.id);
            if let Some(owner) = owner.filter(|owner| **owner != document.name) {
                let problem = CedarProblem::TakenId {
                    id: statement.id.to_string(),
                    document: owner.to_string(),
                };
                return Err(CedarError::new(document.place(&statement.id), problem));
            }
        }
        Ok(())
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
mod tests;
