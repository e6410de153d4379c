//! [`KeyRing`] and [`Resource`]: keys by their short names, and by those that the service knows.

use crate::{KeyId, KeyVersion, KmsError, Result};

const VERSIONS: &str = "/cryptoKeyVersions/";

/// Where keys are that are named without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRing {
    /// The project, by its identifier.
    pub project: String,
    /// The location: `europe-west3`, `global`.
    pub location: String,
    /// The key ring.
    pub name: String,
}

impl KeyRing {
    /// The key ring of a key that is named in whole; `None` where it is named otherwise.
    pub fn of_key(key: &str) -> Option<Self> {
        let mut parts = key.split('/');
        let mut part = |label: &str| {
            let found = parts.next() == Some(label);
            parts.next().filter(|part| found && is_part(part))
        };
        let ring = Self {
            project: part("projects")?.to_owned(),
            location: part("locations")?.to_owned(),
            name: part("keyRings")?.to_owned(),
        };
        part("cryptoKeys")?;
        parts.next().is_none().then_some(ring)
    }

    /// Whether its names can stand in a name of the service.
    pub fn is_valid(&self) -> bool {
        let names = [&self.project, &self.location, &self.name];
        names.into_iter().all(|name| is_part(name))
    }

    /// Its name there.
    pub(super) fn resource(&self) -> String {
        let Self {
            project,
            location,
            name,
        } = self;
        format!("projects/{project}/locations/{location}/keyRings/{name}")
    }

    /// What a caller names.
    ///
    /// **Errors**: [`KmsError::KeyId`].
    pub(super) fn find(&self, key: &KeyId) -> Result<Resource> {
        let text = key.as_str();
        let (name, version) = match text.split_once(VERSIONS) {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let known = is_part(name) || Self::of_key(name).is_some();
        if !known || version.is_some_and(|version| !is_number(version)) {
            return Err(KmsError::KeyId {
                id: text.to_owned(),
                reason: "a key of Cloud KMS is its name, or \
                         projects/…/locations/…/keyRings/…/cryptoKeys/NAME; a version of it has \
                         /cryptoKeyVersions/NUMBER behind that",
            });
        }
        let whole = if is_part(name) {
            format!("{}/cryptoKeys/{name}", self.resource())
        } else {
            name.to_owned()
        };
        Ok(Resource {
            asked: KeyId::new(name)?,
            key: whole,
            version: version.map(str::to_owned),
        })
    }
}

/// A key as the service knows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// What the caller named, without a version.
    pub(super) asked: KeyId,
    /// The key.
    pub(super) key: String,
    /// The version that the caller pinned.
    pub(super) version: Option<String>,
}

impl Resource {
    /// The name of what encrypts: the key, whose primary version does, or the version that was pinned.
    pub(super) fn encrypting(&self) -> String {
        match &self.version {
            Some(version) => self.of_version(version),
            None => self.key.clone(),
        }
    }

    pub(super) fn of_version(&self, version: &str) -> String {
        format!("{}{VERSIONS}{version}", self.key)
    }

    /// The version in a name that the service gave; `None` where it is of another key.
    pub(super) fn version_in(&self, name: &str) -> Option<KeyVersion> {
        let version = name.strip_prefix(&self.key)?.strip_prefix(VERSIONS)?;
        is_number(version).then(|| KeyVersion::new(version))?
    }
}

/// The last part of the name of a key.
pub(super) fn short(name: &str) -> Option<KeyId> {
    let (_, short) = name.rsplit_once('/')?;
    KeyId::new(short).ok()
}

/// Whether this may stand between two slashes of a name. Projects may have a domain and a colon.
fn is_part(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let dots = text.bytes().all(|byte| byte == b'.');
    (1..=100).contains(&text.len()) && text.bytes().all(fits) && !dots
}

fn is_number(text: &str) -> bool {
    (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "projects/p/locations/global/keyRings/r/cryptoKeys/k";

    fn ring() -> KeyRing {
        KeyRing::of_key(WHOLE).unwrap()
    }

    fn find(name: &str) -> Result<Resource> {
        ring().find(&KeyId::new(name).unwrap())
    }

    #[test]
    fn keys_are_found_by_short_and_by_whole_names() {
        assert_eq!(ring().resource(), "projects/p/locations/global/keyRings/r");
        assert_eq!(find("k").unwrap().encrypting(), WHOLE);
        assert_eq!(find(WHOLE).unwrap().encrypting(), WHOLE);
        let other = "projects/example.com:q/locations/eu/keyRings/s/cryptoKeys/t";
        assert_eq!(find(other).unwrap().encrypting(), other);
        let pinned = find("k/cryptoKeyVersions/7").unwrap();
        assert_eq!(pinned.asked.as_str(), "k");
        assert_eq!(pinned.encrypting(), format!("{WHOLE}/cryptoKeyVersions/7"));
    }

    #[test]
    fn what_is_no_name_is_told() {
        for name in [
            "a/b",
            "..",
            "a b",
            "k?x",
            "k%2f",
            "k/cryptoKeyVersions/",
            "k/cryptoKeyVersions/x",
            "k/cryptoKeyVersions/1/cryptoKeyVersions/1",
            "projects/p/locations/global/keyRings/r",
            "projects/p/locations/global/keyRings/r/cryptoKeys/",
            "projects/p/locations/global/keyRings/r/cryptoKeys/k/x",
            "projects/p/locations/../keyRings/r/cryptoKeys/k",
            &"k".repeat(101),
        ] {
            assert!(matches!(find(name), Err(KmsError::KeyId { .. })), "{name}");
        }
        assert!(find(&"k".repeat(100)).is_ok());
    }

    #[test]
    fn versions_are_those_of_the_key() {
        let key = find("k").unwrap();
        let version = key.version_in(&format!("{WHOLE}/cryptoKeyVersions/12"));
        assert_eq!(version.unwrap().as_str(), "12");
        for other in [
            WHOLE.to_owned(),
            format!("{WHOLE}2/cryptoKeyVersions/1"),
            format!("{WHOLE}/cryptoKeyVersions/x"),
        ] {
            assert_eq!(key.version_in(&other), None, "{other}");
        }
    }
}
