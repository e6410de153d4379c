//! JSON documents, into the same tree.
//!
//! RFC 8259, and beside it commas before a closing bracket, which the other parser takes too.

use crate::literal::{self, Escape};
use crate::scanner::{Cursor, Token, is_space};
use crate::{Body, DEPTH_MAX, HclError, Item, Problem, Result, Spanned, Value, ValueKind};
use std::collections::HashMap;

/// Reads a document in JSON, whose root is an object.
pub(crate) fn parse(text: &str) -> Result<Body> {
    let mut reader = Reader {
        cursor: Cursor::new(text),
        depth: 0,
    };
    reader.skip_space();
    let value = reader.value()?;
    reader.skip_space();
    if reader.cursor.peek().is_some() {
        return Err(reader.unexpected("the end of the document"));
    }
    match value.kind {
        ValueKind::Object(body) => Ok(body),
        _ => Err(HclError::new(
            value.at,
            expected("`{`", value.kind_name().to_owned()),
        )),
    }
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    depth: usize,
}

fn expected(expected: &'static str, found: String) -> Problem {
    Problem::Expected { expected, found }
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.cursor.take_while(is_space);
    }

    fn unexpected(&self, what: &'static str) -> HclError {
        let found = match self.cursor.peek() {
            Some(character) => format!("`{character}`"),
            None => Token::End.described(),
        };
        self.cursor.error(expected(what, found))
    }

    fn value(&mut self) -> Result<Value> {
        let at = self.cursor.at();
        let kind = match self.cursor.peek() {
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::list)?,
            Some('"') => ValueKind::String(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            Some(character) if character.is_ascii_alphabetic() => self.word()?,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Value { kind, at })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<ValueKind>) -> Result<ValueKind> {
        if self.depth >= DEPTH_MAX {
            return Err(self.cursor.error(Problem::TooDeep));
        }
        self.depth = self.depth.saturating_add(1);
        let kind = read(self)?;
        self.depth = self.depth.saturating_sub(1);
        Ok(kind)
    }

    fn object(&mut self) -> Result<ValueKind> {
        let at = self.cursor.at();
        self.cursor.next();
        let (mut items, mut seen) = (Vec::new(), HashMap::new());
        while !self.closes('}') {
            let at = self.cursor.at();
            if self.cursor.peek() != Some('"') {
                return Err(self.unexpected("a key in quotes or `}`"));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.cursor.take(':') {
                return Err(self.unexpected("`:`"));
            }
            self.skip_space();
            let value = self.value()?;
            let scalar = value.is_scalar();
            // An object or a list may come again: it is one more block.
            if seen
                .insert(key.clone(), scalar)
                .is_some_and(|before| before || scalar)
            {
                return Err(HclError::new(at, Problem::Duplicate(key)));
            }
            items.push(Item {
                keys: vec![Spanned { value: key, at }],
                value,
                at,
            });
            self.comma_before('}')?;
        }
        Ok(ValueKind::Object(Body { items, at }))
    }

    fn list(&mut self) -> Result<ValueKind> {
        self.cursor.next();
        let mut values = Vec::new();
        while !self.closes(']') {
            values.push(self.value()?);
            self.comma_before(']')?;
        }
        Ok(ValueKind::List(values))
    }

    /// Takes the closing bracket if it is next.
    fn closes(&mut self, close: char) -> bool {
        self.skip_space();
        self.cursor.take(close)
    }

    /// Takes the comma that must be next unless the bracket closes.
    fn comma_before(&mut self, close: char) -> Result<()> {
        self.skip_space();
        if self.cursor.take(',') || self.cursor.peek() == Some(close) {
            return Ok(());
        }
        Err(self.unexpected(if close == ']' {
            "`,` or `]`"
        } else {
            "`,` or `}`"
        }))
    }

    fn word(&mut self) -> Result<ValueKind> {
        let open = self.cursor.clone();
        match self
            .cursor
            .take_while(|character| character.is_ascii_alphanumeric())
        {
            "true" => Ok(ValueKind::Bool(true)),
            "false" => Ok(ValueKind::Bool(false)),
            "null" => Ok(ValueKind::Null),
            word => Err(open.error(expected("a value", format!("`{word}`")))),
        }
    }

    fn number(&mut self) -> Result<ValueKind> {
        let open = self.cursor.clone();
        let text = literal::number_text(&mut self.cursor);
        let digits = text.strip_prefix('-').unwrap_or(text);
        let leading_zero = digits.len() > 1
            && digits.starts_with('0')
            && !digits.starts_with("0.")
            && !digits.starts_with("0e")
            && !digits.starts_with("0E");
        match literal::number(text) {
            Some(Token::Integer(number)) if !leading_zero => Ok(ValueKind::Integer(number)),
            Some(Token::Float(number)) if !leading_zero => Ok(ValueKind::Float(number)),
            _ => Err(open.error(Problem::Number(text.to_owned()))),
        }
    }

    fn string(&mut self) -> Result<String> {
        let open = self.cursor.clone();
        self.cursor.next();
        let mut bytes = Vec::new();
        loop {
            match self.cursor.next() {
                Some('"') => break,
                Some('\\') => self.escape(&mut bytes)?,
                Some(character) if character != '\n' => {
                    Escape::Character(character).append_to(&mut bytes);
                }
                _ => return Err(open.error(Problem::OpenString)),
            }
        }
        String::from_utf8(bytes).map_err(|_| open.error(Problem::EscapedBytes))
    }

    /// An escape of JSON, or one that HCL has beside them.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        if self.cursor.take('/') {
            bytes.push(b'/');
            return Ok(());
        }
        match self.surrogate_pair() {
            Some(character) => Escape::Character(character).append_to(bytes),
            None => literal::escape(&mut self.cursor)?.append_to(bytes),
        }
        Ok(())
    }

    /// The character of `uXXXX\uXXXX`, if that is what is next.
    fn surrogate_pair(&mut self) -> Option<char> {
        let mut ahead = self.cursor.clone();
        let high = ahead
            .take('u')
            .then(|| literal::digits(&mut ahead, 4, 16))??;
        let low =
            (ahead.take('\\') && ahead.take('u')).then(|| literal::digits(&mut ahead, 4, 16))??;
        let units = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
        if !(0xd800..0xdc00).contains(&high) {
            return None;
        }
        let character = char::decode_utf16(units).next()?.ok()?;
        self.cursor = ahead;
        Some(character)
    }
}
