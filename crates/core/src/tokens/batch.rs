//! Batch tokens: the text is the record, encrypted, and nothing is stored.
//!
//! `hvb.` and the URL-safe base64 of AES-SIV ciphertext, which takes no nonce: so there is no number
//! of tokens after which its keys wear out. What is encrypted begins with random bytes, so that no two
//! tokens are alike.

use super::TokenRecord;
use crate::{Core, CoreError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secretum_crypto::{NameKey, Rng, SecretKey, SecretString, random_bytes, siv};
use secretum_engine::Fault;
use zeroize::Zeroizing;

/// What the text of a batch token begins with.
const PREFIX: &str = "hvb.";

/// The longest text of a batch token, in bytes: it travels in a header.
const TEXT_BYTES_MAX: usize = 16_384;

/// What makes each token another one.
const SALT_BYTES: usize = 16;

const PURPOSE: &[&[u8]] = &[b"batch token"];

/// The key that batch tokens of a vault are sealed with.
pub(super) struct BatchKey(NameKey);

impl std::fmt::Debug for BatchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BatchKey(..)")
    }
}

/// Whether a text is that of a batch token, right or wrong.
pub(super) fn is_batch(text: &str) -> bool {
    text.starts_with(PREFIX)
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

impl BatchKey {
    pub(super) fn new(core: &Core) -> Result<Self, CoreError> {
        let mut key = Zeroizing::new([0; siv::KEY_BYTES]);
        let (first, second) = key.split_at_mut(siv::KEY_BYTES / 2);
        for (half, purpose) in [
            (first, "batch token authenticity"),
            (second, "batch token secrecy"),
        ] {
            let derived = core.barrier.derived_key(purpose)?;
            half.copy_from_slice(derived.expose());
        }
        let key = SecretKey::from_slice(&*key)?;
        Ok(Self(NameKey::new(&key)))
    }

    /// The text of a token with this record.
    ///
    /// **Errors**: [`Fault::Invalid`] where it would be too long.
    pub(super) fn seal(&self, record: &TokenRecord, rng: &dyn Rng) -> Result<SecretString, Fault> {
        let salt: [u8; SALT_BYTES] = random_bytes(rng).map_err(Fault::internal)?;
        let clear = Zeroizing::new([&salt[..], &record.to_bytes()?].concat());
        let sealed = self.0.seal(PURPOSE, &clear).map_err(Fault::internal)?;
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed));
        if text.len() > TEXT_BYTES_MAX {
            return Err(Fault::invalid(format!(
                "a batch token carries all that is known of it, and has at most {TEXT_BYTES_MAX} \
                 bytes: give it fewer policies or less metadata, or make a service token"
            )));
        }
        Ok(SecretString::new(text))
    }

    /// The record of a token; `None` for a text that this vault did not make.
    pub(super) fn open(&self, text: &str) -> Option<TokenRecord> {
        let sealed = text
            .strip_prefix(PREFIX)
            .filter(|_| text.len() <= TEXT_BYTES_MAX)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let clear = Zeroizing::new(self.0.open(PURPOSE, &sealed).ok()?);
        TokenRecord::read(clear.get(SALT_BYTES..)?).ok()
    }
}
