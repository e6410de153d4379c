//! Roles: what tokens made by them may carry, whoever makes them.
//!
//! A role is stored at `sys/token/role/<name>`.

use super::record::TokenKind;
use crate::limits::{check, check_life, check_names};
use schemars::JsonSchema;
use secretum_api::fields::AddressRange;
use secretum_engine::{Fault, MountStorage, Record, expect, to_json};
use secretum_storage::{Batch, Key, Storage, StorageError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const FOLDER: &str = "sys/token/role/";

/// The longest name of a role, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// The longest end of a path, in bytes.
const SUFFIX_BYTES_MAX: usize = 128;

/// Which kind of token a role makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RoleType {
    /// A service token, unless another kind is asked for.
    #[default]
    #[serde(alias = "")]
    #[serde(alias = "default")]
    DefaultService,
    /// A batch token, unless another kind is asked for.
    DefaultBatch,
    /// A service token, whatever is asked for.
    Service,
    /// A batch token, whatever is asked for.
    Batch,
}

impl RoleType {
    /// The kind of a token that asks for this one, or for none.
    pub(crate) fn kind(self, asked: Option<TokenKind>) -> TokenKind {
        match self {
            Self::Service => TokenKind::Service,
            Self::Batch => TokenKind::Batch,
            Self::DefaultService => asked.unwrap_or(TokenKind::Service),
            Self::DefaultBatch => asked.unwrap_or(TokenKind::Batch),
        }
    }
}

/// A role as it is stored. Lives are seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Role {
    pub(crate) allowed_policies: Vec<String>,
    pub(crate) allowed_policies_glob: Vec<String>,
    pub(crate) disallowed_policies: Vec<String>,
    pub(crate) disallowed_policies_glob: Vec<String>,
    pub(crate) allowed_entity_aliases: Vec<String>,
    pub(crate) orphan: bool,
    pub(crate) renewable: bool,
    pub(crate) path_suffix: String,
    pub(crate) bound_cidrs: Vec<AddressRange>,
    /// Whether they were last written by the older name, under which they are then read, too.
    pub(crate) shows_older_bound_cidrs: bool,
    pub(crate) explicit_max_ttl: u64,
    pub(crate) period: u64,
    pub(crate) num_uses: u32,
    pub(crate) no_default_policy: bool,
    pub(crate) kind: RoleType,
}

impl Default for Role {
    fn default() -> Self {
        Self {
            allowed_policies: Vec::new(),
            allowed_policies_glob: Vec::new(),
            disallowed_policies: Vec::new(),
            disallowed_policies_glob: Vec::new(),
            allowed_entity_aliases: Vec::new(),
            orphan: false,
            renewable: true,
            path_suffix: String::new(),
            bound_cidrs: Vec::new(),
            shows_older_bound_cidrs: false,
            explicit_max_ttl: 0,
            period: 0,
            num_uses: 0,
            no_default_policy: false,
            kind: RoleType::default(),
        }
    }
}

impl Role {
    /// Refuses a role that carries too much, or could make no token.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        for (setting, names) in [
            ("allowed_policies", &self.allowed_policies),
            ("allowed_policies_glob", &self.allowed_policies_glob),
            ("disallowed_policies", &self.disallowed_policies),
            ("disallowed_policies_glob", &self.disallowed_policies_glob),
            ("allowed_entity_aliases", &self.allowed_entity_aliases),
        ] {
            check_names(setting, names)?;
        }
        check(self.bound_cidrs.len() <= CIDRS_MAX, || {
            format!("`token_bound_cidrs` has at most {CIDRS_MAX} blocks")
        })?;
        check_life("token_explicit_max_ttl", self.explicit_max_ttl)?;
        check_life("token_period", self.period)?;
        let suffix = self.path_suffix.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
        check(
            suffix.len() <= SUFFIX_BYTES_MAX && suffix.iter().all(plain),
            || {
                format!(
                    "`path_suffix` has at most {SUFFIX_BYTES_MAX} letters, digits, `_`, `-` and `.`"
                )
            },
        )?;
        if self.kind == RoleType::Batch {
            self.check_batch()?;
        }
        Ok(())
    }

    fn check_batch(&self) -> Result<(), Fault> {
        for (setting, is_set) in [
            ("token_period", self.period > 0),
            ("token_explicit_max_ttl", self.explicit_max_ttl > 0),
            ("token_num_uses", self.num_uses > 0),
        ] {
            check(!is_set, || {
                format!("a role of type `batch` cannot have `{setting}` set")
            })?;
        }
        // A batch token ends with no parent and at its time.
        check(self.orphan, || {
            "a role of type `batch` makes orphans alone: set `orphan` to true".to_owned()
        })?;
        check(!self.renewable, || {
            "a role of type `batch` makes tokens that are not renewed: set `renewable` to false"
                .to_owned()
        })?;
        Ok(())
    }

    /// Whether the role has rules of its own for policies: then what the maker holds does not count.
    fn has_policy_rules(&self) -> bool {
        [
            &self.allowed_policies,
            &self.allowed_policies_glob,
            &self.disallowed_policies,
            &self.disallowed_policies_glob,
        ]
        .iter()
        .any(|names| !names.is_empty())
    }

    /// The policies of a token that asks for these, sorted; `None` where the role has no rules.
    ///
    /// **Errors**: [`Fault::Invalid`] where the role does not give one of them.
    pub(crate) fn policies(
        &self,
        asked: &[String],
        makers: &[String],
        without_default: bool,
    ) -> Result<Option<Vec<String>>, Fault> {
        if !self.has_policy_rules() {
            return Ok(None);
        }
        let adds_default =
            !without_default && !self.no_default_policy && !self.disallows("default");
        let with_default = |names: &[String]| {
            let mut names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
            names.extend(adds_default.then(|| "default".to_owned()));
            names.sort_unstable();
            names.dedup();
            names
        };
        let limited = !self.allowed_policies.is_empty() || !self.allowed_policies_glob.is_empty();
        let policies = match (asked, limited) {
            ([], true) => with_default(&self.allowed_policies),
            ([], false) => with_default(makers),
            (asked, _) => with_default(asked),
        };
        for policy in &policies {
            let is_added = adds_default && policy == "default";
            if limited && !is_added && !self.allows(policy) {
                return Err(Fault::invalid(format!(
                    "the role does not allow the policy \"{policy}\""
                )));
            }
            if self.disallows(policy) {
                return Err(Fault::invalid(format!(
                    "token policy \"{policy}\" is disallowed by this role"
                )));
            }
        }
        Ok(Some(policies))
    }

    fn allows(&self, policy: &str) -> bool {
        holds(&self.allowed_policies, &self.allowed_policies_glob, policy)
    }

    fn disallows(&self, policy: &str) -> bool {
        let (names, globs) = (&self.disallowed_policies, &self.disallowed_policies_glob);
        holds(names, globs, policy)
    }
}

/// The most blocks of addresses of a role.
const CIDRS_MAX: usize = 64;

fn holds(names: &[String], globs: &[String], policy: &str) -> bool {
    let is_named = names.iter().any(|name| name.eq_ignore_ascii_case(policy));
    is_named
        || globs
            .iter()
            .any(|glob| matches(&glob.to_lowercase(), policy))
}

/// Whether a text is of this form, in which `*` stands for any characters.
fn matches(glob: &str, text: &str) -> bool {
    let Some((first, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The first place where each part stands leaves the most for those behind it.
    for part in middle.split('*') {
        match text.split_once(part) {
            Some((_, behind)) => text = behind,
            None => return false,
        }
    }
    text.ends_with(last)
}

/// The roles of a vault.
#[derive(Debug)]
pub(crate) struct Roles {
    store: MountStorage,
}

impl Roles {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Result<Self, StorageError> {
        let store = MountStorage::new(storage, Key::try_from(FOLDER)?);
        Ok(Self { store })
    }

    /// The role of this name, and its record.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<(Role, Record)>, Fault> {
        match self.store.get(name).await? {
            Some(record) => Ok(Some((record.json()?, record))),
            None => Ok(None),
        }
    }

    /// What stores a role in the place of what was read.
    pub(crate) fn put(
        &self,
        name: &str,
        role: &Role,
        old: Option<&Record>,
    ) -> Result<Batch, Fault> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        check(
            name.len() <= NAME_BYTES_MAX && name.bytes().all(is_name),
            || {
                format!(
                    "the name of a role has at most {NAME_BYTES_MAX} letters, digits, `_`, `-` and `.`"
                )
            },
        )?;
        role.check()?;
        Ok(Batch::new().put_if(self.store.key(name)?, expect(old), to_json(role)?))
    }

    /// What removes a role.
    pub(crate) fn remove(&self, name: &str) -> Result<Batch, Fault> {
        Ok(Batch::new().delete(self.store.key(name)?))
    }

    /// Names of all roles, sorted.
    pub(crate) async fn names(&self) -> Result<Vec<String>, Fault> {
        self.store.children("", None, None).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (glob, text, expected) in [
            ("dev", "dev", true),
            ("dev", "dev-1", false),
            ("dev*", "dev", true),
            ("dev*", "device", true),
            ("*dev", "dev", true),
            ("*dev", "my-dev", true),
            ("*dev", "my-devs", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("*", "", true),
            ("**", "anything", true),
            ("*x*", "axb", true),
            ("*x*", "ab", false),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn the_role_decides_where_it_has_rules() {
        let role = |allowed: &str, glob: &str, disallowed: &str| Role {
            allowed_policies: names(allowed),
            allowed_policies_glob: names(glob),
            disallowed_policies: names(disallowed),
            ..Role::default()
        };
        let given = |role: &Role, asked: &str| {
            let given = role.policies(&names(asked), &names("maker"), false);
            given.map(|policies| policies.map(|policies| policies.join(" ")))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(given(&role("", "", ""), "any").unwrap(), None);
        let limited = role("dev test", "app-*", "");
        assert_eq!(given(&limited, "").unwrap(), some("default dev test"));
        assert_eq!(given(&limited, "dev").unwrap(), some("default dev"));
        assert_eq!(
            given(&limited, "App-1 dev").unwrap(),
            some("app-1 default dev")
        );
        assert!(given(&limited, "dev prod").is_err());
        let open = role("", "", "root default");
        assert_eq!(given(&open, "").unwrap(), some("maker"));
        assert_eq!(given(&open, "other").unwrap(), some("other"));
        assert!(given(&open, "root").is_err());
        assert!(given(&open, "default").is_err());
        let without = limited.policies(&names("dev"), &[], true).unwrap();
        assert_eq!(without, Some(names("dev")));
        let without = Role {
            no_default_policy: true,
            ..role("dev test", "", "")
        };
        assert_eq!(given(&without, "").unwrap(), some("dev test"));
        let not_all = Role {
            disallowed_policies_glob: names("prod-*"),
            ..Role::default()
        };
        assert_eq!(given(&not_all, "dev").unwrap(), some("default dev"));
        assert!(given(&not_all, "dev Prod-1").is_err());
        // It has no rules, so that it says nothing of `default` either.
        let no_rules = Role {
            no_default_policy: true,
            ..Role::default()
        };
        assert_eq!(given(&no_rules, "dev").unwrap(), None);
    }
}
