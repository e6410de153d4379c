//! Blocks with a kind, and perhaps a name: `listener "tcp" { … }`, `audit "file" "main" { … }`.

use super::notice::Notices;
use super::section::Source;
use super::{Place, Problem, values};
use secretum_hcl::{Body, Item, Position, Spanned, Value, ValueKind};

/// A block with a kind.
#[derive(Debug)]
pub(crate) struct Stanza<'a> {
    /// Its kind, in lower case.
    pub(crate) kind: String,
    /// Its name, where blocks of this kind have one.
    pub(crate) name: Option<String>,
    pub(crate) body: &'a Body,
    pub(crate) place: Place,
}

/// How stanzas of one name are found.
pub(crate) struct StanzaReader<'a, 'n> {
    pub(crate) source: &'a Source,
    pub(crate) name: &'static str,
    /// Whether each may have a name behind its kind.
    pub(crate) takes_names: bool,
    /// What to write where it is written wrongly.
    pub(crate) example: String,
    pub(crate) notices: &'n mut Notices,
    /// Whether something is written wrongly.
    pub(crate) faulty: bool,
}

impl<'a> StanzaReader<'a, '_> {
    /// Every stanza of this name, and whether something else stands in its place, which is said.
    ///
    /// `listener "tcp" { }`, `listener { type = "tcp" }`, `[listener.tcp]`, `[[listener.tcp]]`,
    /// `[[listener]]` with `type = "tcp"`, `{"listener": {"tcp": {}}}`, `{"listener": [{"tcp": {}}]}` and
    /// `{"listener": {"tcp": [{}]}}` are the same.
    pub(crate) fn read(mut self, body: &'a Body) -> (Vec<Stanza<'a>>, bool) {
        let (mut found, name) = (Vec::new(), self.name);
        for item in body.items.iter().filter(|item| item.key() == name) {
            self.below(item, item.keys.get(1..).unwrap_or_default(), &mut found);
        }
        (found, self.faulty)
    }

    /// The stanzas of an item, of whose keys these name the kind.
    fn below(
        &mut self,
        item: &'a Item,
        labels: &'a [Spanned<String>],
        found: &mut Vec<Stanza<'a>>,
    ) {
        match labels {
            [] => self.unnamed(&item.value, item.at, found),
            [kind] => self.of_kind((kind, None), item.at, &item.value, found),
            [kind, name] if self.takes_names => {
                self.of_kind((kind, Some(name)), item.at, &item.value, found);
            }
            [_, surplus, ..] => {
                let label = values::shortened(&surplus.value);
                let stanza = self.name;
                self.fault(surplus.at, Problem::Label { stanza, label });
            }
        }
    }

    fn of_kind(
        &mut self,
        (kind, name): (&'a Spanned<String>, Option<&'a Spanned<String>>),
        at: Position,
        value: &'a Value,
        found: &mut Vec<Stanza<'a>>,
    ) {
        match &value.kind {
            ValueKind::Object(body) if self.takes_names && name.is_none() && holds_names(body) => {
                for item in &body.items {
                    self.of_kind((kind, item.keys.first()), item.at, &item.value, found);
                }
            }
            ValueKind::Object(body) => found.push(Stanza {
                kind: kind.value.to_ascii_lowercase(),
                name: name.map(|name| name.value.clone()),
                body,
                place: self.source.place(at),
            }),
            ValueKind::List(values) => {
                for value in values {
                    self.of_kind((kind, name), value.at, value, found);
                }
            }
            ValueKind::Null => {}
            _ => self.not_a_block(value),
        }
    }

    fn unnamed(&mut self, value: &'a Value, at: Position, found: &mut Vec<Stanza<'a>>) {
        match &value.kind {
            ValueKind::Object(body) => {
                if let Some(kind) = body.attribute("type").and_then(Value::as_str) {
                    return found.push(Stanza {
                        kind: kind.to_ascii_lowercase(),
                        name: None,
                        body,
                        place: self.source.place(at),
                    });
                }
                if body.items.is_empty() || !body.items.iter().all(is_block) {
                    let (stanza, example) = (self.name, self.example.clone());
                    return self.fault(at, Problem::KindMissing { stanza, example });
                }
                for item in &body.items {
                    self.below(item, &item.keys, found);
                }
            }
            ValueKind::List(values) => {
                for value in values {
                    self.unnamed(value, value.at, found);
                }
            }
            ValueKind::Null => {}
            _ => self.not_a_block(value),
        }
    }

    fn not_a_block(&mut self, value: &Value) {
        let problem = Problem::NotABlock {
            stanza: self.name,
            found: values::shown(value),
            example: self.example.clone(),
        };
        self.fault(value.at, problem);
    }

    fn fault(&mut self, at: Position, problem: Problem) {
        self.faulty = true;
        self.notices.push(self.source.place(at), problem);
    }
}

fn is_block(item: &Item) -> bool {
    matches!(item.value.kind, ValueKind::Object(_) | ValueKind::List(_))
}

/// Whether the blocks of a kind stand in it by their names. A block of options is none of them.
fn holds_names(body: &Body) -> bool {
    let is_named = |item: &Item| is_block(item) && item.keys.len() == 1 && item.key() != "options";
    !body.items.is_empty() && body.items.iter().all(is_named)
}
