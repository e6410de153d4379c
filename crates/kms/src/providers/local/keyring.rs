//! [`Keyring`]: named keys, each with its versions.

use crate::{KeyId, KmsError, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_crypto::{Key256, SecretString};
use std::collections::BTreeMap;
use std::path::Path;
use zeroize::Zeroizing;

/// The most versions of all keys together.
pub(super) const VERSIONS_MAX: usize = 10_000;

/// Keys by name and version.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    keys: BTreeMap<KeyId, BTreeMap<u64, Key256>>,
}

impl Keyring {
    /// Reads the text of a keyring.
    pub(super) fn parse(text: &str, origin: &Path) -> Result<Self> {
        let mut ring = Self::default();
        let lines = text.lines().map(|line| match line.split_once('#') {
            Some((entry, _)) => entry,
            None => line,
        });
        let entries = lines.flat_map(|line| line.split(',')).map(str::trim);
        for (index, entry) in entries.filter(|entry| !entry.is_empty()).enumerate() {
            let wrong = |reason: &str| KmsError::FileContent {
                path: origin.to_owned(),
                reason: format!(
                    "entry {} {reason}; an entry is name:version:key, the key 32 bytes in base64",
                    index + 1
                ),
            };
            let (name, version, key) = split(entry).ok_or_else(|| wrong("has not three parts"))?;
            let name = KeyId::new(name).map_err(|_| wrong("has no name"))?;
            let version: u64 = version
                .parse()
                .map_err(|_| wrong("has no number as its version"))?;
            let bytes = Zeroizing::new(STANDARD.decode(key).unwrap_or_default());
            let key = Key256::from_slice(&bytes).map_err(|_| wrong("has no key of 32 bytes"))?;
            if ring.count() >= VERSIONS_MAX {
                return Err(wrong("is one too many"));
            }
            if ring
                .keys
                .entry(name)
                .or_default()
                .insert(version, key)
                .is_some()
            {
                return Err(wrong("has a name and version that stood before"));
            }
        }
        if ring.keys.is_empty() {
            return Err(KmsError::FileContent {
                path: origin.to_owned(),
                reason: "it holds no key; an entry is name:version:key, the key 32 bytes in base64"
                    .to_owned(),
            });
        }
        Ok(ring)
    }

    /// The text that [`Self::parse`] reads.
    pub(super) fn to_text(&self) -> SecretString {
        let lines = |(name, versions): (&KeyId, &BTreeMap<u64, Key256>)| -> usize {
            versions.len() * (name.as_str().len() + 70)
        };
        // Room for all of it from the start: a text that grows leaves copies behind.
        let mut text = String::with_capacity(self.keys.iter().map(lines).sum());
        for (name, versions) in &self.keys {
            for (version, key) in versions {
                let key = Zeroizing::new(STANDARD.encode(key.expose()));
                for part in [name.as_str(), ":", &version.to_string(), ":", &key, "\n"] {
                    text.push_str(part);
                }
            }
        }
        SecretString::new(text)
    }

    fn count(&self) -> usize {
        self.keys.values().map(BTreeMap::len).sum()
    }

    /// The names, sorted.
    pub(super) fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.keys.keys()
    }

    /// The version that encrypts.
    pub(super) fn newest(&self, key: &KeyId) -> Option<(u64, &Key256)> {
        let (version, material) = self.keys.get(key)?.last_key_value()?;
        Some((*version, material))
    }

    /// One version.
    pub(super) fn version(&self, key: &KeyId, version: u64) -> Option<&Key256> {
        self.keys.get(key)?.get(&version)
    }

    /// Adds a version behind the newest; gives its number.
    pub(super) fn add(&mut self, key: &KeyId, material: Key256, origin: &Path) -> Result<u64> {
        let full = |reason: String| KmsError::FileContent {
            path: origin.to_owned(),
            reason,
        };
        if self.count() >= VERSIONS_MAX {
            return Err(full(format!("it holds {VERSIONS_MAX} versions already")));
        }
        if key.as_str().contains([':', ',', '#']) || key.as_str().trim() != key.as_str() {
            return Err(full(format!(
                "`{key}` cannot stand in it: a name has no colon, comma, # or outer space"
            )));
        }
        let newest = self.newest(key).map_or(0, |(version, _)| version);
        let version = newest
            .checked_add(1)
            .ok_or_else(|| full("the versions are used up".to_owned()))?;
        let versions = self.keys.entry(key.clone()).or_default();
        versions.insert(version, material);
        Ok(version)
    }
}

fn split(entry: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = entry.split_once(':')?;
    let (version, key) = rest.split_once(':')?;
    Some((name.trim(), version.trim(), key.trim()))
}
