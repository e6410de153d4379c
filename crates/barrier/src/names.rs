//! [`Names`]: how keys stand in the storage.
//!
//! Inside a mount (`mount/<uuid>/…`) and in lease keys (`sys/lease/<uuid>/…`) every component is
//! AES-SIV ciphertext in URL-safe base64, its parent path the associated data. All other keys hold no
//! name of a secret and stand as they are.
//!
//! Sealing a name costs more than a read in memory, and the folders of a key are those of many others:
//! their sealed forms are remembered, so that a key of a known folder costs its last component only.
//! Opening goes the other way once for each row of a listing, whose folder is known to begin with.

use crate::BarrierError;
use crate::folders::{FOLDERS_MAX, Folders};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secretum_crypto::{NameKey, siv};
use secretum_storage::{KEY_BYTES_MAX, Key, Result, StorageError};
use std::sync::Arc;

/// The key of names, and what was sealed with it lately.
pub(crate) struct Names {
    key: NameKey,
    folders: Folders,
}

/// A folder and its sealed form, both with their last `/`.
#[derive(Clone, Copy)]
pub(crate) struct Folder<'a> {
    plain: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Folder<'a> {
    /// The one above all keys.
    const TOP: Self = Self {
        plain: b"",
        sealed: b"",
    };

    /// The folder that a key is in, or is; `sealed` is what [`Names::seal`] made of it.
    pub(crate) fn of(key: &'a Key, sealed: &'a Key) -> Self {
        Self {
            plain: split_folder(key.as_bytes()).0,
            sealed: split_folder(sealed.as_bytes()).0,
        }
    }
}

impl Names {
    /// Remembers no folder yet.
    pub(crate) fn new(key: NameKey) -> Self {
        Self {
            key,
            folders: Folders::new(FOLDERS_MAX),
        }
    }

    /// The key as it stands in the storage.
    ///
    /// **Errors**: [`StorageError::KeyTooLong`] where that is above the limit.
    pub(crate) fn seal(&self, key: &Key) -> Result<Key> {
        let bytes = key.as_bytes();
        let clear = clear_bytes(bytes);
        if clear == bytes.len() {
            return Ok(key.clone());
        }
        let (folder, name) = split_folder(bytes);
        let sealed_folder = match self.folders.sealed(folder) {
            Some(sealed) => sealed,
            None => self.seal_folder(key, folder, clear)?,
        };
        if name.is_empty() {
            return Key::new(&*sealed_folder);
        }
        Key::new(self.child(&sealed_folder, folder, name)?)
    }

    /// Seals the folder of a key, from the nearest folder above it that is known, and remembers what
    /// is between.
    fn seal_folder(&self, key: &Key, folder: &[u8], clear: usize) -> Result<Arc<[u8]>> {
        // INVARIANT: what is remembered stands in a key, and so is no longer than one.
        check_length(key.as_bytes(), clear)?;
        let mut known = folder;
        let mut sealed = loop {
            if known.len() <= clear {
                break Arc::from(known);
            }
            if let Some(sealed) = self.folders.sealed(known) {
                break sealed;
            }
            known = parent(known);
        };
        while let Some(component) = next_component(folder, known) {
            sealed = Arc::from(self.child(&sealed, known, component)?);
            (known, _) = folder.split_at(known.len() + component.len());
            self.folders.remember(known, &sealed);
        }
        Ok(sealed)
    }

    /// The sealed form of a component, with or without its `/`, behind the one of its folder.
    fn child(&self, sealed_folder: &[u8], folder: &[u8], component: &[u8]) -> Result<Vec<u8>> {
        let (name, slash) = split_slash(component);
        let name = self.key.seal(&[folder], name).map_err(BarrierError::from)?;
        let text = URL_SAFE_NO_PAD.encode(name);
        Ok([sealed_folder, text.as_bytes(), slash].concat())
    }

    /// The key as those above the barrier know it.
    ///
    /// **Errors**: [`StorageError::Unreadable`].
    pub(crate) fn open(&self, sealed: &Key) -> Result<Key> {
        self.open_in(Folder::TOP, sealed)
    }

    /// The same, for a key that may be in a folder of which the sealed form is known: only what
    /// stands behind it is decrypted.
    ///
    /// **Errors**: [`StorageError::Unreadable`].
    pub(crate) fn open_in(&self, folder: Folder<'_>, sealed: &Key) -> Result<Key> {
        let bytes = sealed.as_bytes();
        let clear = clear_bytes(bytes);
        if clear == bytes.len() {
            return Ok(sealed.clone());
        }
        let (above, below) = match bytes.strip_prefix(folder.sealed) {
            Some(below) if folder.sealed.len() >= clear => (folder.plain, below),
            _ => bytes.split_at(clear),
        };
        let mut key = Vec::with_capacity(above.len() + below.len());
        key.extend_from_slice(above);
        for component in below.split_inclusive(|byte| *byte == b'/') {
            let (text, slash) = split_slash(component);
            let name = URL_SAFE_NO_PAD.decode(text).ok();
            let name = name.and_then(|name| self.key.open(&[&key], &name).ok());
            key.extend_from_slice(&name.ok_or_else(|| unreadable(sealed))?);
            key.extend_from_slice(slash);
        }
        Key::new(key)
    }
}

fn unreadable(sealed: &Key) -> StorageError {
    StorageError::Unreadable {
        key: sealed.clone(),
        reason: "its name is not of this vault, or was moved".to_owned(),
    }
}

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

/// Refuses a key of which the sealed form would be too long, before anything is sealed.
fn check_length(key: &[u8], clear: usize) -> Result<()> {
    let (_, names) = key.split_at(clear);
    let sealed = |component: &[u8]| {
        let (name, slash) = split_slash(component);
        // Base64 without padding: four characters for three bytes, and what is left rounded up.
        ((name.len() + siv::OVERHEAD_BYTES) * 4).div_ceil(3) + slash.len()
    };
    let components = names.split_inclusive(|byte| *byte == b'/');
    let bytes = clear + components.map(sealed).sum::<usize>();
    if bytes > KEY_BYTES_MAX {
        return Err(StorageError::KeyTooLong { bytes });
    }
    Ok(())
}

/// A key up to its last `/`, and what stands behind.
fn split_folder(key: &[u8]) -> (&[u8], &[u8]) {
    let slash = key.iter().rposition(|byte| *byte == b'/');
    key.split_at(slash.map_or(0, |at| at + 1))
}

/// The folder that a folder is in.
fn parent(folder: &[u8]) -> &[u8] {
    split_folder(split_slash(folder).0).0
}

/// The component of `folder` that stands behind `above`, with its `/`.
fn next_component<'a>(folder: &'a [u8], above: &[u8]) -> Option<&'a [u8]> {
    let below = folder.get(above.len()..)?;
    below.split_inclusive(|byte| *byte == b'/').next()
}

#[cfg(test)]
mod tests;
