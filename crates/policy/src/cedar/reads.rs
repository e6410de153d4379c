//! [`Reads`]: what of a request a statement can look at, so that nothing else is made ready for it.

use cedar_policy::Policy;
use serde_json::Value;

/// The attributes of the context, each with its bit.
const ATTRIBUTES: [(&str, u8); 6] = [
    ("ttl", Reads::TTL),
    ("time", Reads::TIME),
    ("ip", Reads::IP),
    ("mfa", Reads::MFA),
    ("parameters", Reads::PARAMETERS),
    ("wrap_ttl", Reads::WRAP_TTL),
];

/// The most characters of operators of a statement that is looked through: each may be a level of the
/// expression, and Cedar's JSON form takes a stack that grows with them.
const OPERATORS_MAX: usize = 256;

/// What of a request a statement can look at, beside who, what and which.
///
/// INVARIANT: says no only of what no evaluation can come to. What is not understood counts as
/// everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reads {
    /// Attributes of the context.
    pub(super) context: u8,
    /// The attributes of the resource.
    pub(super) resource: bool,
    /// The tags of the parameters.
    pub(super) tags: bool,
    /// What is above the caller and the resource, beyond what heads name.
    pub(super) hierarchy: bool,
}

impl Reads {
    pub(super) const TTL: u8 = 1;
    pub(super) const TIME: u8 = 1 << 1;
    pub(super) const IP: u8 = 1 << 2;
    pub(super) const MFA: u8 = 1 << 3;
    pub(super) const PARAMETERS: u8 = 1 << 4;
    pub(super) const WRAP_TTL: u8 = 1 << 5;

    const EVERYTHING: Self = Self {
        context: u8::MAX,
        resource: true,
        tags: true,
        hierarchy: true,
    };

    /// What the conditions of a statement can look at; its head looks at none of this.
    pub(super) fn of(policy: &Policy, text: &str) -> Self {
        let operators = text.bytes().filter(|byte| b"&|=.+-*<>![".contains(byte));
        if operators.count() > OPERATORS_MAX {
            return Self::EVERYTHING;
        }
        let mut reads = Self::default();
        match policy.to_json() {
            Ok(json) => match json.get("conditions") {
                Some(conditions) => reads.walk(conditions),
                None => reads = Self::EVERYTHING,
            },
            Err(_) => reads = Self::EVERYTHING,
        }
        reads
    }

    /// These and those.
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            context: self.context | other.context,
            resource: self.resource || other.resource,
            tags: self.tags || other.tags,
            hierarchy: self.hierarchy || other.hierarchy,
        }
    }

    /// Whether this attribute of the context is among them.
    pub(super) fn has(self, attribute: u8) -> bool {
        self.context & attribute != 0
    }

    /// Looks through an expression in Cedar's JSON form.
    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(members) => {
                for (key, inner) in members {
                    self.member(key, inner);
                }
            }
            _ => {}
        }
    }

    fn member(&mut self, key: &str, inner: &Value) {
        match (key, inner) {
            // `context.ttl` and its like: of the context, only that.
            (".", inner) if is_var(inner.get("left"), "context") => {
                let name = inner.get("attr").and_then(Value::as_str);
                let known = ATTRIBUTES.iter().find(|(known, _)| Some(*known) == name);
                self.context |= known.map_or(u8::MAX, |(_, bit)| *bit);
            }
            (".", inner) if is_var(inner.get("left"), "resource") => self.resource = true,
            ("Var", Value::String(name)) => match name.as_str() {
                "context" => self.context = u8::MAX,
                "resource" => (self.resource, self.hierarchy) = (true, true),
                _ => self.hierarchy = true,
            },
            // An entity that is named may be the very one that is asked for.
            ("__entity", inner) => {
                (self.resource, self.hierarchy) = (true, true);
                self.walk(inner);
            }
            ("hasTag" | "getTag", inner) => {
                self.tags = true;
                self.walk(inner);
            }
            (_, inner) => self.walk(inner),
        }
    }
}

fn is_var(expression: Option<&Value>, name: &str) -> bool {
    let named = expression.and_then(|expression| expression.get("Var"));
    named.and_then(Value::as_str) == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(conditions: &str) -> Reads {
        let text = format!("permit (principal, action, resource) {conditions};");
        Reads::of(&Policy::parse(None, &text).unwrap(), &text)
    }

    fn context(context: u8) -> Reads {
        Reads {
            context,
            ..Reads::default()
        }
    }

    #[test]
    fn only_what_can_be_looked_at_is_read() {
        assert_eq!(reads(""), Reads::default());
        assert_eq!(reads("when { principal in Role::\"a\" }").context, 0);
        assert_eq!(reads("unless { context.mfa }"), context(Reads::MFA));
        assert_eq!(
            reads("when { context[\"m\\u{66}a\"] }"),
            context(Reads::MFA)
        );
        let two = "when { context.ttl < duration(\"1h\") } unless { context.ip.isIpv4() }";
        assert_eq!(reads(two), context(Reads::TTL | Reads::IP));
        let path = reads("when { resource.path == \"a\" }");
        assert!(path.resource && !path.hierarchy);
        for condition in ["Secret::\"a\".path == \"a\"", "resource in Secret::\"a\""] {
            let found = reads(&format!("when {{ {condition} }}"));
            assert!(found.resource && found.hierarchy, "{condition}");
        }
        assert!(reads("when { principal in Role::\"a\" }").hierarchy);
        let tags = reads("when { context.parameters.hasTag(\"a\") }");
        assert_eq!((tags.context, tags.tags), (Reads::PARAMETERS, true));
    }

    #[test]
    fn the_longest_that_is_looked_through_fits_a_thread() {
        let small = std::thread::Builder::new().stack_size(2 << 20);
        let run = || {
            for (item, width) in [("&&context.mfa", 3), ("+1", 1), (".a", 1), ("||true", 2)] {
                let count = OPERATORS_MAX / width;
                let chain = |count: usize| {
                    let start = if item == ".a" { "principal" } else { "1" };
                    reads(&format!("when {{ {start}{} }}", item.repeat(count)))
                };
                assert!(chain(count) != Reads::EVERYTHING, "{item}");
                assert_eq!(chain(count + 1), Reads::EVERYTHING, "{item}");
            }
        };
        small.spawn(run).unwrap().join().unwrap();
    }

    #[test]
    fn what_is_not_plain_is_everything() {
        for condition in [
            "(if true then context else context).mfa",
            "context has mfa",
            "context == context",
            "{a: context}.a.mfa",
            "context.unheard_of",
        ] {
            let found = reads(&format!("when {{ {condition} }}"));
            assert_eq!(found.context, u8::MAX, "{condition}");
        }
    }
}
