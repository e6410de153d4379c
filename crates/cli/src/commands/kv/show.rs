//! Showing key-value secrets: the parts of version 2 under their headings.

use crate::failure::Failure;
use crate::output::{Style, console, field, structured, table};
use secretum_client::{Json, Object, Secret};

/// Shows a version of a secret: where it is, what is known of it, and what it holds.
///
/// **Errors**: where the output is gone.
pub(crate) fn version(secret: &Secret, path: &str, style: &Style) -> Result<(), Failure> {
    if !style.is_table() {
        return structured(&crate::output::secret::envelope(secret), style.format);
    }
    let mut text = table::banner("Secret Path", path.len()) + path + "\n\n";
    if let Some(metadata) = secret.data.get("metadata").and_then(Json::as_object) {
        text += &part("Metadata", metadata);
        text.push('\n');
    }
    if let Some(data) = secret.data.get("data").and_then(Json::as_object) {
        text += &part("Data", data);
    }
    console::out(&text)?;
    console::warnings(&secret.warnings);
    Ok(())
}

/// Shows what a write of version 2 made.
///
/// **Errors**: where the output is gone.
pub(crate) fn written(secret: &Secret, path: &str, style: &Style) -> Result<(), Failure> {
    match secret.data.as_object() {
        Some(metadata) if style.is_table() && style.field.is_none() => {
            let banner = table::banner("Secret Path", path.len());
            console::out(&format!("{banner}{path}\n\n{}", part("Metadata", metadata)))?;
            console::warnings(&secret.warnings);
            Ok(())
        }
        _ => crate::output::secret::show(secret, style),
    }
}

/// Shows what is known of a secret and of each of its versions.
///
/// **Errors**: where the output is gone.
pub(crate) fn metadata(secret: &Secret, path: &str) -> Result<(), Failure> {
    let mut metadata = secret.data.as_object().cloned().unwrap_or_default();
    let versions = metadata.remove("versions").unwrap_or_default();
    let mut text = table::banner("Metadata Path", path.len()) + path + "\n\n";
    text += &part("Metadata", &metadata);
    let mut numbered: Vec<(u64, &Object)> = versions
        .as_object()
        .into_iter()
        .flat_map(Object::iter)
        .filter_map(|(number, version)| Some((number.parse().ok()?, version.as_object()?)))
        .collect();
    numbered.sort_unstable_by_key(|(number, _)| *number);
    for (number, version) in numbered {
        text.push('\n');
        text += &part(&format!("Version {number}"), version);
    }
    console::out(&text)?;
    console::warnings(&secret.warnings);
    Ok(())
}

/// Shows one key of an object, as `-field` asks.
///
/// **Errors**: where the key is not there, or the output is gone.
pub(crate) fn key(object: &Json, name: &str, style: &Style) -> Result<(), Failure> {
    match object.get(name) {
        Some(value) if !value.is_null() => field(value, style.format),
        _ => Err(Failure::local(format!("Field {name:?} not present in map"))),
    }
}

fn part(heading: &str, object: &Object) -> String {
    table::banner_over(heading, object) + &table::members(object)
}
