//! Pieces of HCL laid out anew.

use super::pieces::Piece;

/// Lays out a whole document.
pub(super) fn lay_out(pieces: &[Piece<'_>]) -> String {
    let mut layout = Layout {
        rest: pieces,
        text: String::new(),
        depth: 0,
    };
    layout.items();
    layout.text
}

/// What stood last before the place that is being written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Nothing in this body.
    Nothing,
    /// A comment on a line of its own.
    Comment,
    /// An item.
    Item,
}

struct Layout<'p, 'a> {
    rest: &'p [Piece<'a>],
    text: String,
    depth: usize,
}

impl<'a> Layout<'_, 'a> {
    /// Writes the items of a body, each with the end of its line, up to the body's end.
    fn items(&mut self) {
        let mut last = Last::Nothing;
        loop {
            let line_ends = self.skip_line_ends();
            match self.rest.first() {
                None | Some(Piece::Mark('}')) => return,
                Some(Piece::Comment(comment)) => {
                    if line_ends == 0 && last == Last::Item {
                        self.end_line_with(comment);
                    } else {
                        self.gap(last, line_ends);
                        self.line(comment);
                        last = Last::Comment;
                    }
                    self.advance();
                }
                Some(Piece::Mark(',')) => self.advance(),
                Some(_) => {
                    self.gap(last, line_ends);
                    self.item();
                    last = Last::Item;
                }
            }
        }
    }

    /// Writes an empty line where there was one; before an item at the top always, unless a comment
    /// belongs to it.
    fn gap(&mut self, last: Last, line_ends: usize) {
        let wanted = match last {
            Last::Nothing => false,
            Last::Item if self.depth == 0 => true,
            Last::Item | Last::Comment => line_ends > 1,
        };
        if wanted {
            self.text.push('\n');
        }
    }

    /// Writes `key "label" … = value` or `key "label" … { … }`.
    fn item(&mut self) {
        self.indent();
        let mut first = true;
        while let Some(piece) = self.rest.first() {
            match piece {
                Piece::Text(text) | Piece::Comment(text) => {
                    if !first {
                        self.text.push(' ');
                    }
                    self.text.push_str(text);
                    self.advance();
                }
                Piece::LineEnd => self.advance(),
                Piece::Mark('=') => {
                    self.text.push_str(" = ");
                    self.advance();
                    self.value();
                    break;
                }
                Piece::Mark(_) => {
                    self.text.push(' ');
                    self.value();
                    break;
                }
            }
            first = false;
        }
        self.text.push('\n');
    }

    fn value(&mut self) {
        self.skip_line_ends();
        match self.rest.first() {
            Some(Piece::Mark('{')) => self.object(),
            Some(Piece::Mark('[')) => self.list(),
            Some(Piece::Text(text) | Piece::Comment(text)) => {
                self.text.push_str(text);
                self.advance();
            }
            Some(_) => self.advance(),
            None => {}
        }
    }

    fn object(&mut self) {
        self.advance();
        self.text.push_str("{\n");
        let start = self.text.len();
        self.depth += 1;
        self.items();
        self.depth -= 1;
        self.advance();
        if self.text.len() == start {
            self.text.pop();
        } else {
            self.indent();
        }
        self.text.push('}');
    }

    fn list(&mut self) {
        self.advance();
        if spans_lines(self.rest) {
            self.long_list()
        } else {
            self.short_list()
        }
        self.advance();
        self.text.push(']');
    }

    /// Writes the elements in a line, up to the closing bracket.
    fn short_list(&mut self) {
        self.text.push('[');
        let mut first = true;
        while let Some(piece) = self.rest.first() {
            match piece {
                Piece::Mark(']') => return,
                Piece::Mark(',') => self.advance(),
                _ => {
                    if !first {
                        self.text.push_str(", ");
                    }
                    self.value();
                    first = false;
                }
            }
        }
    }

    /// Writes each element on its line, up to the closing bracket, with a comma after each.
    fn long_list(&mut self) {
        self.text.push_str("[\n");
        self.depth += 1;
        let mut element = false;
        loop {
            let line_ends = self.skip_line_ends();
            match self.rest.first() {
                None | Some(Piece::Mark(']')) => break,
                Some(Piece::Mark(',')) => self.advance(),
                Some(Piece::Comment(comment)) => {
                    if line_ends == 0 && element {
                        self.end_line_with(comment)
                    } else {
                        self.line(comment)
                    }
                    self.advance();
                    element = false;
                }
                Some(_) => {
                    self.indent();
                    self.value();
                    self.text.push_str(",\n");
                    element = true;
                }
            }
        }
        self.depth -= 1;
        self.indent();
    }

    fn line(&mut self, comment: &'a str) {
        self.indent();
        self.text.push_str(comment);
        self.text.push('\n');
    }

    /// Puts a comment behind what was written last.
    fn end_line_with(&mut self, comment: &'a str) {
        self.text.pop();
        self.text.push(' ');
        self.text.push_str(comment);
        self.text.push('\n');
    }

    fn indent(&mut self) {
        (0..self.depth).for_each(|_| self.text.push_str("  "));
    }

    fn advance(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Passes over the ends of lines; tells how many there were.
    fn skip_line_ends(&mut self) -> usize {
        let count = self
            .rest
            .iter()
            .take_while(|piece| **piece == Piece::LineEnd)
            .count();
        self.rest = self.rest.get(count..).unwrap_or_default();
        count
    }
}

/// Whether a list, whose bracket was taken, was written on several lines or has comments.
fn spans_lines(rest: &[Piece<'_>]) -> bool {
    let mut depth = 1_usize;
    for piece in rest {
        match piece {
            Piece::Mark('[' | '{') => depth += 1,
            Piece::Mark(']' | '}') => depth -= 1,
            Piece::LineEnd | Piece::Comment(_) => return true,
            _ => {}
        }
        if depth == 0 {
            return false;
        }
    }
    false
}
