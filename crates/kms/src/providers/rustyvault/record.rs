//! [`Record`]: how one version of a key stands in a key-value engine, and [`VersionId`]: its name there.
//!
//! ```text
//! format    "1"
//! key_id    the key's name
//! version   its version
//! created   when it was made: seconds since 1970
//! key       32 bytes in base64
//! check     16 bytes in hex: what HMAC-SHA256 under the key gives of the label below, its name and its
//!           version, each behind its length in two bytes
//! ```
//!
//! `check` tells a record that was damaged, or copied to another name, before anything is encrypted
//! under it.

use crate::codec::put_u16;
use crate::{KeyId, KeyVersion};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_crypto::{
    HmacKey, Key256, Rng, SecretString, Timestamp, constant_time_eq, random_bytes,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

const FORMAT: &str = "1";

const CHECK_LABEL: &[u8] = b"secretum-kms rustyvault key check 1";

/// The bytes of a check that are kept.
const CHECK_BYTES: usize = 16;

/// The name of a version: a number, and what no other version has.
///
/// **Shape**: `3-0123456789abcdef0123456789abcdef`. The newest is the greatest. Two services that add a
/// version at once give both the same number and keep both: which of them is the newest is decided by
/// the rest, the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct VersionId {
    number: u32,
    unique: u128,
}

impl VersionId {
    /// The name of a version behind these; `None` where the numbers are used up.
    pub(super) fn behind(
        versions: impl Iterator<Item = Self>,
        rng: &dyn Rng,
    ) -> secretum_crypto::Result<Option<Self>> {
        let newest = versions.map(|version| version.number).max().unwrap_or(0);
        let unique = u128::from_be_bytes(random_bytes(rng)?);
        Ok(newest.checked_add(1).map(|number| Self { number, unique }))
    }

    /// The version that this text names, in the one way to write it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, unique) = text.split_once('-')?;
        let version = Self {
            number: number.parse().ok()?,
            unique: u128::from_str_radix(unique, 16).ok()?,
        };
        (version.to_string() == text).then_some(version)
    }

    pub(super) fn key_version(self) -> KeyVersion {
        KeyVersion::new(self.to_string()).unwrap_or_default()
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:032x}", self.number, self.unique)
    }
}

/// A version of a key.
pub(super) struct Material {
    pub(super) key: Key256,
    pub(super) made: Option<Timestamp>,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material(..)")
    }
}

/// A version of a key as it is read.
#[derive(Deserialize)]
pub(super) struct Record {
    #[serde(default)]
    format: String,
    #[serde(default)]
    created: String,
    #[serde(default = "nothing")]
    key: SecretString,
    #[serde(default)]
    check: String,
}

fn nothing() -> SecretString {
    SecretString::new(String::new())
}

/// A version of a key as it is written.
#[derive(Serialize)]
pub(super) struct NewRecord<'a> {
    format: &'static str,
    key_id: &'a str,
    version: String,
    created: String,
    key: &'a str,
    check: String,
}

/// The text of a key, for a record.
pub(super) fn text(material: &Material) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(material.key.expose()))
}

impl<'a> NewRecord<'a> {
    /// `text` is that of the material.
    pub(super) fn new(
        key: &'a KeyId,
        version: VersionId,
        material: &Material,
        text: &'a Zeroizing<String>,
    ) -> Self {
        let made = material.made.map(Timestamp::unix_seconds);
        Self {
            format: FORMAT,
            key_id: key.as_str(),
            version: version.to_string(),
            created: made.map(|made| made.to_string()).unwrap_or_default(),
            key: text,
            check: hex(&check(key, version, &material.key)),
        }
    }
}

impl Record {
    /// The key in it, which must be this one.
    ///
    /// **Errors**: what is wrong with it.
    pub(super) fn material(
        &self,
        key: &KeyId,
        version: VersionId,
    ) -> Result<Material, &'static str> {
        const DAMAGED: &str = "it is damaged; restore it from a copy";
        match self.format.parse::<u32>() {
            Ok(1) => {}
            Ok(format) if format > 1 => {
                return Err("it is of a newer format; use a newer version of this program");
            }
            _ => return Err(DAMAGED),
        }
        let bytes = Zeroizing::new(STANDARD.decode(self.key.expose()).unwrap_or_default());
        let material = Key256::from_slice(&bytes).map_err(|_| DAMAGED)?;
        let wanted = hex(&check(key, version, &material));
        if !constant_time_eq(wanted.as_bytes(), self.check.as_bytes()) {
            return Err("it is damaged, or that of another key or version; restore it from a copy");
        }
        Ok(Material {
            key: material,
            made: self.created.parse().ok().map(Timestamp::from_unix_seconds),
        })
    }
}

fn check(key: &KeyId, version: VersionId, material: &Key256) -> [u8; CHECK_BYTES] {
    let mut message = CHECK_LABEL.to_vec();
    put_u16(&mut message, key.as_str().as_bytes());
    put_u16(&mut message, version.to_string().as_bytes());
    let tag = HmacKey::new(material.expose()).sign(&message);
    let mut check = [0; CHECK_BYTES];
    for (to, from) in check.iter_mut().zip(tag) {
        *to = from;
    }
    check
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secretum_crypto::TestRng;
    use serde_json::{Value, json};

    fn written(key: &KeyId, version: VersionId) -> (Material, Value) {
        let material = Material {
            key: Key256::from_slice(&[7; 32]).unwrap(),
            made: Some(Timestamp::from_unix_seconds(1_800_000_000)),
        };
        let text = text(&material);
        let record = NewRecord::new(key, version, &material, &text);
        let value = serde_json::to_value(record).unwrap();
        (material, value)
    }

    fn read(value: &Value, key: &KeyId, version: VersionId) -> Result<Material, &'static str> {
        let record: Record = serde_json::from_value(value.clone()).unwrap();
        record.material(key, version)
    }

    #[test]
    fn a_record_gives_its_own_key_and_nothing_else() {
        let key = KeyId::new("k").unwrap();
        let version = VersionId::parse("1-000000000000000000000000000000ff").unwrap();
        let (material, value) = written(&key, version);
        let back = read(&value, &key, version).unwrap();
        assert_eq!(back.key.expose(), material.key.expose());
        assert_eq!(back.made, material.made);
        let other = KeyId::new("other").unwrap();
        assert!(read(&value, &other, version).is_err());
        let later = VersionId::parse("2-000000000000000000000000000000ff").unwrap();
        assert!(read(&value, &key, later).is_err());
        for (field, changed, wanted) in [
            ("format", json!("2"), "newer"),
            ("format", json!(""), "damaged"),
            ("key", json!("AAAA"), "damaged"),
            ("key", json!(STANDARD.encode([8; 32])), "damaged"),
            ("key", json!("…"), "damaged"),
            ("check", json!(""), "damaged"),
        ] {
            let mut broken = value.clone();
            broken[field] = changed;
            let told = read(&broken, &key, version).map(drop).unwrap_err();
            assert!(told.contains(wanted), "{field}: {told}");
        }
        let told = read(&json!({}), &key, version).map(drop).unwrap_err();
        assert!(told.contains("damaged"), "{told}");
    }

    #[test]
    fn numbers_end() {
        let rng = TestRng::new(1);
        let last = VersionId {
            number: u32::MAX,
            unique: 0,
        };
        assert_eq!(VersionId::behind([last].into_iter(), &rng).unwrap(), None);
        let first = VersionId::behind([].into_iter(), &rng).unwrap().unwrap();
        let second = VersionId::behind([first].into_iter(), &rng).unwrap();
        assert!(second.unwrap() > first && second.unwrap().number == 2);
    }

    proptest! {
        #[test]
        fn a_version_is_written_in_one_way(number: u32, unique: u128, noise in "[0-9a-fA-F+-]{1,40}") {
            let version = VersionId { number, unique };
            prop_assert_eq!(VersionId::parse(&version.to_string()), Some(version));
            if let Some(read) = VersionId::parse(&noise) {
                prop_assert_eq!(read.to_string(), noise);
            }
        }
    }
}
