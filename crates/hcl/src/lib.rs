//! HCL 1 as Vault reads it, with positions for errors.
//!
//! Owns: the text form of Vault's policies and server configuration, in HCL 1 and in JSON, and the
//! tree it is read into ([`Body`], [`Item`], [`Value`]). A text whose first character is `{` is
//! JSON, everything else HCL.
//!
//! Must not know: what is written in it.
//!
//! Text goes through `scanner` (characters to tokens) and `parser` (tokens to tree), or through
//! `json`; `literal` knows what strings, heredocs and numbers mean.
//!
//! What HashiCorp's parser accepts, and with what meaning, was found by asking it; so a few oddities
//! are kept: a comma may follow an item at the top level too, two items may stand on one line, and
//! the end of a `<<-` heredoc must be indented. It is stricter here where the other parser loses what
//! was written, or fails later:
//! - `a =` at the end of the text, an unfinished JSON document, or text after a JSON document;
//! - one key set twice in different spellings (`a = 1`, `"a" = 2`), or twice in a JSON object, unless
//!   each time with an object or a list;
//! - numbers that fit neither a 64-bit integer nor a finite float, and escapes that make no UTF-8;
//! - documents beyond [`DOCUMENT_BYTES_MAX`], and nesting beyond [`DEPTH_MAX`].
//!
//! It is more lenient where JSON is: `\/`, surrogate pairs, and `null` in lists.

mod document;
mod error;
mod json;
mod literal;
mod parser;
mod print;
mod scanner;

pub use document::{Block, Body, Item, Position, Spanned, Value, ValueKind};
pub use error::{HclError, Problem};

/// Result of reading a document.
pub type Result<T> = std::result::Result<T, HclError>;

/// The most bytes of a document.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// The most objects and lists within each other.
pub const DEPTH_MAX: usize = 64;

/// Reads a document.
///
/// **Errors**: [`HclError`] with the line and column, and what is wrong there.
pub fn parse(text: &str) -> Result<Body> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(HclError::new(Position::START, Problem::TooLong));
    }
    scanner::refuse_reserved(text)?;
    // Windows line ends mean the same as others everywhere, heredocs included.
    let text = text.replace("\r\n", "\n");
    if text
        .trim_start_matches([' ', '\t', '\r', '\n'])
        .starts_with('{')
    {
        json::parse(&text)
    } else {
        parser::parse(&text)
    }
}

/// Reads a document from bytes as they come from a file or a request.
///
/// **Errors**: as [`parse`], and for bytes that are not UTF-8.
pub fn parse_bytes(bytes: &[u8]) -> Result<Body> {
    let refused = |error: std::str::Utf8Error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let before = String::from_utf8_lossy(valid);
        HclError::new(Position::after(&before), Problem::NotUtf8)
    };
    parse(std::str::from_utf8(bytes).map_err(refused)?)
}
