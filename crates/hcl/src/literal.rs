//! What strings, heredocs and numbers mean.

use crate::scanner::{Cursor, Token};
use crate::{Problem, Result};

/// What an escape or a stretch of a string stands for.
pub(crate) enum Escape<'a> {
    /// A character.
    Character(char),
    /// A byte, which need not be a character alone.
    Byte(u8),
    /// The text itself.
    Text(&'a str),
}

impl Escape<'_> {
    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Character(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Self::Byte(byte) => bytes.push(*byte),
            Self::Text(text) => bytes.extend_from_slice(text.as_bytes()),
        }
    }
}

/// Reads the escape after a backslash, as Go writes them.
pub(crate) fn escape(cursor: &mut Cursor<'_>) -> Result<Escape<'static>> {
    let open = cursor.clone();
    let refused = || open.error(Problem::Escape(open.peek().unwrap_or(' ')));
    let escape = match cursor.peek().ok_or_else(refused)? {
        '0'..='7' => digits(cursor, 3, 8)
            .and_then(|code| u8::try_from(code).ok())
            .map(Escape::Byte),
        kind => {
            cursor.next();
            match kind {
                'x' => digits(cursor, 2, 16)
                    .and_then(|code| u8::try_from(code).ok())
                    .map(Escape::Byte),
                'u' => digits(cursor, 4, 16).and_then(character),
                'U' => digits(cursor, 8, 16).and_then(character),
                kind => simple(kind).map(Escape::Character),
            }
        }
    };
    escape.ok_or_else(refused)
}

fn simple(kind: char) -> Option<char> {
    Some(match kind {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        '"' => '"',
        _ => return None,
    })
}

/// The number of exactly so many digits.
pub(crate) fn digits(cursor: &mut Cursor<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut number = 0_u32;
    for _ in 0..count {
        let digit = cursor.peek()?.to_digit(radix)?;
        cursor.next();
        number = number.checked_mul(radix)?.checked_add(digit)?;
    }
    Some(number)
}

/// The character of this code; half a surrogate pair becomes the replacement character.
fn character(code: u32) -> Option<Escape<'static>> {
    let replaced = (0xd800..0xe000)
        .contains(&code)
        .then_some(char::REPLACEMENT_CHARACTER);
    char::from_u32(code).or(replaced).map(Escape::Character)
}

/// The text of a heredoc, given its lines and the indentation of its closing line.
///
/// An indented one loses that indentation when every line has it; else it stays as it is. A plain one
/// keeps even the indentation of its closing line.
pub(crate) fn heredoc(body: &str, indent: &str, indented: bool) -> String {
    if !indented {
        return format!("{body}{indent}");
    }
    let unindented: Option<Vec<&str>> = body
        .split_inclusive('\n')
        .map(|line| line.strip_prefix(indent))
        .collect();
    unindented.map_or_else(|| body.to_owned(), |lines| lines.concat())
}

/// Takes the characters of a number: `-` and `0x`, or digits, a point and an exponent. A number that
/// begins with its point can have no exponent.
pub(crate) fn number_text<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    let start = cursor.rest();
    cursor.take('-');
    let digit = |character: char| character.is_ascii_digit();
    if cursor.rest().starts_with("0x") || cursor.rest().starts_with("0X") {
        cursor.next();
        cursor.next();
        cursor.take_while(|character| character.is_ascii_hexdigit());
    } else if cursor.take('.') {
        cursor.take_while(digit);
        // The exponent belongs to the number, so that it makes the number wrong.
        if !cursor.take('e') {
            cursor.take('E');
        }
    } else {
        cursor.take_while(digit);
        if cursor.take('.') {
            cursor.take_while(digit);
        }
        if cursor.take('e') || cursor.take('E') {
            if !cursor.take('+') {
                cursor.take('-');
            }
            cursor.take_while(digit);
        }
    }
    cursor.since(start)
}

/// The number that the text is: hexadecimal after `0x`, octal after `0`.
pub(crate) fn number(text: &str) -> Option<Token> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if let Some(hex) = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        return integer(text, hex, 16);
    }
    if text.contains(['.', 'e', 'E']) {
        return text
            .parse()
            .ok()
            .filter(|float: &f64| float.is_finite())
            .map(Token::Float);
    }
    match digits.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => integer(text, octal, 8),
        _ => integer(text, digits, 10),
    }
}

fn integer(text: &str, digits: &str, radix: u32) -> Option<Token> {
    let sign = if text.starts_with('-') { "-" } else { "" };
    i64::from_str_radix(&format!("{sign}{digits}"), radix)
        .ok()
        .map(Token::Integer)
}
