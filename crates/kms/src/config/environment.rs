//! [`Environment`]: the variables that a configuration may name.

use super::expand;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

/// Variables: those of the process, or others for tests.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Option<HashMap<String, String>>,
}

impl Environment {
    /// The variables of the process.
    pub fn process() -> Self {
        Self { variables: None }
    }

    /// These variables and no others.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            variables: Some(variables.into_iter().map(owned).collect()),
        }
    }

    /// The value of a variable; an empty one is none.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = match &self.variables {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// A text with `${VAR}` and `${VAR:-default}` put in their places.
    ///
    /// **Errors**: what is wrong and how to mend it, without the value of a variable.
    pub fn expand(&self, text: &str) -> Result<String, String> {
        expand::variables(text, self)
    }

    /// A path with variables and a leading `~/` put in their places.
    ///
    /// **Errors**: as [`Self::expand`].
    pub fn expand_path(&self, text: &str) -> Result<PathBuf, String> {
        expand::path(&self.expand(text)?, self)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(..)")
    }
}
