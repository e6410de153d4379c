//! Answers in the user's format.

use crate::arguments::fault::near;
use crate::failure::Failure;
use crate::output::{Format, Style, console, field, go_value, structured, table};
use secretum_client::{Auth, Json, Object, Secret, WrapInfo};

/// Shows an answer, or the one field asked for.
///
/// **Errors**: where the field is not there, or the output is gone.
pub(crate) fn show(secret: &Secret, style: &Style) -> Result<(), Failure> {
    if let Some(name) = &style.field {
        let value = lookup(secret, name).ok_or_else(|| no_field(secret, name))?;
        field(&value, style.format)?;
        console::warnings(&secret.warnings);
        return Ok(());
    }
    if !style.is_table() {
        return structured(&envelope(secret), style.format);
    }
    let rows = rows(secret);
    if !rows.is_empty() {
        console::out(&table::pairs(rows))?;
    }
    console::warnings(&secret.warnings);
    Ok(())
}

/// Says that an answer has no such field, and which one may have been meant.
fn no_field(secret: &Secret, name: &str) -> Failure {
    let rows = rows(secret);
    let shown = rows.iter().map(|(name, _)| name.trim_end_matches(':'));
    let nested = secret.data.as_object();
    let nested = nested.into_iter().flat_map(Object::iter);
    let near = near(name, shown.chain(nested.map(|(name, _)| name)));
    let meant = near
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default();
    Failure::local(format!("Field {name:?} not present in secret{meant}"))
}

/// Shows the names of a listing; with `detailed`, what is told of each.
///
/// **Errors**: where the output is gone.
pub(crate) fn show_list(secret: &Secret, style: &Style, detailed: bool) -> Result<(), Failure> {
    let keys = secret.keys().unwrap_or_default();
    if !style.is_table() {
        let whole = if detailed {
            secret.data.clone()
        } else {
            Json::from(keys)
        };
        return structured(&whole, style.format);
    }
    let details = secret
        .data
        .get("key_info")
        .filter(|_| detailed)
        .and_then(Json::as_object);
    match details {
        Some(details) => console::out(&detailed_list(&keys, details))?,
        None => {
            let rows = keys.iter().map(|key| vec![(*key).to_owned()]).collect();
            console::out(&table::headed(&["Keys"], rows))?;
        }
    }
    console::warnings(&secret.warnings);
    Ok(())
}

fn detailed_list(keys: &[&str], details: &Object) -> String {
    let mut columns: Vec<&str> = details
        .iter()
        .filter_map(|(_, detail)| detail.as_object())
        .flat_map(|detail| detail.iter().map(|(name, _)| name))
        .collect();
    columns.sort_unstable();
    columns.dedup();
    let cell = |key: &str, column: &str| {
        let value = details.get(key).and_then(|detail| detail.get(column));
        value
            .map(|value| go_value::member(column, value))
            .unwrap_or_default()
    };
    let row = |key: &&str| {
        let cells = columns.iter().map(|column| cell(key, column));
        std::iter::once((*key).to_owned()).chain(cells).collect()
    };
    let heading: Vec<&str> = std::iter::once("Keys")
        .chain(columns.iter().copied())
        .collect();
    table::headed(&heading, keys.iter().map(row).collect())
}

/// The envelope as JSON, in the order that Vault's users see it; without a token, no `auth`.
pub(crate) fn envelope(secret: &Secret) -> Json {
    let mut object = Object::new();
    object.insert("request_id", secret.request_id.as_str());
    object.insert("lease_id", secret.lease_id.as_str());
    object.insert("lease_duration", secret.lease_duration_seconds);
    object.insert("renewable", secret.renewable);
    object.insert("data", secret.data.clone());
    let warnings = (!secret.warnings.is_empty()).then(|| secret.warnings.clone());
    object.insert("warnings", warnings);
    if let Some(auth) = &secret.auth {
        object.insert("auth", auth_object(auth));
    }
    if let Some(wrap) = &secret.wrap_info {
        object.insert("wrap_info", wrap_object(wrap));
    }
    object.into()
}

fn auth_object(auth: &Auth) -> Object {
    let metadata = auth.metadata.as_ref().map(|pairs| {
        let pairs = pairs
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()));
        pairs.collect::<Object>()
    });
    let mut object = Object::new();
    object.insert("client_token", auth.client_token.expose());
    object.insert("accessor", auth.accessor.as_str());
    object.insert("policies", auth.policies.clone());
    object.insert("token_policies", auth.token_policies.clone());
    object.insert("identity_policies", auth.identity_policies.clone());
    object.insert("metadata", metadata);
    object.insert("orphan", auth.orphan);
    object.insert("entity_id", auth.entity_id.as_str());
    object.insert("lease_duration", auth.lease_duration);
    object.insert("renewable", auth.renewable);
    object.insert("mfa_requirement", auth.mfa_requirement.clone());
    object
}

fn wrap_object(wrap: &WrapInfo) -> Object {
    let mut object = Object::new();
    object.insert("token", wrap.token.expose());
    object.insert("accessor", wrap.accessor.as_str());
    object.insert("ttl", wrap.ttl);
    object.insert("creation_time", wrap.creation_time.as_str());
    object.insert("creation_path", wrap.creation_path.as_str());
    object.insert("wrapped_accessor", wrap.wrapped_accessor.as_str());
    object
}

/// The rows of an answer's table.
fn rows(secret: &Secret) -> Vec<(String, String)> {
    if let Some(wrap) = &secret.wrap_info {
        return wrap_rows(wrap);
    }
    if let Some(auth) = &secret.auth {
        return auth_rows(auth);
    }
    let mut rows = Vec::new();
    let duration = go_value::duration(secret.lease_duration_seconds);
    if !secret.lease_id.is_empty() {
        rows.push(("lease_id".to_owned(), secret.lease_id.clone()));
        rows.push(("lease_duration".to_owned(), duration));
        rows.push(("lease_renewable".to_owned(), secret.renewable.to_string()));
    } else if secret.lease_duration_seconds > 0 {
        // Nothing is leased; the duration says how often to look again.
        rows.push(("refresh_interval".to_owned(), duration));
    }
    if let Some(object) = secret.data.as_object() {
        rows.extend(table::rows_of(object));
    }
    rows
}

fn auth_rows(auth: &Auth) -> Vec<(String, String)> {
    let lasting = match auth.lease_duration {
        0 => "∞".to_owned(),
        seconds => go_value::duration(seconds),
    };
    let list = |names: &Option<Vec<String>>| go_value::quoted(names.as_deref().unwrap_or_default());
    let mut rows = vec![
        ("token".to_owned(), auth.client_token.expose().to_owned()),
        ("token_accessor".to_owned(), auth.accessor.clone()),
        ("token_duration".to_owned(), lasting),
        ("token_renewable".to_owned(), auth.renewable.to_string()),
        ("token_policies".to_owned(), list(&auth.token_policies)),
        (
            "identity_policies".to_owned(),
            list(&auth.identity_policies),
        ),
        ("policies".to_owned(), list(&auth.policies)),
    ];
    for (key, value) in auth.metadata.iter().flatten() {
        rows.push((format!("token_meta_{key}"), value.clone()));
    }
    rows
}

fn wrap_rows(wrap: &WrapInfo) -> Vec<(String, String)> {
    let mut rows = vec![
        ("wrapping_token:".to_owned(), wrap.token.expose().to_owned()),
        ("wrapping_accessor:".to_owned(), wrap.accessor.clone()),
        (
            "wrapping_token_ttl:".to_owned(),
            go_value::duration(wrap.ttl),
        ),
        (
            "wrapping_token_creation_time:".to_owned(),
            go_time(&wrap.creation_time),
        ),
        (
            "wrapping_token_creation_path:".to_owned(),
            wrap.creation_path.clone(),
        ),
    ];
    if !wrap.wrapped_accessor.is_empty() {
        rows.push((
            "wrapped_accessor:".to_owned(),
            wrap.wrapped_accessor.clone(),
        ));
    }
    rows
}

/// RFC 3339 as `2026-11-22 08:10:47.17 +0000 UTC`; other text stays.
fn go_time(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// One field of an answer.
fn lookup(secret: &Secret, name: &str) -> Option<Json> {
    if let Some(value) = secret
        .wrap_info
        .as_ref()
        .and_then(|wrap| wrap_field(wrap, name))
    {
        return Some(value);
    }
    if let Some(value) = secret.auth.as_ref().and_then(|auth| auth_field(auth, name)) {
        return Some(value);
    }
    if let Some(value) = secret.data.get(name) {
        return (!value.is_null()).then(|| value.clone());
    }
    match name {
        "request_id" => Some(secret.request_id.as_str().into()),
        "lease_id" => Some(secret.lease_id.as_str().into()),
        "lease_duration" | "refresh_interval" => Some(secret.lease_duration_seconds.into()),
        "lease_renewable" => Some(secret.renewable.into()),
        "data" if !secret.data.is_null() => Some(secret.data.clone()),
        _ => None,
    }
}

fn auth_field(auth: &Auth, name: &str) -> Option<Json> {
    Some(match name {
        "token" => auth.client_token.expose().into(),
        "token_accessor" => auth.accessor.as_str().into(),
        "token_duration" => auth.lease_duration.into(),
        "token_renewable" => auth.renewable.into(),
        "token_policies" => auth.token_policies.clone().unwrap_or_default().into(),
        "identity_policies" => auth.identity_policies.clone().unwrap_or_default().into(),
        "policies" => auth.policies.clone().unwrap_or_default().into(),
        name => {
            let key = name.strip_prefix("token_meta_")?;
            auth.metadata.as_ref()?.get(key)?.as_str().into()
        }
    })
}

fn wrap_field(wrap: &WrapInfo, name: &str) -> Option<Json> {
    Some(match name {
        "wrapping_token" => wrap.token.expose().into(),
        "wrapping_accessor" => wrap.accessor.as_str().into(),
        "wrapping_token_ttl" => wrap.ttl.into(),
        "wrapping_token_creation_time" => wrap.creation_time.as_str().into(),
        "wrapping_token_creation_path" => wrap.creation_path.as_str().into(),
        "wrapped_accessor" => wrap.wrapped_accessor.as_str().into(),
        _ => return None,
    })
}

/// Shows what a command that writes got back: the answer, or where it wrote.
///
/// **Errors**: as [`show`].
pub(crate) fn show_written(
    secret: Option<&Secret>,
    style: &Style,
    done: &str,
) -> Result<(), Failure> {
    match secret {
        Some(secret) if style.field.is_some() || has_content(secret) => show(secret, style),
        Some(secret) => {
            say(style, done)?;
            console::warnings(&secret.warnings);
            Ok(())
        }
        None => say(style, done),
    }
}

/// Whether there is more to an answer than warnings.
fn has_content(secret: &Secret) -> bool {
    !secret.data.is_null() || secret.auth.is_some() || secret.wrap_info.is_some()
}

/// Says what was done, to people only.
///
/// **Errors**: where the output is gone.
pub(crate) fn say(style: &Style, text: &str) -> Result<(), Failure> {
    if style.format == Format::Table {
        console::line(text)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(json: &str) -> Secret {
        Secret::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_lease_stands_before_the_data() {
        let secret = secret(
            r#"{"lease_id":"l","lease_duration":3600,"renewable":true,"data":{"b":1,"a":"x"}}"#,
        );
        let names: Vec<String> = rows(&secret).into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["lease_id", "lease_duration", "lease_renewable", "a", "b"]
        );
        assert_eq!(
            lookup(&secret, "lease_duration").unwrap().to_string(),
            "3600"
        );
        assert_eq!(lookup(&secret, "a").unwrap().to_string(), "\"x\"");
        assert!(lookup(&secret, "c").is_none());
    }

    #[test]
    fn a_token_is_shown_with_its_policies() {
        let secret = secret(
            r#"{"auth":{"client_token":"t","policies":["a","b"],"token_policies":["a"],"metadata":{"k":"v"}}}"#,
        );
        let shown = table::pairs(rows(&secret));
        assert!(shown.contains("token_duration       ∞\n"), "{shown}");
        assert!(
            shown.contains("policies             [\"a\" \"b\"]\n"),
            "{shown}"
        );
        assert!(shown.contains("token_meta_k         v\n"), "{shown}");
        assert_eq!(
            lookup(&secret, "token_meta_k").unwrap().to_string(),
            "\"v\""
        );
    }

    #[test]
    fn a_field_that_is_near_is_suggested_without_its_value() {
        let secret = secret(r#"{"lease_id":"l","data":{"password":"hunter2"}}"#);
        for (name, meant) in [
            ("pasword", "; did you mean password?"),
            ("leas_id", "; did you mean lease_id?"),
            ("zz", ""),
        ] {
            let told = no_field(&secret, name).to_string();
            assert_eq!(
                told,
                format!("Field \"{name}\" not present in secret{meant}")
            );
        }
    }

    #[test]
    fn json_leaves_out_what_is_not_there() {
        let shown = envelope(&secret(r#"{"request_id":"r","data":{"n":1.0}}"#)).to_string();
        assert_eq!(
            shown,
            r#"{"request_id":"r","lease_id":"","lease_duration":0,"renewable":false,"data":{"n":1.0},"warnings":null}"#
        );
    }

    #[test]
    fn times_read_as_go_prints_them() {
        assert_eq!(
            go_time("2026-11-22T08:10:47.17Z"),
            "2026-11-22 08:10:47.17 +0000 UTC"
        );
        assert_eq!(
            go_time("2026-11-22T08:10:47Z"),
            "2026-11-22 08:10:47 +0000 UTC"
        );
        assert_eq!(go_time("soon"), "soon");
    }
}
