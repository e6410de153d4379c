//! [`Environment`]: the variables that a configuration may name.

use super::expand;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Variables: those of the process, or others for tests.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Option<HashMap<String, String>>,
    /// These go before.
    more: HashMap<String, Zeroizing<String>>,
}

impl Environment {
    /// The variables of the process.
    pub fn process() -> Self {
        Self::default()
    }

    /// These variables and no others.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            variables: Some(variables.into_iter().map(owned).collect()),
            more: HashMap::new(),
        }
    }

    /// The same, with these variables before the others.
    pub(super) fn with(&self, more: HashMap<String, Zeroizing<String>>) -> Self {
        Self {
            variables: self.variables.clone(),
            more,
        }
    }

    /// The value of a variable; an empty one is none.
    pub fn get(&self, name: &str) -> Option<String> {
        if let Some(value) = self.more.get(name) {
            return Some(value.as_str().to_owned());
        }
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
