//! The only way to the terminal: texts, tables, JSON, YAML, single fields.

pub(crate) mod bar;
pub(crate) mod console;
pub(crate) mod curl;
pub(crate) mod go_value;
pub(crate) mod rights;
pub(crate) mod secret;
pub(crate) mod table;
pub(crate) mod yaml;

use crate::failure::Failure;
use secretum_client::Json;

/// How answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// The whole answer as JSON.
    Json,
    /// The whole answer as YAML.
    #[value(alias = "yml")]
    Yaml,
    /// The answer as it came (`read` only).
    Raw,
}

/// How one command shows its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Style {
    /// The format.
    pub(crate) format: Format,
    /// The only field to show.
    pub(crate) field: Option<String>,
}

impl Style {
    /// Whether people read it.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.format, Format::Table | Format::Raw)
    }
}

/// Shows a value as JSON or YAML.
///
/// **Errors**: where the output is gone.
pub(crate) fn structured(value: &Json, format: Format) -> Result<(), Failure> {
    console::out(&render(value, format)?)
}

/// A value as JSON or YAML text, with its newline.
pub(crate) fn render(value: &Json, format: Format) -> Result<String, Failure> {
    match format {
        Format::Yaml => Ok(yaml::render(value)),
        Format::Json | Format::Table | Format::Raw => serde_json::to_string_pretty(value)
            .map(|text| text + "\n")
            .map_err(|error| Failure::local(format!("cannot write JSON: {error}"))),
    }
}

/// Shows one field's value: as JSON or YAML where asked, else bare, ended by a newline at a terminal
/// only.
///
/// **Errors**: where the output is gone.
pub(crate) fn field(value: &Json, format: Format) -> Result<(), Failure> {
    if matches!(format, Format::Json | Format::Yaml) {
        return structured(value, format);
    }
    bare(&go_value::text(value))
}

/// Shows a text as it is, ended by a newline at a terminal only, so that pipes get it exactly.
///
/// **Errors**: where the output is gone.
pub(crate) fn bare(text: &str) -> Result<(), Failure> {
    console::out(text)?;
    if console::stdout_is_terminal() {
        console::out("\n")
    } else {
        Ok(())
    }
}
