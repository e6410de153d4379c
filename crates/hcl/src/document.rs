//! The tree of a document, and lookups in it.

use crate::{HclError, Problem, Result};

/// A place in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: u32,
}

impl Position {
    /// The first place.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place after this text.
    pub fn after(text: &str) -> Self {
        text.chars().fold(Self::START, Self::advanced)
    }

    /// The place after this character.
    #[must_use]
    pub fn advanced(self, over: char) -> Self {
        if over == '\n' {
            Self {
                line: self.line.saturating_add(1),
                column: 1,
            }
        } else {
            Self {
                line: self.line,
                column: self.column.saturating_add(1),
            }
        }
    }
}

/// Something with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The thing.
    pub value: T,
    /// Where it starts.
    pub at: Position,
}

/// What stands between braces, or the whole document.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The items in their order.
    pub items: Vec<Item>,
    /// Where it starts.
    pub at: Position,
}

/// One attribute (`key = value`) or block (`key "label" { … }`).
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The key, then the labels of a block. Never empty.
    pub keys: Vec<Spanned<String>>,
    /// The value; of a block, an object.
    pub value: Value,
    /// Where the key starts.
    pub at: Position,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// What it is.
    pub kind: ValueKind,
    /// Where it starts.
    pub at: Position,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueKind {
    /// `null`, which only JSON has.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a point or an exponent.
    Float(f64),
    /// A string or a heredoc, its escapes read.
    String(String),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Object(Body),
}

/// A block found by [`Body::blocks`].
#[derive(Debug, Clone)]
pub struct Block<'a> {
    /// Its labels, as many as were asked for.
    pub labels: Vec<&'a Spanned<String>>,
    /// What is in it.
    pub body: &'a Body,
    /// Where its last label starts, or its key if it has none.
    pub at: Position,
}

impl Item {
    /// The first key.
    pub fn key(&self) -> &str {
        self.keys.first().map_or("", |key| key.value.as_str())
    }
}

impl Body {
    /// The value of the attribute of this name; the last, should a JSON document hold several.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        let named = |item: &&Item| item.keys.len() == 1 && item.key() == name;
        self.items.iter().rfind(named).map(|item| &item.value)
    }

    /// Every block of this name with so many labels, in order.
    ///
    /// `listener "tcp" { }`, `listener { tcp { } }`, and in JSON `{"listener": {"tcp": {}}}`,
    /// `{"listener": [{"tcp": {}}]}` and `{"listener": {"tcp": [{}]}}` are the same.
    ///
    /// **Errors**: [`Problem::LabelMissing`], [`Problem::NotABlock`], and [`Problem::Expected`] where
    /// there is a label too many.
    pub fn blocks(&self, name: &str, labels: usize) -> Result<Vec<Block<'_>>> {
        let mut blocks = Vec::new();
        for item in self.items.iter().filter(|item| item.key() == name) {
            let found = item.keys.get(1..).unwrap_or_default().iter().collect();
            item.value.blocks_below(item, found, labels, &mut blocks)?;
        }
        Ok(blocks)
    }

    /// The keys that are not among these, with their places.
    pub fn keys_besides<'a>(&'a self, known: &[&str]) -> impl Iterator<Item = &'a Spanned<String>> {
        let unknown = |key: &&Spanned<String>| !known.contains(&key.value.as_str());
        self.items
            .iter()
            .filter_map(|item| item.keys.first())
            .filter(unknown)
    }
}

impl Value {
    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            ValueKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// Yes or no, if it is that.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind {
            ValueKind::Bool(yes) => Some(yes),
            _ => None,
        }
    }

    /// The number, if it is a whole one.
    pub fn as_integer(&self) -> Option<i64> {
        match self.kind {
            ValueKind::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The values, if it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match &self.kind {
            ValueKind::List(values) => Some(values),
            _ => None,
        }
    }

    /// What is in it, if it is an object.
    pub fn as_object(&self) -> Option<&Body> {
        match &self.kind {
            ValueKind::Object(body) => Some(body),
            _ => None,
        }
    }

    /// What it is, for an error message.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            ValueKind::Null => "null",
            ValueKind::Bool(_) => "a boolean",
            ValueKind::Integer(_) | ValueKind::Float(_) => "a number",
            ValueKind::String(_) => "a string",
            ValueKind::List(_) => "a list",
            ValueKind::Object(_) => "an object",
        }
    }

    /// Adds the blocks that this value of `item` holds once `found` labels are read.
    ///
    /// Each step goes one level down, so the depth is that of the document.
    fn blocks_below<'a>(
        &'a self,
        item: &'a Item,
        found: Vec<&'a Spanned<String>>,
        labels: usize,
        blocks: &mut Vec<Block<'a>>,
    ) -> Result<()> {
        if let Some(surplus) = found.get(labels) {
            let found = format!("`{}`", surplus.value);
            return Err(HclError::new(
                surplus.at,
                Problem::Expected {
                    expected: "`{`",
                    found,
                },
            ));
        }
        match &self.kind {
            ValueKind::List(values) => {
                for value in values {
                    value.blocks_below(item, found.clone(), labels, blocks)?;
                }
            }
            ValueKind::Object(body) if found.len() == labels => {
                let at = found.last().map_or(item.at, |label| label.at);
                blocks.push(Block {
                    labels: found,
                    body,
                    at,
                });
            }
            ValueKind::Object(body) => {
                for inner in &body.items {
                    if inner.value.is_scalar() {
                        let problem = Problem::LabelMissing(item.key().to_owned());
                        return Err(HclError::new(item.at, problem));
                    }
                    let labels_so_far = found.iter().copied().chain(&inner.keys).collect();
                    inner
                        .value
                        .blocks_below(item, labels_so_far, labels, blocks)?;
                }
            }
            _ => {
                let key = item.key().to_owned();
                let problem = Problem::NotABlock {
                    key,
                    found: self.kind_name(),
                };
                return Err(HclError::new(self.at, problem));
            }
        }
        Ok(())
    }

    /// Whether it is neither object nor list.
    pub(crate) fn is_scalar(&self) -> bool {
        !matches!(self.kind, ValueKind::List(_) | ValueKind::Object(_))
    }
}
