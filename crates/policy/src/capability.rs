//! What a rule can grant.

use std::fmt;

/// One right over a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Make what is not there yet.
    Create,
    /// Refuse everything, whatever other policies grant.
    Deny,
    /// Remove.
    Delete,
    /// List the names below.
    List,
    /// Change a part.
    Patch,
    /// Read.
    Read,
    /// Bring a secret back from a snapshot; no operation here asks for it.
    Recover,
    /// List the names at every depth below.
    Scan,
    /// Subscribe to events; no operation here asks for it.
    Subscribe,
    /// Use what is protected beyond its verb.
    Sudo,
    /// Change what is there.
    Update,
}

impl Capability {
    /// Every capability, by name.
    pub const ALL: [Self; 11] = [
        Self::Create,
        Self::Delete,
        Self::Deny,
        Self::List,
        Self::Patch,
        Self::Read,
        Self::Recover,
        Self::Scan,
        Self::Subscribe,
        Self::Sudo,
        Self::Update,
    ];

    /// Its name in policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Deny => "deny",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Read => "read",
            Self::Recover => "recover",
            Self::Scan => "scan",
            Self::Subscribe => "subscribe",
            Self::Sudo => "sudo",
            Self::Update => "update",
        }
    }

    /// The capability of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.name() == name)
    }

    fn bit(self) -> u16 {
        1 << (self as u16)
    }
}

/// Some capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct CapabilitySet(u16);

impl CapabilitySet {
    /// No capability.
    pub const NONE: Self = Self(0);

    /// Whether this one is among them.
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `deny` is among them, so that nothing else counts.
    pub fn denies(self) -> bool {
        self.contains(Capability::Deny)
    }

    /// Whether anything is granted at all.
    pub fn grants(self) -> bool {
        !self.is_empty() && !self.denies()
    }

    /// These and this one.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability.bit())
    }

    /// These and those; `deny` on either side leaves nothing else.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        if self.denies() || other.denies() {
            return Self::NONE.with(Capability::Deny);
        }
        Self(self.0 | other.0)
    }

    /// The capabilities, by name.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL
            .into_iter()
            .filter(move |capability| self.contains(*capability))
    }

    /// The names, sorted.
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Capability::name).collect()
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_read_back() {
        let names: Vec<&str> = Capability::ALL
            .iter()
            .map(|capability| capability.name())
            .collect();
        assert!(names.is_sorted());
        for capability in Capability::ALL {
            assert_eq!(Capability::named(capability.name()), Some(capability));
        }
        assert_eq!(Capability::named("Read"), None);
    }

    #[test]
    fn deny_leaves_nothing_else() {
        let read: CapabilitySet = [Capability::Read].into_iter().collect();
        let list: CapabilitySet = [Capability::List].into_iter().collect();
        let deny: CapabilitySet = [Capability::Deny].into_iter().collect();
        assert_eq!(read.merged(list).names(), ["list", "read"]);
        assert_eq!(read.merged(deny).names(), ["deny"]);
        assert_eq!(deny.merged(read).names(), ["deny"]);
        assert!(read.grants() && !deny.grants() && !CapabilitySet::NONE.grants());
    }
}
