//! Answers of key services as documents, in the user's format.

use crate::failure::Failure;
use crate::output::{Format, Style, go_value, render, table};
use secretum_client::{Json, Object};
use secretum_kms::{Ciphertext, KeyInfo};

/// What a ciphertext says of itself, without the ciphertext.
pub(super) fn origin(ciphertext: &Ciphertext) -> Object {
    let mut object = Object::new();
    object.insert("key_id", ciphertext.key().as_str());
    object.insert("key_version", ciphertext.key_version().as_str());
    object.insert("provider", ciphertext.provider());
    object
}

/// A ciphertext, and what it says of itself.
pub(super) fn ciphertext(ciphertext: &Ciphertext) -> Object {
    let mut object = Object::new();
    object.insert("ciphertext", ciphertext.to_base64());
    for (name, value) in origin(ciphertext).iter() {
        object.insert(name, value.clone());
    }
    object
}

/// A key.
pub(super) fn key(info: &KeyInfo) -> Object {
    let mut object = Object::new();
    object.insert("key_id", info.key.as_str());
    object.insert("key_version", info.version.as_str());
    object.insert("enabled", info.enabled);
    object
}

/// A document in the user's format, or its one field; `None` where people are to get something else
/// than all of its fields.
pub(super) fn chosen(object: &Object, style: &Style) -> Result<Option<String>, Failure> {
    if let Some(name) = &style.field {
        let value = object.get(name).ok_or_else(|| no_field(object, name))?;
        return match style.format {
            Format::Json | Format::Yaml => render(value, style.format).map(Some),
            Format::Table | Format::Raw => Ok(Some(go_value::text(value))),
        };
    }
    if style.is_table() {
        return Ok(None);
    }
    render(&Json::from(object.clone()), style.format).map(Some)
}

/// A document in the user's format, or its one field; for people a table.
pub(super) fn whole(object: &Object, style: &Style) -> Result<String, Failure> {
    let chosen = chosen(object, style)?;
    Ok(chosen.unwrap_or_else(|| {
        let rows = object.iter();
        let rows = rows.map(|(name, value)| (name.to_owned(), go_value::member(name, value)));
        table::pairs(rows.collect())
    }))
}

fn no_field(object: &Object, name: &str) -> Failure {
    let names: Vec<&str> = object.iter().map(|(name, _)| name).collect();
    Failure::local(format!(
        "the answer has no field `{name}`; it has {}",
        names.join(", ")
    ))
}
