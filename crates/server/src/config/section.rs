//! Taking keys from one block, with a word for every fault.

use super::notice::Notices;
use super::syntax::Syntax;
use super::{DURATION_MAX, Place, Placed, Problem, names, template, values};
use secretum_api::fields::short_duration;
use secretum_hcl::{Body, Item, Position, Value, ValueKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const FLAG: &str = "`true` or `false`";
pub(crate) const TEXT: &str = "a text in quotes";
pub(crate) const PATH: &str = "a path in quotes";
pub(crate) const URL: &str = "a URL such as `https://vault.example.com:8200`";
pub(crate) const ADDRESS: &str =
    "a host and a port of at most 65535, such as `127.0.0.1:8200` or `[::]:8200`";
const DURATION: &str = "a duration such as `768h`, `30m` or `90s`, or a number of seconds";
const DURATION_BOUNDS: &str = "at most `87600h`";

/// Which file a block stands in.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) file: Arc<Path>,
    pub(crate) syntax: Syntax,
}

impl Source {
    pub(crate) fn place(&self, at: Position) -> Place {
        Place::new(&self.file, at)
    }
}

/// A block, the file itself included, whose keys are being taken.
#[derive(Debug)]
pub(crate) struct Section<'a, 'n> {
    pub(crate) source: &'a Source,
    pub(crate) body: &'a Body,
    pub(crate) notices: &'n mut Notices,
    /// The keys that were asked for.
    asked: Vec<&'static str>,
}

impl<'a, 'n> Section<'a, 'n> {
    pub(crate) fn new(source: &'a Source, body: &'a Body, notices: &'n mut Notices) -> Self {
        Self {
            source,
            body,
            notices,
            asked: Vec::new(),
        }
    }

    /// Says that a key will be taken in another way.
    pub(crate) fn knows(&mut self, key: &'static str) {
        self.asked.push(key);
    }

    /// The value of a key; none if it is empty.
    fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.push(key);
        let value = &self
            .body
            .items
            .iter()
            .rfind(|item| item.key() == key)?
            .value;
        (!is_empty(value)).then_some(value)
    }

    /// Whether a key says anything, faulty or not.
    pub(crate) fn has(&self, key: &str) -> bool {
        let value = self.body.items.iter().rfind(|item| item.key() == key);
        value.is_some_and(|item| !is_empty(&item.value))
    }

    /// What a key says, in the way that `parse` reads it; `expected` says what that can be.
    pub(crate) fn take<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<Placed<T>> {
        let value = self.value(key)?;
        let place = self.source.place(value.at);
        let parsed = parse(value);
        if parsed.is_none() {
            let found = values::shown(value);
            let problem = Problem::Value {
                key,
                expected,
                found,
            };
            self.notices.push(place.clone(), problem);
        }
        parsed.map(|value| Placed { value, place })
    }

    /// The block of a key; a list of blocks is its last one, as what stands later counts. What is no
    /// block is said.
    pub(crate) fn block(&mut self, key: &'static str) -> Option<&'a Body> {
        let mut value = self.value(key)?;
        if let ValueKind::List(values) = &value.kind {
            value = values.last()?;
        }
        if let ValueKind::Object(body) = &value.kind {
            return Some(body);
        }
        let problem = Problem::NotABlock {
            stanza: key,
            found: values::shown(value),
            example: format!("`{key} {{ … }}`, or a table in TOML and JSON"),
        };
        self.notices.push(self.source.place(value.at), problem);
        None
    }

    /// What a key says with its templates filled in.
    pub(crate) fn take_filled<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Placed<T>> {
        let value = self.value(key)?;
        let filled = value.as_str().map(template::fill_in);
        let Some(Err(reason)) = filled else {
            let filled = filled.and_then(Result::ok);
            return self.take(key, expected, |_| filled.as_deref().and_then(parse));
        };
        let problem = Problem::Template { key, reason };
        self.notices.push(self.source.place(value.at), problem);
        None
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<Placed<String>> {
        self.take(key, TEXT, values::text)
    }

    pub(crate) fn path(&mut self, key: &'static str) -> Option<Placed<PathBuf>> {
        self.take(key, PATH, values::path)
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Option<Placed<bool>> {
        self.take(key, FLAG, values::flag)
    }

    /// A duration; none if it is 0, by which Vault means the default.
    pub(crate) fn duration(&mut self, key: &'static str) -> Option<Placed<Duration>> {
        let taken = self.take(key, DURATION, values::duration)?;
        if taken.value > DURATION_MAX {
            let problem = Problem::Value {
                key,
                expected: DURATION_BOUNDS,
                found: format!("`{}`", short_duration(taken.value)),
            };
            self.notices.push(taken.place, problem);
            return None;
        }
        Some(taken).filter(|taken| !taken.value.is_zero())
    }

    /// Names the keys that were not asked for: those that Vault has, those that are misspelt, others.
    pub(crate) fn finish(self, unserved: &[&str]) {
        let unasked = |item: &&Item| !self.asked.contains(&item.key());
        for item in self.body.items.iter().filter(unasked) {
            let name = item.key();
            let problem = if unserved.contains(&name) {
                if is_off(&item.value) {
                    continue;
                }
                Problem::Unserved(name.to_owned())
            } else if let Some(nearest) = names::nearest(name, &self.asked) {
                Problem::Misspelt {
                    key: values::shortened(name),
                    nearest: nearest.to_owned(),
                }
            } else {
                Problem::Unknown(values::shortened(name))
            };
            self.notices.push(self.source.place(item.at), problem);
        }
    }
}

/// Whether it says that what it is about is not wanted.
fn is_off(value: &Value) -> bool {
    is_empty(value) || values::flag(value) == Some(false)
}

/// Whether it says nothing, as what a template left empty.
fn is_empty(value: &Value) -> bool {
    value.kind == ValueKind::Null || value.as_str() == Some("")
}
