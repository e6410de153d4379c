//! [`Vocabulary`]: the schema, made ready, and the actions in it.

use super::CedarProblem;
use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, Schema, Validator};
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::LazyLock;

/// The schema as it is shipped.
const SCHEMA: &str = include_str!("secretum.cedarschema");

static VOCABULARY: LazyLock<Result<Vocabulary, String>> = LazyLock::new(Vocabulary::load);

/// An action that a request can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Action(u8);

/// Whether the schema has an action of this name that a request can ask for.
pub fn is_action(name: &str) -> bool {
    Action::named(name).is_some()
}

impl Action {
    /// The action of this name, if the schema has it and it is no group.
    pub fn named(name: &str) -> Option<Self> {
        Vocabulary::get().ok()?.by_name.get(name).copied()
    }

    /// Every action.
    pub fn all() -> impl Iterator<Item = Self> {
        let actions = Vocabulary::get().map_or(0, |vocabulary| vocabulary.actions.len());
        (0..actions).filter_map(|at| u8::try_from(at).ok().map(Self))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |entry| entry.name.as_str())
    }

    pub(super) fn entry(self) -> Option<&'static ActionEntry> {
        let vocabulary = Vocabulary::get().ok()?;
        vocabulary.actions.get(usize::from(self.0))
    }
}

/// An action, ready to be asked with.
#[derive(Debug)]
pub(super) struct ActionEntry {
    name: String,
    pub(super) uid: EntityUid,
    /// With its groups.
    pub(super) entity: Entity,
}

/// The names of the entity types, parsed.
#[derive(Debug)]
pub(super) struct Types {
    pub(super) group: EntityTypeName,
    pub(super) role: EntityTypeName,
    pub(super) user: EntityTypeName,
    pub(super) service: EntityTypeName,
    pub(super) token: EntityTypeName,
    pub(super) secret: EntityTypeName,
    pub(super) parameters: EntityTypeName,
}

impl Types {
    fn load() -> Result<Self, String> {
        let name = |text: &str| EntityTypeName::from_str(text).map_err(|e| e.to_string());
        Ok(Self {
            group: name("Group")?,
            role: name("Role")?,
            user: name("User")?,
            service: name("Service")?,
            token: name("Token")?,
            secret: name("Secret")?,
            parameters: name("Parameters")?,
        })
    }
}

/// The entity of a type and an id, whatever characters that has.
pub(super) fn entity(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// The schema, made ready.
pub(super) struct Vocabulary {
    pub(super) validator: Validator,
    pub(super) types: Types,
    actions: Vec<ActionEntry>,
    by_name: HashMap<String, Action>,
    /// The actions that an action or a group of actions stands for.
    members: HashMap<EntityUid, Vec<Action>>,
}

impl Vocabulary {
    /// **Errors**: [`CedarProblem::Schema`], which a test sees to that it never comes.
    pub(super) fn get() -> Result<&'static Self, CedarProblem> {
        VOCABULARY
            .as_ref()
            .map_err(|error| CedarProblem::Schema(error.clone()))
    }

    /// The actions that a head means which names this; none where it is not known.
    pub(super) fn members(&self, uid: &EntityUid) -> &[Action] {
        self.members.get(uid).map_or(&[], Vec::as_slice)
    }

    fn load() -> Result<Self, String> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| e.to_string())?;
        let entities = schema.action_entities().map_err(|e| e.to_string())?;
        let groups: Vec<EntityUid> = schema.action_groups().cloned().collect();
        // By name, so that the numbers of actions do not depend on a hash.
        let mut named: BTreeMap<String, Entity> = BTreeMap::new();
        for entity in entities.iter().filter(|e| !groups.contains(&e.uid())) {
            named.insert(entity.uid().id().unescaped().to_owned(), entity.clone());
        }
        let mut vocabulary = Self {
            validator: Validator::new(schema),
            types: Types::load()?,
            actions: Vec::new(),
            by_name: HashMap::new(),
            members: HashMap::new(),
        };
        for (name, entity) in named {
            let at = u8::try_from(vocabulary.actions.len()).map_err(|e| e.to_string())?;
            let above = entities.ancestors(&entity.uid()).into_iter().flatten();
            for uid in above.cloned().chain([entity.uid()]) {
                vocabulary.members.entry(uid).or_default().push(Action(at));
            }
            vocabulary.by_name.insert(name.clone(), Action(at));
            let uid = entity.uid();
            vocabulary.actions.push(ActionEntry { name, uid, entity });
        }
        Ok(vocabulary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_every_verb_and_its_groups_are_no_actions() {
        assert!(Vocabulary::get().is_ok(), "{:?}", Vocabulary::get().err());
        for verb in [
            "create", "read", "update", "patch", "delete", "list", "scan", "sudo",
        ] {
            assert_eq!(Action::named(verb).unwrap().name(), verb);
        }
        for verb in ["generate", "sign", "encrypt", "decrypt", "rotate"] {
            assert!(is_action(verb), "{verb}");
        }
        for group in ["view", "edit", "use", "", "Read"] {
            assert!(!is_action(group), "{group}");
        }
        let vocabulary = Vocabulary::get().unwrap();
        let members = |text: &str| {
            let uid = EntityUid::from_str(text).unwrap();
            let members = vocabulary.members(&uid).iter();
            members.map(|action| action.name()).collect::<Vec<_>>()
        };
        assert_eq!(members("Action::\"view\""), ["list", "read", "scan"]);
        assert_eq!(members("Action::\"read\""), ["read"]);
        assert!(members("Action::\"fly\"").is_empty());
    }
}
