//! Tokens to tree.

use crate::scanner::{Cursor, Token, scan};
use crate::{
    Body, DEPTH_MAX, HclError, Item, Position, Problem, Result, Spanned, Value, ValueKind,
};
use std::collections::HashSet;

/// Reads a document in HCL.
pub(crate) fn parse(text: &str) -> Result<Body> {
    let mut parser = Parser::new(text)?;
    let items = parser.items(&Token::End)?;
    Ok(Body {
        items,
        at: Position::START,
    })
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    /// The token that was scanned and not yet used.
    token: Token,
    at: Position,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self> {
        let mut cursor = Cursor::new(text);
        let (token, at) = scan(&mut cursor)?;
        Ok(Self {
            cursor,
            token,
            at,
            depth: 0,
        })
    }

    /// Uses the token, and scans the next.
    fn next(&mut self) -> Result<Token> {
        let (token, at) = scan(&mut self.cursor)?;
        self.at = at;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn unexpected(&self, expected: &'static str) -> HclError {
        let found = self.token.described();
        HclError::new(self.at, Problem::Expected { expected, found })
    }

    /// The items up to this token, each with an optional comma after it.
    fn items(&mut self, close: &Token) -> Result<Vec<Item>> {
        let (mut items, mut assigned) = (Vec::new(), HashSet::new());
        while self.token != *close {
            let (item, is_attribute) = self.item()?;
            if is_attribute && !assigned.insert(item.key().to_owned()) {
                return Err(HclError::new(
                    item.at,
                    Problem::Duplicate(item.key().to_owned()),
                ));
            }
            items.push(item);
            if self.token == Token::Comma {
                self.next()?;
            }
        }
        Ok(items)
    }

    /// An item, and whether it is an attribute.
    fn item(&mut self) -> Result<(Item, bool)> {
        let at = self.at;
        let mut keys = vec![self.key("a key")?];
        if self.token == Token::Assign {
            self.next()?;
            return Ok((
                Item {
                    keys,
                    value: self.value("a value")?,
                    at,
                },
                true,
            ));
        }
        while self.token != Token::BraceOpen {
            let expected = if keys.len() == 1 {
                "`=`, `{` or a label"
            } else {
                "`{` or a label"
            };
            keys.push(self.key(expected)?);
        }
        Ok((
            Item {
                keys,
                value: self.value("a block")?,
                at,
            },
            false,
        ))
    }

    fn key(&mut self, expected: &'static str) -> Result<Spanned<String>> {
        let at = self.at;
        match &self.token {
            Token::Word(_) | Token::Quoted(_) => {}
            _ => return Err(self.unexpected(expected)),
        }
        match self.next()? {
            Token::Word(value) | Token::Quoted(value) => Ok(Spanned { value, at }),
            _ => Err(self.unexpected(expected)),
        }
    }

    fn value(&mut self, expected: &'static str) -> Result<Value> {
        let at = self.at;
        let kind = match self.token {
            Token::BraceOpen => self.nested(Self::object)?,
            Token::BracketOpen => self.nested(Self::list)?,
            Token::Bool(_)
            | Token::Integer(_)
            | Token::Float(_)
            | Token::Quoted(_)
            | Token::Heredoc(_) => match self.next()? {
                Token::Bool(yes) => ValueKind::Bool(yes),
                Token::Integer(number) => ValueKind::Integer(number),
                Token::Float(number) => ValueKind::Float(number),
                Token::Quoted(text) | Token::Heredoc(text) => ValueKind::String(text),
                _ => return Err(self.unexpected(expected)),
            },
            _ => return Err(self.unexpected(expected)),
        };
        Ok(Value { kind, at })
    }

    /// Reads what opens here one level deeper.
    fn nested(&mut self, read: fn(&mut Self) -> Result<ValueKind>) -> Result<ValueKind> {
        if self.depth >= DEPTH_MAX {
            return Err(HclError::new(self.at, Problem::TooDeep));
        }
        self.depth = self.depth.saturating_add(1);
        let kind = read(self)?;
        self.depth = self.depth.saturating_sub(1);
        Ok(kind)
    }

    fn object(&mut self) -> Result<ValueKind> {
        let at = self.at;
        self.next()?;
        let items = self.items(&Token::BraceClose)?;
        self.next()?;
        Ok(ValueKind::Object(Body { items, at }))
    }

    /// A list: a comma stands between two values, and may stand anywhere else. After a list within the
    /// list it is not needed.
    fn list(&mut self) -> Result<ValueKind> {
        self.next()?;
        let (mut values, mut comma_needed) = (Vec::new(), false);
        loop {
            match self.token {
                Token::BracketClose => break,
                Token::Comma => {
                    self.next()?;
                    comma_needed = false;
                }
                _ if comma_needed => return Err(self.unexpected("`,` or `]`")),
                _ => {
                    let value = self.value("a value or `]`")?;
                    comma_needed = value.as_list().is_none();
                    values.push(value);
                }
            }
        }
        self.next()?;
        Ok(ValueKind::List(values))
    }
}
