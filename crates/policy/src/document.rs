//! A document to a policy.

use crate::pattern::Pattern;
use crate::{
    Capability, CapabilitySet, PARAMETERS_MAX, ParameterRules, Policy, PolicyError, Problem,
    ROOT_POLICY_NAME, RULES_MAX, Result, Rule, template,
};
use secretum_api::fields::parse_duration;
use secretum_crypto::Timestamp;
use secretum_hcl::{Block, Body, Position, Value, ValueKind};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) fn parse(name: &str, text: &str) -> Result<Policy> {
    if name == ROOT_POLICY_NAME {
        return Err(PolicyError::new(Position::START, Problem::Root));
    }
    let body = secretum_hcl::parse(text)?;
    if let Some(key) = body.keys_besides(&["name", "path"]).next() {
        return Err(PolicyError::new(
            key.at,
            Problem::UnknownKey(key.value.clone()),
        ));
    }
    for item in body.items.iter().filter(|item| item.key() == "name") {
        text_of("name", &item.value)?;
    }
    let blocks = body.blocks("path", 1)?;
    if let Some(surplus) = blocks.get(RULES_MAX) {
        return Err(PolicyError::new(surplus.at, Problem::TooManyRules));
    }
    let rules = blocks.iter().map(rule).collect::<Result<_>>()?;
    Ok(Policy {
        name: name.into(),
        rules,
    })
}

/// The fields that a rule may have.
const FIELDS: [&str; 12] = [
    "allowed_parameters",
    "capabilities",
    "comment",
    "denied_parameters",
    "expiration",
    "max_wrapping_ttl",
    "mfa_methods",
    "min_wrapping_ttl",
    "pagination_limit",
    "policy",
    "required_parameters",
    "subscribe_event_types",
];

/// The fields that may come again: blocks of the same name add up.
const BLOCKS: [&str; 3] = ["allowed_parameters", "comment", "denied_parameters"];

/// The fields that narrow a right in a way that is not served.
const UNSUPPORTED: [&str; 2] = ["control_group", "list_scan_response_keys_filter_path"];

fn rule(block: &Block<'_>) -> Result<Rule> {
    let (path, body) = (block.labels.first(), block.body);
    let path = path.map_or("", |label| label.value.as_str());
    let refused = |problem| PolicyError::new(block.at, problem);
    known_fields(body)?;
    let templated = template::is_templated(path);
    let templated = templated.ok_or_else(|| refused(Problem::Template(path.to_owned())))?;
    // A template is checked too: only its values are not known yet.
    let pattern = Pattern::parse(path).map_err(refused)?;
    let min_wrapping_ttl = wrapping_ttl(body, "min_wrapping_ttl")?;
    let max_wrapping_ttl = wrapping_ttl(body, "max_wrapping_ttl")?;
    if min_wrapping_ttl
        .zip(max_wrapping_ttl)
        .is_some_and(|(min, max)| max < min)
    {
        return Err(refused(Problem::WrappingOrder));
    }
    let subscribed = body.attribute("subscribe_event_types");
    texts("subscribe_event_types", subscribed)?;
    Ok(Rule {
        path: path.strip_prefix('/').unwrap_or(path).into(),
        at: block.at,
        pattern: (!templated).then_some(pattern),
        capabilities: capabilities(body)?,
        parameters: ParameterRules {
            allowed: parameter_values(body, "allowed_parameters")?,
            denied: parameter_values(body, "denied_parameters")?,
            required: required(body)?,
        },
        min_wrapping_ttl,
        max_wrapping_ttl,
        mfa_methods: texts("mfa_methods", body.attribute("mfa_methods"))?,
        expiration: body.attribute("expiration").map(expiration).transpose()?,
        pagination_limit: body
            .attribute("pagination_limit")
            .map(pagination_limit)
            .transpose()?,
    })
}

/// Refuses fields that are not known, set twice or labelled.
fn known_fields(body: &Body) -> Result<()> {
    let mut seen = BTreeSet::new();
    for item in &body.items {
        let refused = |problem| Err(PolicyError::new(item.at, problem));
        let field = item.key();
        if let Some(unsupported) = UNSUPPORTED.into_iter().find(|name| *name == field) {
            return refused(Problem::Unsupported(unsupported));
        }
        if !FIELDS.contains(&field) || (item.keys.len() > 1 && field != "comment") {
            return refused(Problem::UnknownField(field.to_owned()));
        }
        if !seen.insert(field) && !BLOCKS.contains(&field) {
            return refused(Problem::Duplicate(field.to_owned()));
        }
    }
    Ok(())
}

fn type_error(field: &str, expected: &'static str, value: &Value) -> PolicyError {
    let field = field.to_owned();
    PolicyError::new(
        value.at,
        Problem::Type {
            field,
            expected,
            found: value.kind_name(),
        },
    )
}

/// A string; a number is taken for its digits, as the other parser does.
fn text_of(field: &str, value: &Value) -> Result<String> {
    match &value.kind {
        ValueKind::String(text) => Ok(text.clone()),
        ValueKind::Integer(number) => Ok(number.to_string()),
        ValueKind::Float(number) => Ok(number.to_string()),
        _ => Err(type_error(field, "a string", value)),
    }
}

fn list_of<'a>(field: &str, value: Option<&'a Value>) -> Result<&'a [Value]> {
    match value {
        None => Ok(&[]),
        Some(value) => value
            .as_list()
            .ok_or_else(|| type_error(field, "a list", value)),
    }
}

fn texts(field: &str, value: Option<&Value>) -> Result<Vec<String>> {
    list_of(field, value)?
        .iter()
        .map(|value| text_of(field, value))
        .collect()
}

/// The capabilities, those of the old shorthand included. After a `deny` nothing is looked at.
fn capabilities(body: &Body) -> Result<CapabilitySet> {
    let mut set = match body.attribute("policy") {
        Some(value) => shorthand(&text_of("policy", value)?, value.at)?,
        None => CapabilitySet::NONE,
    };
    for value in list_of("capabilities", body.attribute("capabilities"))? {
        if set.denies() {
            break;
        }
        let name = text_of("capabilities", value)?;
        let unknown = || PolicyError::new(value.at, Problem::Capability(name.clone()));
        set = set.with(Capability::named(&name).ok_or_else(unknown)?);
    }
    Ok(set.merged(CapabilitySet::NONE))
}

fn shorthand(name: &str, at: Position) -> Result<CapabilitySet> {
    use Capability::{Create, Delete, Deny, List, Read, Sudo, Update};
    let set: &[Capability] = match name {
        "" => &[],
        "deny" => &[Deny],
        "read" => &[Read, List],
        "write" => &[Create, Read, Update, Delete, List],
        "sudo" => &[Create, Read, Update, Delete, List, Sudo],
        other => return Err(PolicyError::new(at, Problem::Shorthand(other.to_owned()))),
    };
    Ok(set.iter().copied().collect())
}

/// A time to live; nothing when it is missing, empty or 0.
fn wrapping_ttl(body: &Body, field: &str) -> Result<Option<Duration>> {
    let Some(value) = body.attribute(field) else {
        return Ok(None);
    };
    let text = text_of(field, value)?;
    if text.is_empty() {
        return Ok(None);
    }
    let refused = || {
        let problem = Problem::Duration {
            field: field.to_owned(),
            found: text.clone(),
        };
        PolicyError::new(value.at, problem)
    };
    let ttl = ttl_of(&text).ok_or_else(refused)?;
    Ok((!ttl.is_zero()).then_some(ttl))
}

/// A duration; in a policy, also seconds with a fraction and no unit, as a number of HCL is.
fn ttl_of(text: &str) -> Option<Duration> {
    let fraction = || Duration::try_from_secs_f64(text.parse().ok()?).ok();
    parse_duration(text).ok().or_else(fraction)
}

fn expiration(value: &Value) -> Result<Timestamp> {
    if let ValueKind::Integer(seconds) = value.kind {
        return Ok(Timestamp::from_unix_seconds(seconds));
    }
    let text = text_of("expiration", value)?;
    let refused = |_| PolicyError::new(value.at, Problem::Expiration(text.clone()));
    Timestamp::parse_rfc3339(&text).map_err(refused)
}

fn pagination_limit(value: &Value) -> Result<u64> {
    let text = text_of("pagination_limit", value)?;
    let refused = |_| PolicyError::new(value.at, Problem::PaginationLimit(text.clone()));
    text.parse().map_err(refused)
}

fn required(body: &Body) -> Result<BTreeSet<String>> {
    let field = "required_parameters";
    let value = body.attribute(field);
    let names = texts(field, value)?;
    if let Some(value) = value.filter(|_| names.len() > PARAMETERS_MAX) {
        return Err(PolicyError::new(value.at, Problem::TooManyParameters));
    }
    Ok(names.iter().map(|name| name.to_lowercase()).collect())
}

/// The values by parameter; several blocks are taken together.
fn parameter_values(body: &Body, field: &str) -> Result<BTreeMap<String, Vec<serde_json::Value>>> {
    let mut parameters = BTreeMap::new();
    for item in body
        .blocks(field, 0)?
        .iter()
        .flat_map(|block| &block.body.items)
    {
        let refused = |problem| Err(PolicyError::new(item.at, problem));
        if item.keys.len() > 1 {
            return refused(Problem::UnknownField(item.key().to_owned()));
        }
        let values = match &item.value.kind {
            ValueKind::List(values) => values.iter().map(json).collect(),
            ValueKind::Object(_) => vec![json(&item.value)],
            _ => return Err(type_error(item.key(), "a list of values", &item.value)),
        };
        if parameters
            .insert(item.key().to_lowercase(), values)
            .is_some()
        {
            return refused(Problem::DuplicateParameter(item.key().to_owned()));
        }
        if parameters.len() > PARAMETERS_MAX {
            return refused(Problem::TooManyParameters);
        }
    }
    Ok(parameters)
}

/// The value as JSON has it; the depth is that of the document.
fn json(value: &Value) -> serde_json::Value {
    match &value.kind {
        ValueKind::Null => serde_json::Value::Null,
        ValueKind::Bool(yes) => (*yes).into(),
        ValueKind::Integer(number) => (*number).into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::String(text) => text.as_str().into(),
        ValueKind::List(values) => values.iter().map(json).collect(),
        ValueKind::Object(body) => body
            .items
            .iter()
            .map(|item| (item.key().to_owned(), json(&item.value)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_a_duration_or_seconds_with_a_fraction() {
        for (written, millis) in [
            (r#""1h30m""#, 5_400_000),
            ("300", 300_000),
            ("1.5", 1_500),
            (r#""1.5""#, 1_500),
            (r#""250ms""#, 250),
        ] {
            let text = format!(r#"path "a" {{ min_wrapping_ttl = {written} }}"#);
            let policy = parse("p", &text).unwrap();
            let ttl = policy.rules().first().unwrap().min_wrapping_ttl;
            assert_eq!(ttl, Some(Duration::from_millis(millis)), "{written}");
        }
        for text in ["x", " 1h", "-1s", "-1", "1e400", "99999999999999999999"] {
            assert_eq!(ttl_of(text), None, "{text}");
        }
    }
}
