//! [`Section`]: a table of the file, whose keys are taken one by one.

#[cfg(any(feature = "aws", feature = "gcp"))]
use super::Stage;
use super::fault::{self, ConfigFault, FAULTS_MAX};
use super::{Environment, expand};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// The longest duration of any key: a year.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Collects faults, and tells lines.
pub(crate) struct Reader<'a> {
    pub(crate) text: &'a str,
    pub(crate) environment: &'a Environment,
    pub(crate) faults: Vec<ConfigFault>,
}

impl Reader<'_> {
    pub(crate) fn fault(&mut self, offset: Option<usize>, message: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            let message = message.into();
            self.faults.push(match offset {
                Some(offset) => ConfigFault::at(self.text, offset, &message),
                None => ConfigFault::of_file(&message),
            });
        }
    }

    /// The line of an offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        fault::line(self.text, offset)
    }
}

/// A table; the whole file has no name. Where it is missing, every key of it is.
#[derive(Clone, Copy)]
pub(crate) struct Section<'a> {
    pub(crate) name: &'static str,
    pub(crate) table: Option<&'a DeTable<'a>>,
    /// Where its header stands.
    pub(crate) at: Option<usize>,
}

/// A value and where it stands.
pub(crate) struct Found<T> {
    pub(crate) value: T,
    pub(crate) at: usize,
}

impl<'a> Section<'a> {
    pub(crate) fn find(self, key: &str) -> Option<Found<&'a DeValue<'a>>> {
        let value = self.table?.get(key)?;
        Some(Found {
            value: value.get_ref(),
            at: value.span().start,
        })
    }

    /// Whether a key is there, whatever its value.
    pub(crate) fn has(self, key: &str) -> bool {
        self.table.is_some_and(|table| table.get(key).is_some())
    }

    fn shown(self) -> String {
        match self.name {
            "" => "the file".to_owned(),
            name => format!("[{name}]"),
        }
    }

    /// A table below this one.
    pub(crate) fn below(
        self,
        reader: &mut Reader<'_>,
        key: &str,
        name: &'static str,
    ) -> Section<'a> {
        let found = self.find(key);
        let at = found.as_ref().map(|found| found.at);
        let table = match found.map(|found| found.value) {
            Some(DeValue::Table(table)) => Some(table),
            Some(_) => {
                reader.fault(at, format!("`{key}` is a table; write [{name}]"));
                None
            }
            None => None,
        };
        Section { name, table, at }
    }

    /// A text, with its variables in their places.
    pub(crate) fn text(self, reader: &mut Reader<'_>, key: &str) -> Option<Found<String>> {
        let Found { value, at } = self.find(key)?;
        let DeValue::String(text) = value else {
            reader.fault(Some(at), format!("`{key}` is a text; write {key} = \"…\""));
            return None;
        };
        match expand::variables(text, reader.environment) {
            Ok(value) => Some(Found { value, at }),
            Err(fault) => {
                reader.fault(Some(at), format!("`{key}`: {fault}"));
                None
            }
        }
    }

    /// A text; an empty one, as of a variable that is not set, is none.
    #[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
    pub(crate) fn filled(self, reader: &mut Reader<'_>, key: &str) -> Option<String> {
        let found = self.text(reader, key).map(|found| found.value);
        found.filter(|value| !value.is_empty())
    }

    /// The address of a service that has one of its own; without TLS in development only.
    #[cfg(any(feature = "aws", feature = "gcp"))]
    pub(crate) fn endpoint(
        self,
        reader: &mut Reader<'_>,
        key: &str,
        stage: Stage,
    ) -> Option<String> {
        let Found { value, at } = self.text(reader, key)?;
        // What it is may come from a variable, and is not shown.
        let fault = match stage {
            _ if value.starts_with("https://") => return Some(value),
            Stage::Development if value.starts_with("http://") => return Some(value),
            Stage::Production if value.starts_with("http://") => {
                "a production environment does not take a service without TLS; write https://host"
                    .to_owned()
            }
            _ => format!(
                "`{key}` is not the address of a server; write https://host, or leave it out"
            ),
        };
        reader.fault(Some(at), fault);
        None
    }

    /// A list of texts, with their variables in their places; empty where there is none.
    pub(crate) fn texts(self, reader: &mut Reader<'_>, key: &str) -> Option<Vec<Found<String>>> {
        let Some(Found { value, at }) = self.find(key) else {
            return Some(Vec::new());
        };
        let DeValue::Array(items) = value else {
            reader.fault(
                Some(at),
                format!("`{key}` is a list; write {key} = [\"…\"]"),
            );
            return None;
        };
        let mut texts = Vec::new();
        for item in items.iter() {
            let at = item.span().start;
            let DeValue::String(text) = item.get_ref() else {
                reader.fault(
                    Some(at),
                    format!("`{key}` holds texts; write {key} = [\"…\"]"),
                );
                return None;
            };
            match expand::variables(text, reader.environment) {
                Ok(value) => texts.push(Found { value, at }),
                Err(fault) => {
                    reader.fault(Some(at), format!("`{key}`: {fault}"));
                    return None;
                }
            }
        }
        Some(texts)
    }

    /// A path, with variables and the home folder in their places.
    pub(crate) fn path(self, reader: &mut Reader<'_>, key: &str) -> Option<PathBuf> {
        let Found { value, at } = self.text(reader, key)?;
        if value.is_empty() {
            reader.fault(
                Some(at),
                format!("`{key}` is empty; write a path, or leave it out"),
            );
            return None;
        }
        match expand::path(&value, reader.environment) {
            Ok(path) => Some(path),
            Err(fault) => {
                reader.fault(Some(at), format!("`{key}`: {fault}"));
                None
            }
        }
    }

    /// Yes or no; also as a text, so that it can come from a variable.
    pub(crate) fn switch(self, reader: &mut Reader<'_>, key: &str) -> Option<bool> {
        let Found { value, at } = self.find(key)?;
        if let DeValue::Boolean(yes) = value {
            return Some(*yes);
        }
        let text = matches!(value, DeValue::String(_)).then(|| self.text(reader, key))?;
        match text?.value.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                reader.fault(Some(at), format!("`{key}` is true or false"));
                None
            }
        }
    }

    /// A whole number from 1 to `limit`.
    pub(crate) fn count(self, reader: &mut Reader<'_>, key: &str, limit: u32) -> Option<u32> {
        let Found { value, at } = self.find(key)?;
        let number = match value {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(_) => self.text(reader, key)?.value.parse().ok(),
            _ => None,
        };
        let fits = number.filter(|number| (1..=limit).contains(number));
        if fits.is_none() {
            reader.fault(
                Some(at),
                format!("`{key}` is a whole number from 1 to {limit}"),
            );
        }
        fits
    }

    /// A duration.
    pub(crate) fn duration(self, reader: &mut Reader<'_>, key: &str) -> Option<Duration> {
        let at = self.find(key)?.at;
        let duration = match self.find(key)?.value {
            DeValue::String(_) => duration(&self.text(reader, key)?.value),
            _ => None,
        };
        if duration.is_none() {
            reader.fault(
                Some(at),
                format!(
                    "`{key}` is a duration up to a year; write \"100ms\", \"30s\", \"5m\", \"1h\" or \"90d\""
                ),
            );
        }
        duration
    }

    /// Tells of every key that is none of these; `old` names keys of before, and what took their place.
    pub(crate) fn only(self, reader: &mut Reader<'_>, known: &[&str], old: &[(&str, &str)]) {
        for (key, _) in self.table.into_iter().flat_map(|table| table.iter()) {
            let (name, at) = (key.get_ref().as_ref(), key.span().start);
            if known.contains(&name) {
                continue;
            }
            let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
            let section = self.shown();
            let replaced = old.iter().find(|(gone, _)| *gone == name);
            let message = match (replaced, nearest(name, known)) {
                (Some((_, new)), _) => {
                    format!("`{shown}` is no longer a key of {section}; write {new}")
                }
                (None, Some(near)) => {
                    format!("{section} has no key `{shown}`; did you mean `{near}`?")
                }
                (None, None) => format!(
                    "{section} has no key `{shown}`; it has {}",
                    known.join(", ")
                ),
            };
            reader.fault(Some(at), message);
        }
    }
}

/// The known name that a mistyped one is meant to be.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > 60 {
        return None;
    }
    let distance = |known: &&str| strsim::damerau_levenshtein(name, known);
    let near = known.iter().copied().min_by_key(distance)?;
    (distance(&near) <= 2.max(near.len() / 4)).then_some(near)
}

/// A duration as this file writes it: a number and its unit, greater than nothing, up to a year.
pub fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit)?;
    let number: u64 = number.parse().ok()?;
    let duration = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3600)?),
        "d" => Duration::from_secs(number.checked_mul(24 * 3600)?),
        _ => return None,
    };
    (!duration.is_zero() && duration <= DURATION_MAX).then_some(duration)
}
