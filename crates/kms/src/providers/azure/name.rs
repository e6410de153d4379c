//! [`Vault`] and [`Resource`]: keys by their names, and by their identifiers in the service.

use super::NAME;
use crate::{KeyId, KeyVersion, KmsError, Result};

/// A vault, whose keys are named without it.
#[derive(Debug)]
pub(super) struct Vault(String);

/// A key, and the version that its caller pinned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// What the caller named, without a version.
    pub(super) asked: KeyId,
    pub(super) name: String,
    pub(super) version: Option<String>,
}

impl Vault {
    pub(super) fn new(url: &str) -> Self {
        Self(url.trim_end_matches('/').to_owned())
    }

    /// What a caller names: `name`, `name/version`, or the identifier of a key of this vault.
    ///
    /// **Errors**: [`KmsError::KeyId`].
    pub(super) fn find(&self, key: &KeyId) -> Result<Resource> {
        let text = key.as_str();
        let path = match text.strip_prefix(&self.0) {
            Some(path) => path.strip_prefix("/keys/"),
            None => Some(text),
        };
        let found = path.and_then(|path| {
            let (name, version) = match path.split_once('/') {
                Some((name, version)) => (name, Some(version)),
                None => (path, None),
            };
            let fits = is_name(name) && version.is_none_or(is_version);
            fits.then(|| (name.to_owned(), version.map(str::to_owned)))
        });
        let Some((name, version)) = found else {
            return Err(KmsError::KeyId {
                id: text.to_owned(),
                reason: "a key of Key Vault is its name, or its identifier in the configured vault; behind \
                         it may stand / and a version",
            });
        };
        let asked = match &version {
            Some(version) => text.strip_suffix(version.as_str()).unwrap_or(text),
            None => text,
        };
        Ok(Resource {
            asked: KeyId::new(asked.trim_end_matches('/'))?,
            name,
            version,
        })
    }
}

impl Resource {
    /// The version in an identifier that the service gave.
    ///
    /// **Errors**: [`KmsError::BadAnswer`], also where it is of another key.
    pub(super) fn version_in(&self, identifier: Option<&str>) -> Result<KeyVersion> {
        let version = identifier.and_then(|identifier| {
            let (key, version) = identifier.rsplit_once('/')?;
            let (_, name) = key.rsplit_once("/keys/")?;
            // The service takes names in any case, and gives them as they were created.
            let is_own = name.eq_ignore_ascii_case(&self.name);
            (is_own && is_version(version)).then(|| KeyVersion::new(version))?
        });
        version.ok_or_else(|| KmsError::BadAnswer {
            provider: NAME,
            reason: "it names no version of the key".to_owned(),
        })
    }
}

/// The name in an identifier without a version.
pub(super) fn name_in(identifier: &str) -> Option<KeyId> {
    let (_, name) = identifier.rsplit_once("/keys/")?;
    is_name(name).then(|| KeyId::new(name).ok())?
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=127).contains(&text.len()) && text.bytes().all(fits)
}

/// Whether this may be a version, and stand in a path.
pub(super) fn is_version(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric();
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> Result<Resource> {
        Vault::new("https://v.example/").find(&KeyId::new(name).unwrap())
    }

    #[test]
    fn keys_are_found_by_name_and_by_identifier() {
        for (text, asked, version) in [
            ("app", "app", None),
            ("app/0a1b", "app", Some("0a1b")),
            (
                "https://v.example/keys/app",
                "https://v.example/keys/app",
                None,
            ),
            (
                "https://v.example/keys/app/0a",
                "https://v.example/keys/app",
                Some("0a"),
            ),
        ] {
            let found = find(text).unwrap();
            assert_eq!(found.name, "app");
            assert_eq!(
                (found.asked.as_str(), found.version.as_deref()),
                (asked, version)
            );
        }
    }

    #[test]
    fn what_is_no_name_is_told() {
        for name in [
            "a_b",
            "..",
            "a/..",
            "a/b/c",
            "a/",
            "a?x",
            "https://w.example/keys/app",
            "https://v.example/secrets/app",
            "https://v.example.org/keys/app",
            &"k".repeat(128),
        ] {
            assert!(matches!(find(name), Err(KmsError::KeyId { .. })), "{name}");
        }
        assert!(find(&"k".repeat(127)).is_ok());
    }

    #[test]
    fn versions_are_those_of_the_key() {
        let key = find("app").unwrap();
        let version = key.version_in(Some("https://v.example/keys/app/0a"));
        assert_eq!(version.unwrap().as_str(), "0a");
        let version = key.version_in(Some("https://v.example/keys/APP/0a"));
        assert_eq!(version.unwrap().as_str(), "0a");
        for other in [
            None,
            Some("https://v.example/keys/app"),
            Some("https://v.example/keys/other/0a"),
            Some("https://v.example/keys/app/.."),
        ] {
            assert!(key.version_in(other).is_err(), "{other:?}");
        }
        let listed = name_in("https://v.example/keys/app").unwrap();
        assert_eq!(listed.as_str(), "app");
        assert!(name_in("https://v.example/keys/app/0a").is_none());
    }
}
