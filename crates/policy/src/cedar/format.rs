//! Cedar in its canonical form.

use super::{CedarError, Document};
use cedar_policy_formatter::{Config, policies_str_to_pretty};

/// The canonical form of a document: two spaces a level, 100 characters a line; comments stay.
///
/// **Errors**: [`CedarError`] where the text is no document.
pub fn format(text: &str) -> Result<String, CedarError> {
    Document::read_stored("policy", text)?;
    let config = Config {
        line_width: 100,
        indent_width: 2,
    };
    policies_str_to_pretty(text, &config).map_err(|error| {
        CedarError::at(
            text,
            0,
            super::CedarProblem::Syntax {
                told: error.to_string(),
                help: "move comments to lines of their own".to_owned(),
            },
        )
    })
}
