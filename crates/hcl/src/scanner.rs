//! Characters to tokens.

use crate::literal::{self, Escape};
use crate::{HclError, Position, Problem, Result};

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A bare word, dots and dashes included; not `true` or `false`.
    Word(String),
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// A string in quotes, escapes read.
    Quoted(String),
    Heredoc(String),
    BraceOpen,
    BraceClose,
    BracketOpen,
    BracketClose,
    Comma,
    Assign,
    End,
}

impl Token {
    /// What it is, for an error message.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Bool(yes) => format!("`{yes}`"),
            Self::Integer(_) | Self::Float(_) => "a number".to_owned(),
            Self::Quoted(_) => "a string".to_owned(),
            Self::Heredoc(_) => "a heredoc".to_owned(),
            Self::BraceOpen => "`{`".to_owned(),
            Self::BraceClose => "`}`".to_owned(),
            Self::BracketOpen => "`[`".to_owned(),
            Self::BracketClose => "`]`".to_owned(),
            Self::Comma => "`,`".to_owned(),
            Self::Assign => "`=`".to_owned(),
            Self::End => "the end of the document".to_owned(),
        }
    }
}

/// Refuses the characters that may stand nowhere: NUL, and one that the other parser keeps to itself.
pub(crate) fn refuse_reserved(text: &str) -> Result<()> {
    let Some((before, character)) = text
        .find(['\0', '\u{e123}'])
        .and_then(|at| text.split_at_checked(at))
        .and_then(|(before, rest)| rest.chars().next().map(|character| (before, character)))
    else {
        return Ok(());
    };
    Err(HclError::new(
        Position::after(before),
        Problem::Reserved(character.into()),
    ))
}

/// Where reading has come to in a text.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
    at: Position,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            at: Position::START,
        }
    }

    pub(crate) fn at(&self) -> Position {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.rest = self.rest.get(character.len_utf8()..).unwrap_or_default();
        self.at = self.at.advanced(character);
        Some(character)
    }

    /// Takes the character if it is this one.
    pub(crate) fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    /// Takes characters as long as they fit.
    pub(crate) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let start = self.rest;
        while self.peek().is_some_and(&fits) {
            self.next();
        }
        self.since(start)
    }

    /// What was read since the rest was `start`; costs nothing, however long the rest is.
    pub(crate) fn since(&self, start: &'a str) -> &'a str {
        let bytes = start.len().saturating_sub(self.rest.len());
        start.get(..bytes).unwrap_or_default()
    }

    pub(crate) fn error(&self, problem: Problem) -> HclError {
        HclError::new(self.at, problem)
    }
}

/// Whether white space may be this character.
pub(crate) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

fn starts_word(character: char) -> bool {
    character == '_' || character.is_alphabetic()
}

fn continues_word(character: char) -> bool {
    starts_word(character) || character.is_numeric() || matches!(character, '-' | '.')
}

/// The next token and its place.
pub(crate) fn scan(cursor: &mut Cursor<'_>) -> Result<(Token, Position)> {
    skip_space_and_comments(cursor)?;
    let at = cursor.at();
    let Some(first) = cursor.peek() else {
        return Ok((Token::End, at));
    };
    let second = cursor.rest().chars().nth(1);
    let token = match first {
        '"' => Token::Quoted(quoted(cursor)?),
        '<' => Token::Heredoc(heredoc(cursor)?),
        '0'..='9' => number(cursor)?,
        '-' | '.' if second.is_some_and(|digit| digit.is_ascii_digit()) => number(cursor)?,
        '{' => single(cursor, Token::BraceOpen),
        '}' => single(cursor, Token::BraceClose),
        '[' => single(cursor, Token::BracketOpen),
        ']' => single(cursor, Token::BracketClose),
        ',' => single(cursor, Token::Comma),
        '=' => single(cursor, Token::Assign),
        _ if starts_word(first) => word(cursor),
        _ => return Err(cursor.error(Problem::Character(first))),
    };
    Ok((token, at))
}

fn single(cursor: &mut Cursor<'_>, token: Token) -> Token {
    cursor.next();
    token
}

fn word(cursor: &mut Cursor<'_>) -> Token {
    match cursor.take_while(continues_word) {
        "true" => Token::Bool(true),
        "false" => Token::Bool(false),
        word => Token::Word(word.to_owned()),
    }
}

fn skip_space_and_comments(cursor: &mut Cursor<'_>) -> Result<()> {
    loop {
        cursor.take_while(is_space);
        let rest = cursor.rest();
        if rest.starts_with('#') || rest.starts_with("//") {
            cursor.take_while(|character| character != '\n');
        } else if rest.starts_with("/*") {
            skip_long_comment(cursor)?;
        } else {
            return Ok(());
        }
    }
}

fn skip_long_comment(cursor: &mut Cursor<'_>) -> Result<()> {
    let open = cursor.clone();
    cursor.next();
    cursor.next();
    while let Some(character) = cursor.next() {
        if character == '*' && cursor.take('/') {
            return Ok(());
        }
    }
    Err(open.error(Problem::OpenComment))
}

/// A string in quotes. What is within `${` and its `}` is taken as it stands, quotes, line breaks and
/// escapes included; only that the escapes exist is looked at.
fn quoted(cursor: &mut Cursor<'_>) -> Result<String> {
    let open = cursor.clone();
    cursor.next();
    let (mut bytes, mut braces) = (Vec::new(), 0_usize);
    loop {
        let before = cursor.clone();
        let character = cursor
            .next()
            .ok_or_else(|| open.error(Problem::OpenString))?;
        match character {
            '"' if braces == 0 => break,
            '\n' if braces == 0 => return Err(open.error(Problem::OpenString)),
            '\\' => match (literal::escape(cursor)?, braces) {
                (escape, 0) => escape.append_to(&mut bytes),
                (_, _) => {
                    let raw = cursor.since(before.rest());
                    Escape::Text(raw).append_to(&mut bytes);
                }
            },
            '$' if braces == 0 && cursor.take('{') => {
                braces = 1;
                Escape::Text("${").append_to(&mut bytes);
            }
            character => {
                braces = match character {
                    '{' if braces > 0 => braces.saturating_add(1),
                    '}' => braces.saturating_sub(1),
                    _ => braces,
                };
                Escape::Character(character).append_to(&mut bytes);
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| open.error(Problem::EscapedBytes))
}

/// A heredoc, to the line break after its closing line.
fn heredoc(cursor: &mut Cursor<'_>) -> Result<String> {
    let open = cursor.clone();
    let refused = || open.error(Problem::HeredocMarker);
    cursor.next();
    if !cursor.take('<') {
        return Err(refused());
    }
    let indented = cursor.take('-');
    let in_marker = |c: char| starts_word(c) || c.is_numeric();
    let marker = cursor.take_while(in_marker);
    if marker.is_empty() || !cursor.take('\n') {
        return Err(refused());
    }
    let body = cursor.rest();
    loop {
        let line_start = cursor.rest();
        let line = cursor.take_while(|character| character != '\n');
        if !cursor.take('\n') {
            return Err(open.error(Problem::OpenHeredoc(marker.to_owned())));
        }
        let indent = line.strip_suffix(marker).filter(|indent| {
            indent
                .bytes()
                .all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c))
        });
        if let Some(indent) = indent
            && !(indented && indent.is_empty())
        {
            let body = body
                .get(..body.len().saturating_sub(line_start.len()))
                .unwrap_or_default();
            return Ok(literal::heredoc(body, indent, indented));
        }
    }
}

fn number(cursor: &mut Cursor<'_>) -> Result<Token> {
    let open = cursor.clone();
    let text = literal::number_text(cursor);
    literal::number(text).ok_or_else(|| open.error(Problem::Number(text.to_owned())))
}
