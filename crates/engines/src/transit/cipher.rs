//! [`Ciphers`]: the versions of a key, prepared, and the text of ciphertexts.

use super::key::Key;
use super::{Transit, TransitError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use secretum_api::fields::Count;
use secretum_crypto::aead::{NONCE_BYTES, TAG_BYTES};
use secretum_crypto::{Aead, RngRef, SecretBytes, SecretString, hkdf_sha256};
use secretum_engine::Fault;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Bytes in base64, as they stand in an answer. They are secret.
pub(super) struct Encoded(SecretString);

impl Encoded {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(SecretString::new(STANDARD.encode(bytes)))
    }
}

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl JsonSchema for Encoded {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        String::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// The bytes of a text in base64.
///
/// **Errors**: `wrong`, as [`TransitError::Invalid`].
pub(super) fn decoded(text: &str, wrong: &'static str) -> Result<SecretBytes, TransitError> {
    let bytes = STANDARD.decode(text);
    bytes
        .map(SecretBytes::new)
        .map_err(|_| TransitError::Invalid(wrong))
}

/// What a request names beside its text.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// What the key of a derived one is derived from.
    context: Option<SecretBytes>,
    associated_data: Vec<u8>,
}

impl Around {
    /// Reads the two from base64; either may be empty.
    ///
    /// **Errors**: [`TransitError::Invalid`].
    pub(super) fn read(context: &str, associated_data: &str) -> Result<Self, TransitError> {
        let context = decoded(context, "`context` is no base64")?;
        let data = decoded(associated_data, "`associated_data` is no base64")?;
        Ok(Self {
            context: Some(context).filter(|context| !context.is_empty()),
            associated_data: data.into_exposed(),
        })
    }
}

/// The versions of a key that a request needed so far.
pub(super) struct Ciphers<'k> {
    transit: &'k Transit,
    key: &'k Key,
    versions: BTreeMap<u32, SecretBytes>,
}

impl<'k> Ciphers<'k> {
    pub(super) fn new(transit: &'k Transit, key: &'k Key) -> Self {
        Self {
            transit,
            key,
            versions: BTreeMap::new(),
        }
    }

    /// Gives it the bytes of a version, which are not stored yet.
    pub(super) fn know(&mut self, version: u32, bytes: SecretBytes) {
        self.versions.insert(version, bytes);
    }

    async fn cipher(&mut self, version: u32, around: &Around) -> Result<Aead, TransitError> {
        let algorithm = self.key.known.kind.algorithm();
        if !self.versions.contains_key(&version) {
            let bytes = self.transit.version(self.key, version).await?;
            self.versions.insert(version, bytes);
        }
        let bytes = self.versions.get(&version).ok_or(TransitError::NoVersion)?;
        let derived;
        let bytes = match (self.key.known.derived, &around.context) {
            (false, _) => bytes,
            (true, None) => return Err(TransitError::NoContext),
            (true, Some(context)) => {
                let length = algorithm.key_bytes();
                derived = hkdf_sha256(bytes.expose(), b"", context.expose(), length)
                    .map_err(Fault::internal)?;
                &derived
            }
        };
        Ok(Aead::new(algorithm, bytes.expose()).map_err(Fault::internal)?)
    }

    /// The version that encrypts where this one is asked for; the newest for 0.
    ///
    /// **Errors**: [`TransitError::Invalid`], [`TransitError::NoVersion`].
    fn version_to_encrypt(&self, Count(asked): Count) -> Result<u32, TransitError> {
        let known = &self.key.known;
        let version = match asked {
            0 => self.key.latest(),
            // More than any key has is as wrong as one more.
            asked => u32::try_from(asked).unwrap_or(u32::MAX),
        };
        if version > self.key.latest() {
            return Err(TransitError::Invalid(
                "requested version for encryption is higher than the latest key version",
            ));
        }
        if version < known.min_encryption_version {
            return Err(TransitError::Invalid(
                "requested version for encryption is less than the minimum encryption key version",
            ));
        }
        if version < known.min_decryption_version {
            return Err(TransitError::NoVersion);
        }
        Ok(version)
    }

    /// Encrypts with this version, the newest for 0; which one it was, too.
    ///
    /// **Errors**: as [`TransitError`] says.
    pub(super) async fn seal(
        &mut self,
        plaintext: &[u8],
        version: Count,
        around: &Around,
    ) -> Result<(String, u32), TransitError> {
        let version = self.version_to_encrypt(version)?;
        let cipher = self.cipher(version, around).await?;
        let nonce = nonce(&self.transit.rng)?;
        let mut sealed = Vec::with_capacity(NONCE_BYTES + plaintext.len() + TAG_BYTES);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        cipher
            .seal_in_place_append(nonce, &around.associated_data, &mut sealed, NONCE_BYTES)
            .map_err(Fault::internal)?;
        let text = STANDARD.encode(sealed);
        Ok((format!("vault:v{version}:{text}"), version))
    }

    /// Decrypts.
    ///
    /// **Errors**: as [`TransitError`] says.
    pub(super) async fn open(
        &mut self,
        ciphertext: &str,
        around: &Around,
    ) -> Result<SecretBytes, TransitError> {
        let (version, sealed) = parse(ciphertext)?;
        if version > self.key.latest() {
            return Err(TransitError::TooNew);
        }
        if version < self.key.known.min_decryption_version {
            return Err(TransitError::TooOld);
        }
        let cipher = self.cipher(version, around).await?;
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .filter(|(_, sealed)| sealed.len() >= TAG_BYTES)
            .ok_or(TransitError::TooShort)?;
        let opened = cipher.open(*nonce, &around.associated_data, sealed);
        opened
            .map(SecretBytes::new)
            .map_err(|_| TransitError::NotAuthentic)
    }
}

fn nonce(rng: &RngRef) -> Result<[u8; NONCE_BYTES], Fault> {
    let mut nonce = [0; NONCE_BYTES];
    rng.fill(&mut nonce).map_err(Fault::internal)?;
    Ok(nonce)
}

/// The version and the bytes of `vault:v3:…`.
fn parse(ciphertext: &str) -> Result<(u32, Vec<u8>), TransitError> {
    let parts = ciphertext
        .strip_prefix("vault:v")
        .and_then(|rest| rest.split_once(':'));
    let (version, text) = parts.ok_or(TransitError::NoCiphertext)?;
    // A version has one way to be written: nobody authenticates it.
    let is_plain = version.bytes().all(|byte| byte.is_ascii_digit()) && !version.starts_with('0');
    let version = version.parse().ok().filter(|_| is_plain);
    let bytes = STANDARD.decode(text).ok();
    version.zip(bytes).ok_or(TransitError::NoCiphertext)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ciphertext_has_one_form() {
        assert_eq!(parse("vault:v12:AAE=").unwrap(), (12, vec![0, 1]));
        for text in [
            "",
            "nonsense",
            "vault:v1",
            "vault:v:AAE=",
            "vault:v0:AAE=",
            "vault:v01:AAE=",
            "vault:v+1:AAE=",
            "vault:v-1:AAE=",
            "vault:vx:AAE=",
            "vault:v4294967296:AAE=",
            "vault:v1:A",
            "vault:v1:AAE",
            " vault:v1:AAE=",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
