//! [`Environment`]: settings by environment variables.

use crate::ClientError;
use std::collections::HashMap;

/// The prefixes of our variables, the first one that is set counts.
const PREFIXES: [&str; 3] = ["SECRETUM_", "VAULT_", "BAO_"];

/// Settings by environment variables. Each is looked up with the prefixes `SECRETUM_`, `VAULT_` and
/// `BAO_` in this order; an empty variable counts as not set.
pub struct Environment {
    /// Whole names and values; `None` for the process's own variables.
    variables: Option<HashMap<String, String>>,
}

impl Environment {
    /// The environment of this process.
    pub fn process() -> Self {
        Self { variables: None }
    }

    /// An environment made of these variables, by their whole names.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            variables: Some(variables.into_iter().map(owned).collect()),
        }
    }

    /// The whole name and the value of a setting.
    pub fn get(&self, setting: &str) -> Option<(String, String)> {
        PREFIXES.iter().find_map(|prefix| {
            let name = format!("{prefix}{setting}");
            let value = self.plain(&name)?;
            Some((name, value))
        })
    }

    /// The value of any variable, by its whole name.
    pub fn plain(&self, name: &str) -> Option<String> {
        let value = match &self.variables {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// A setting, read by a function.
    ///
    /// **Errors**: [`ClientError::Setting`] with what the function said.
    pub fn parse<T>(
        &self,
        setting: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ClientError> {
        let Some((name, value)) = self.get(setting) else {
            return Ok(None);
        };
        read(&value)
            .map(Some)
            .map_err(|reason| ClientError::Setting {
                name,
                value,
                reason,
            })
    }

    /// A setting that is on or off, in the spellings that Go reads: 1, t, true, 0, f, false.
    ///
    /// **Errors**: [`ClientError::Setting`] for other text.
    pub fn switch(&self, setting: &str) -> Result<Option<bool>, ClientError> {
        self.parse(setting, |text| match text {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
            _ => Err("it must be true or false".to_owned()),
        })
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment(..)")
    }
}
