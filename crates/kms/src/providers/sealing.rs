//! Sealing under a key that is in this process: `nonce (12) ‖ AES-256-GCM`.
//!
//! What a seal is bound to is the provider's: at least the key's name, its version, and the context.
//! Nonces are random: a version is good for 2³² encryptions.

use crate::{KeyId, KmsError, Result};
use secretum_crypto::aead::{NONCE_BYTES, TAG_BYTES};
use secretum_crypto::{Aead, CryptoError, Key256, Rng, SecretBytes, random_bytes};

/// Seals a plaintext, behind what stands in `out` already.
pub(super) fn seal(
    material: &Key256,
    rng: &dyn Rng,
    aad: &[u8],
    plaintext: &[u8],
    mut out: Vec<u8>,
) -> Result<Vec<u8>> {
    let nonce: [u8; NONCE_BYTES] = random_bytes(rng)?;
    out.reserve_exact(NONCE_BYTES + plaintext.len() + TAG_BYTES);
    out.extend_from_slice(&nonce);
    let begin = out.len();
    out.extend_from_slice(plaintext);
    Aead::aes_256_gcm(material)?.seal_in_place_append(nonce, aad, &mut out, begin)?;
    Ok(out)
}

/// Opens what was sealed.
///
/// **Errors**: [`KmsError::NotAuthentic`], with the key.
pub(super) fn open(
    material: &Key256,
    aad: &[u8],
    sealed: &[u8],
    key: &KeyId,
) -> Result<SecretBytes> {
    let not_authentic = || KmsError::NotAuthentic { key: key.clone() };
    let split = sealed.split_first_chunk::<NONCE_BYTES>();
    let (nonce, sealed) = split.ok_or_else(not_authentic)?;
    match Aead::aes_256_gcm(material)?.open(*nonce, aad, sealed) {
        Ok(plaintext) => Ok(SecretBytes::new(plaintext)),
        Err(CryptoError::NotAuthentic) => Err(not_authentic()),
        Err(error) => Err(error.into()),
    }
}
