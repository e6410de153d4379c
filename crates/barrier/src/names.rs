//! Names: how keys stand in the storage.
//!
//! Inside a mount (`mount/<uuid>/…`) and in lease keys (`sys/lease/<uuid>/…`) every component is
//! AES-SIV ciphertext in URL-safe base64, its parent path the associated data. All other keys hold no
//! name of a secret and stand as they are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secretum_crypto::NameKey;
use secretum_storage::{Key, Result, StorageError};

/// How many bytes of a key stand in the clear.
fn clear_bytes(key: &[u8]) -> usize {
    let slashes = if key.starts_with(b"mount/") {
        2
    } else if key.starts_with(b"sys/lease/") {
        3
    } else {
        return key.len();
    };
    key.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .nth(slashes - 1)
        .map_or(key.len(), |(at, _)| at + 1)
}

/// The key as it stands in the storage.
pub(crate) fn seal(names: &NameKey, key: &Key) -> Result<Key> {
    let bytes = key.as_bytes();
    let clear = clear_bytes(bytes);
    if clear == bytes.len() {
        return Ok(key.clone());
    }
    let mut sealed = bytes.get(..clear).unwrap_or_default().to_vec();
    let mut start = clear;
    for component in bytes
        .get(clear..)
        .unwrap_or_default()
        .split_inclusive(|byte| *byte == b'/')
    {
        let (name, slash) = split_slash(component);
        let parent = bytes.get(..start).unwrap_or_default();
        let name = names.seal(&[parent], name);
        let mut text = String::with_capacity(name.len() * 2);
        URL_SAFE_NO_PAD.encode_string(name, &mut text);
        sealed.extend_from_slice(text.as_bytes());
        sealed.extend_from_slice(slash);
        start += component.len();
    }
    Key::new(sealed)
}

/// The key as those above the barrier know it.
pub(crate) fn open(names: &NameKey, sealed: &Key) -> Result<Key> {
    let bytes = sealed.as_bytes();
    let clear = clear_bytes(bytes);
    if clear == bytes.len() {
        return Ok(sealed.clone());
    }
    let unreadable = || StorageError::Unreadable {
        key: sealed.clone(),
        reason: "its name is not of this vault, or was moved".to_owned(),
    };
    let mut key = bytes.get(..clear).unwrap_or_default().to_vec();
    for component in bytes
        .get(clear..)
        .unwrap_or_default()
        .split_inclusive(|byte| *byte == b'/')
    {
        let (text, slash) = split_slash(component);
        let name = URL_SAFE_NO_PAD.decode(text).map_err(|_| unreadable())?;
        let name = names.open(&[&key], &name).map_err(|_| unreadable())?;
        key.extend_from_slice(&name);
        key.extend_from_slice(slash);
    }
    Key::new(key)
}

/// The part of a key that stands in the clear: for a key inside a mount, the mount's prefix.
pub(crate) fn clear_part(key: &Key) -> Result<Key> {
    Key::new(
        key.as_bytes()
            .get(..clear_bytes(key.as_bytes()))
            .unwrap_or_default(),
    )
}

fn split_slash(component: &[u8]) -> (&[u8], &[u8]) {
    match component.split_last() {
        Some((b'/', name)) => (name, b"/"),
        _ => (component, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_crypto::{SecretKey, TestRng};

    fn names(seed: u64) -> NameKey {
        NameKey::new(&SecretKey::random(&TestRng::new(seed)).unwrap())
    }

    fn key(text: &str) -> Key {
        Key::try_from(text).unwrap()
    }

    #[test]
    fn names_inside_mounts_and_leases_are_sealed_and_come_back() {
        for text in [
            "mount/1-2/meta/team/db",
            "mount/1-2/meta/",
            "sys/lease/1-2/creds/ro/x",
        ] {
            let sealed = seal(&names(1), &key(text)).unwrap();
            let shown = sealed.to_string();
            assert!(shown.starts_with("mount/1-2/") || shown.starts_with("sys/lease/1-2/"));
            for word in ["meta", "team", "creds"] {
                assert!(!shown.contains(word), "{shown}");
            }
            assert_eq!(shown.matches('/').count(), text.matches('/').count());
            assert_eq!(open(&names(1), &sealed).unwrap(), key(text));
            assert!(open(&names(2), &sealed).is_err());
        }
    }

    #[test]
    fn other_keys_stand_as_they_are() {
        for text in [
            "core/keyring",
            "sys/mount/1",
            "mount/1-2/",
            "sys/lease/1-2/",
            "",
        ] {
            assert_eq!(seal(&names(1), &key(text)).unwrap(), key(text));
        }
    }

    #[test]
    fn one_name_below_two_parents_looks_different() {
        let sealed: Vec<String> = ["mount/1/a/x", "mount/1/b/x", "mount/2/a/x"]
            .map(|text| seal(&names(1), &key(text)).unwrap().to_string())
            .to_vec();
        let ends: std::collections::HashSet<_> = sealed
            .iter()
            .map(|text| text.rsplit('/').next().unwrap())
            .collect();
        assert_eq!(ends.len(), 3);
    }

    #[test]
    fn a_moved_name_does_not_open() {
        let one = seal(&names(1), &key("mount/1/a/x")).unwrap().to_string();
        let other = seal(&names(1), &key("mount/1/b/y")).unwrap().to_string();
        let (parent, _) = other.rsplit_once('/').unwrap();
        let moved = format!("{parent}/{}", one.rsplit('/').next().unwrap());
        assert!(open(&names(1), &key(&moved)).is_err());
    }
}
