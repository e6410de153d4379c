//! HCL text cut into pieces that keep their spelling.

/// A piece of HCL text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A word, number, string or heredoc.
    Text(&'a str),
    /// A comment, without the end of its line.
    Comment(&'a str),
    /// One of `{ } [ ] , =`.
    Mark(char),
    /// The end of a line.
    LineEnd,
}

/// Cuts text that is known to be HCL.
pub(super) fn cut(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (piece, length) = match first {
            '\n' => (Some(Piece::LineEnd), 1),
            '{' | '}' | '[' | ']' | ',' | '=' => (Some(Piece::Mark(first)), 1),
            ' ' | '\t' | '\r' => (None, 1),
            _ => {
                let (piece, length) = longer(rest);
                (Some(piece), length)
            }
        };
        pieces.extend(piece);
        rest = rest.get(length..).unwrap_or_default();
    }
    pieces
}

/// The comments among pieces.
pub(super) fn comments<'a>(pieces: &[Piece<'a>]) -> Vec<&'a str> {
    let comment = |piece: &Piece<'a>| match piece {
        Piece::Comment(text) => Some(*text),
        _ => None,
    };
    pieces.iter().filter_map(comment).collect()
}

/// The piece of more than one character that a text begins with, and its bytes.
fn longer(rest: &str) -> (Piece<'_>, usize) {
    let line = || rest.find('\n').unwrap_or(rest.len());
    let (comment, length) = if rest.starts_with('#') || rest.starts_with("//") {
        (true, line())
    } else if let Some(inside) = rest.strip_prefix("/*") {
        (true, inside.find("*/").map_or(rest.len(), |end| end + 4))
    } else if rest.starts_with('"') {
        (false, string_bytes(rest))
    } else if rest.starts_with("<<") {
        (false, heredoc_bytes(rest))
    } else {
        let ends = |c: char| {
            matches!(
                c,
                '\n' | '{' | '}' | '[' | ']' | ',' | '=' | ' ' | '\t' | '\r' | '#' | '"'
            )
        };
        // A first character that ends a word is nothing that HCL knows; it is passed over alone.
        let first = rest.chars().next().map_or(1, char::len_utf8);
        (false, rest.find(ends).unwrap_or(rest.len()).max(first))
    };
    let text = rest.get(..length).unwrap_or(rest);
    let piece = if comment {
        Piece::Comment(text.trim_end())
    } else {
        Piece::Text(text)
    };
    (piece, text.len())
}

/// The bytes of a string in quotes. Inside `${…}` quotes are part of it.
fn string_bytes(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if depth == 0 => {
                characters.next();
            }
            '$' if characters.peek().is_some_and(|(_, next)| *next == '{') => {
                characters.next();
                depth += 1;
            }
            '{' if depth > 0 => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '"' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The bytes of a heredoc, up to the end of the word that closes it.
fn heredoc_bytes(rest: &str) -> usize {
    let Some((head, _)) = rest.split_once('\n') else {
        return rest.len();
    };
    let anchor = head.trim_start_matches(['<', '-']).trim();
    let mut bytes = head.len() + 1;
    for line in rest.get(bytes..).unwrap_or_default().split_inclusive('\n') {
        if line.trim() == anchor {
            return bytes + line.trim_end().len();
        }
        bytes += line.len();
    }
    rest.len()
}
