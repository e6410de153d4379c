//! [`Rights`]: which operations on which keys.

use secretum_kms::KmsOperation;
use std::fmt;

/// What a caller may be permitted to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Encrypting.
    Encrypt,
    /// Decrypting.
    Decrypt,
    /// Making data keys.
    GenerateKey,
    /// Opening data keys.
    DecryptKey,
    /// Encrypting anew; asked of the old key and of the new one.
    ReEncrypt,
    /// Rotating a key.
    Rotate,
    /// Having the data key of an identifier, which stands in the place of a key.
    DataKey,
    /// Seeing status and metrics; of no key.
    Status,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 8] = [
        Self::Encrypt,
        Self::Decrypt,
        Self::GenerateKey,
        Self::DecryptKey,
        Self::ReEncrypt,
        Self::Rotate,
        Self::DataKey,
        Self::Status,
    ];

    /// Its name in the configuration, which is the end of its path over HTTP too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::GenerateKey => "generate-key",
            Self::DecryptKey => "decrypt-key",
            Self::ReEncrypt => "re-encrypt",
            Self::Rotate => "rotate",
            Self::DataKey => "data-key",
            Self::Status => "status",
        }
    }

    /// What an audit record calls it.
    pub(crate) fn audited(self) -> KmsOperation {
        match self {
            Self::Encrypt => KmsOperation::Encrypt,
            Self::Decrypt => KmsOperation::Decrypt,
            Self::GenerateKey | Self::DataKey => KmsOperation::GenerateDataKey,
            Self::DecryptKey => KmsOperation::DecryptDataKey,
            Self::ReEncrypt => KmsOperation::ReEncrypt,
            Self::Rotate => KmsOperation::RotateKey,
            Self::Status => KmsOperation::HealthCheck,
        }
    }

    /// The operation of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.name() == name)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Operations, and the keys on which they are permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The operations.
    pub operations: Vec<Operation>,
    /// The keys.
    pub keys: Vec<KeyPattern>,
}

/// A key, all keys whose identifier begins so (`team-*`), or all of them (`*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPattern {
    /// This one.
    Is(String),
    /// Those that begin so.
    Begins(String),
}

impl KeyPattern {
    /// Reads a pattern; `None` where `*` stands elsewhere than at the end, or there is nothing.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('*') {
            Some(begin) if !begin.contains('*') => Some(Self::Begins(begin.to_owned())),
            None if !text.is_empty() && !text.contains('*') => Some(Self::Is(text.to_owned())),
            _ => None,
        }
    }

    fn fits(&self, key: &str) -> bool {
        match self {
            Self::Is(is) => key == is,
            Self::Begins(begin) => key.starts_with(begin.as_str()),
        }
    }
}

/// All that a caller may do. What no rule permits is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rights(Vec<Rule>);

impl Rights {
    /// What these rules permit.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// Everything, on every key.
    pub fn all() -> Self {
        Self(vec![Rule {
            operations: Operation::ALL.to_vec(),
            keys: vec![KeyPattern::Begins(String::new())],
        }])
    }

    /// Whether this operation is permitted on some key at all.
    pub fn permit_any(&self, operation: Operation) -> bool {
        self.0
            .iter()
            .any(|rule| rule.operations.contains(&operation))
    }

    /// Whether this operation is permitted on this key.
    pub fn permit(&self, operation: Operation, key: &str) -> bool {
        self.0.iter().any(|rule| {
            rule.operations.contains(&operation) && rule.keys.iter().any(|own| own.fits(key))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(operations: &[Operation], keys: &[&str]) -> Rule {
        Rule {
            operations: operations.to_vec(),
            keys: keys
                .iter()
                .map(|key| KeyPattern::parse(key).unwrap())
                .collect(),
        }
    }

    #[test]
    fn a_rule_permits_its_operations_on_its_keys_alone() {
        let rights = Rights::new(vec![
            rule(&[Operation::Encrypt], &["orders", "team-*"]),
            rule(&[Operation::Decrypt], &["orders"]),
        ]);
        assert!(rights.permit(Operation::Encrypt, "team-"));
        assert!(
            rights.permit(Operation::Encrypt, "team-a")
                && rights.permit(Operation::Decrypt, "orders")
        );
        for (operation, key) in [
            (Operation::Decrypt, "team-a"),
            (Operation::Encrypt, "team"),
            (Operation::Encrypt, "orders2"),
            (Operation::Encrypt, "order"),
            (Operation::Rotate, "orders"),
        ] {
            assert!(!rights.permit(operation, key), "{operation} {key}");
        }
        assert!(
            !rights.permit_any(Operation::Status)
                && !Rights::default().permit_any(Operation::Encrypt)
        );
        assert!(Rights::all().permit(Operation::Rotate, "any"));
    }

    #[test]
    fn patterns_have_their_star_at_the_end() {
        for wrong in ["", "*a", "a*b*", "a*b", "**"] {
            assert_eq!(KeyPattern::parse(wrong), None, "{wrong}");
        }
        assert_eq!(
            KeyPattern::parse("*"),
            Some(KeyPattern::Begins(String::new()))
        );
    }
}
