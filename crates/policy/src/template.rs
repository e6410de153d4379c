//! Templates in paths: `{{identity.entity.id}}` and its like.
//!
//! What is put in cannot hold `*` or `+`: nobody widens a rule by the name they choose.

use std::collections::BTreeMap;

/// What templates can name.
#[derive(Debug, Clone, Default)]
pub struct TemplateValues {
    /// The caller's entity, if there is one.
    pub entity: Option<EntityValues>,
    /// The groups the entity is in.
    pub groups: Vec<GroupValues>,
}

/// An entity.
#[derive(Debug, Clone, Default)]
pub struct EntityValues {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its aliases by the accessor of their mount.
    pub aliases: BTreeMap<String, AliasValues>,
}

/// An alias of an entity.
#[derive(Debug, Clone, Default)]
pub struct AliasValues {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Metadata from the auth method.
    pub metadata: BTreeMap<String, String>,
    /// Metadata that was set through the API.
    pub custom_metadata: BTreeMap<String, String>,
}

/// A group.
#[derive(Debug, Clone, Default)]
pub struct GroupValues {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
}

/// Whether there is a template; `None` when one lacks its other half.
pub(crate) fn is_templated(path: &str) -> Option<bool> {
    let mut parts = path.split("{{");
    let before = parts.next().unwrap_or_default();
    let closed = |part: &str| part.matches("}}").count() == 1;
    (!before.contains("}}") && parts.all(closed)).then(|| path.contains("{{"))
}

/// The path with the values of its selectors; `None` when one of them is not there or may not be put in.
pub(crate) fn fill<'v>(path: &str, value_of: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
    let mut parts = path.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (selector, rest) = part.split_once("}}")?;
        let value = value_of(selector.trim())?;
        if value.is_empty() || value.contains(['*', '+']) {
            return None;
        }
        filled.push_str(value);
        filled.push_str(rest);
    }
    Some(filled)
}

impl TemplateValues {
    pub(crate) fn select(&self, selector: &str) -> Option<&str> {
        let selector = selector.strip_prefix("identity.")?;
        // A group is one the entity is in: without an entity there is none.
        let entity = self.entity.as_ref()?;
        if let Some(selector) = selector.strip_prefix("entity.") {
            return entity.select(selector);
        }
        let (by, rest) = selector.strip_prefix("groups.")?.split_once('.')?;
        let (key, selector) = rest.split_once('.')?;
        let mut groups = self.groups.iter();
        match by {
            "ids" => groups
                .find(|group| group.id == key)?
                .select(selector, "name"),
            "names" => groups
                .find(|group| group.name == key)?
                .select(selector, "id"),
            _ => None,
        }
    }
}

impl EntityValues {
    fn select(&self, selector: &str) -> Option<&str> {
        match selector {
            "id" => return Some(&self.id),
            "name" => return Some(&self.name),
            _ => {}
        }
        if let Some(key) = selector.strip_prefix("metadata.") {
            return self.metadata.get(key).map(String::as_str);
        }
        let (accessor, selector) = selector.strip_prefix("aliases.")?.split_once('.')?;
        let alias = self.aliases.get(accessor)?;
        match (selector, selector.split_once('.')) {
            ("id", _) => Some(&alias.id),
            ("name", _) => Some(&alias.name),
            (_, Some(("metadata", key))) => alias.metadata.get(key).map(String::as_str),
            (_, Some(("custom_metadata", key))) => {
                alias.custom_metadata.get(key).map(String::as_str)
            }
            _ => None,
        }
    }
}

impl GroupValues {
    /// A group found by its name gives its identifier, and the other way round.
    fn select(&self, selector: &str, other: &str) -> Option<&str> {
        match selector.strip_prefix("metadata.") {
            Some(key) => self.metadata.get(key).map(String::as_str),
            None if selector != other => None,
            None if other == "id" => Some(&self.id),
            None => Some(&self.name),
        }
    }
}
