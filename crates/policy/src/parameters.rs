//! Rules over the parameters of a request.

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The parameters of a request: the top-level fields of its body and query.
pub trait Parameters {
    /// Their names.
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_>;

    /// The JSON text of one.
    fn json(&self, name: &str) -> Option<Cow<'_, str>>;
}

impl Parameters for BTreeMap<String, Box<RawValue>> {
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.keys().map(String::as_str))
    }

    fn json(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(|value| Cow::Borrowed(value.get()))
    }
}

impl<S: std::hash::BuildHasher> Parameters for HashMap<String, Box<RawValue>, S> {
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.keys().map(String::as_str))
    }

    fn json(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(|value| Cow::Borrowed(value.get()))
    }
}

impl Parameters for Map<String, Value> {
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.keys().map(String::as_str))
    }

    fn json(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(|value| Cow::Owned(value.to_string()))
    }
}

/// The name that stands for every parameter not named.
const ANY: &str = "*";

/// Which parameters a rule allows, denies and requires.
///
/// **Shape**: names are in lower case; an empty list of values means any value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParameterRules {
    /// When not empty, only these are allowed, with these values; `*` allows the rest.
    pub allowed: BTreeMap<String, Vec<Value>>,
    /// These are denied with these values; `*` denies any parameter.
    pub denied: BTreeMap<String, Vec<Value>>,
    /// These must be there.
    pub required: BTreeSet<String>,
}

impl ParameterRules {
    /// Adds the rules of another policy for the same path: every list grows, and a list that is empty
    /// on either side stays empty.
    pub(crate) fn merge(&mut self, other: &Self) {
        merge_values(&mut self.allowed, &other.allowed);
        merge_values(&mut self.denied, &other.denied);
        self.required.extend(other.required.iter().cloned());
    }

    /// The name of the first parameter that is missing, denied or not allowed.
    pub(crate) fn refuses(&self, parameters: Option<&dyn Parameters>) -> Option<String> {
        if self.allowed.is_empty() && self.denied.is_empty() && self.required.is_empty() {
            return None;
        }
        let given = |name: &&String| parameters.is_some_and(|all| all.json(name).is_some());
        if let Some(missing) = self.required.iter().find(|name| !given(name)) {
            return Some(missing.clone());
        }
        let parameters = parameters?;
        let refused = |name: &&str| self.refuses_one(name, parameters);
        parameters.names().find(refused).map(str::to_owned)
    }

    fn refuses_one(&self, name: &str, parameters: &dyn Parameters) -> bool {
        if self.denied.contains_key(ANY) {
            return true;
        }
        let lower = name.to_lowercase();
        let (denied, allowed) = (self.denied.get(&lower), self.allowed.get(&lower));
        // The value is parsed only where a rule looks at it. One that cannot be held, such as a text
        // with half a surrogate pair or a number beyond a float, passes no rule over values.
        let value = || -> Option<Value> { serde_json::from_str(&parameters.json(name)?).ok() };
        let has = |values: &[Value], unheld| value().map_or(unheld, |own| contains(values, &own));
        if denied.is_some_and(|values| values.is_empty() || has(values, true)) {
            return true;
        }
        // `*` alone lets everything through, whatever its values.
        let all = self.allowed.contains_key(ANY);
        if self.allowed.is_empty() || (all && self.allowed.len() == 1) {
            return false;
        }
        match allowed {
            Some(values) => !values.is_empty() && !has(values, false),
            None => !all,
        }
    }
}

fn merge_values(into: &mut BTreeMap<String, Vec<Value>>, from: &BTreeMap<String, Vec<Value>>) {
    for (name, values) in from {
        match into.get_mut(name) {
            None => {
                into.insert(name.clone(), values.clone());
            }
            Some(existing) if existing.is_empty() || values.is_empty() => existing.clear(),
            Some(existing) => existing.extend(values.iter().cloned()),
        }
    }
}

fn contains(values: &[Value], value: &Value) -> bool {
    values.iter().any(|rule| match (rule, value) {
        (Value::String(rule), Value::String(text)) => glob_matches(rule, text),
        (rule, value) => same(rule, value),
    })
}

/// Whether the text fits: `*x` ends, `x*` begins, `*x*` holds; a lone `*` is itself.
fn glob_matches(rule: &str, text: &str) -> bool {
    if rule.len() < 2 {
        return rule == text;
    }
    match (rule.strip_prefix('*'), rule.strip_suffix('*')) {
        (Some(rest), Some(_)) => text.contains(rest.strip_suffix('*').unwrap_or(rest)),
        (Some(suffix), None) => text.ends_with(suffix),
        (None, Some(prefix)) => text.starts_with(prefix),
        (None, None) => rule == text,
    }
}

/// Equality, with numbers compared by value.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || (one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let equal = |(name, value): (&String, &Value)| {
                other.get(name).is_some_and(|other| same(value, other))
            };
            one.len() == other.len() && one.iter().all(equal)
        }
        (one, other) => one == other,
    }
}
