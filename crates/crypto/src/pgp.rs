//! OpenPGP, to encrypt for one key and for nothing else: a share or a token for its holder.
//!
//! **Source**: RFC 9580 and RFC 4880, by the crate `pgp`. Messages have the oldest form that every
//! program in use opens (AES-256 with modification detection), so that the holders' own may be old.
//!
//! Nothing here decrypts, signs, or trusts: whose key it is, the operator knows. What the key says of
//! itself is checked: it must have made its own signatures, be neither revoked nor expired, and be
//! meant for encryption.

use crate::{CryptoError, Result, Rng, SecretBytes, Timestamp};
use pgp::composed::{Deserializable, MessageBuilder, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{EncryptionKey, KeyDetails, Tag};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::io::Read;
use zeroize::Zeroizing;

/// The most bytes of a public key. Keys with many signatures have some ten thousand.
pub const KEY_BYTES_MAX: usize = 128 * 1024;

/// The most parts of a public key, that are looked at: names, subkeys, and signatures on each.
const PARTS_MAX: usize = 512;

/// A public key that something can be encrypted for.
pub struct PgpKey {
    key: SignedPublicKey,
    fingerprint: String,
}

/// The part of a key that encrypts.
#[derive(Clone, Copy)]
enum Encrypting<'k> {
    Primary(&'k SignedPublicKey),
    Subkey(&'k SignedPublicSubKey),
}

impl PgpKey {
    /// Reads a public key, binary or in its armor.
    ///
    /// **Errors**: [`CryptoError::PgpKey`], which says what is wrong with it.
    pub fn parse(bytes: &[u8], now: Timestamp) -> Result<Self> {
        if bytes.len() > KEY_BYTES_MAX {
            return Err(CryptoError::PgpKey("it is larger than 128 KiB"));
        }
        let (key, _) = SignedPublicKey::from_reader_single(bytes)
            .map_err(|_| CryptoError::PgpKey("it is no OpenPGP public key"))?;
        let own = Self {
            fingerprint: key.primary_key.fingerprint().to_string(),
            key,
        };
        own.encrypting(now)?;
        own.try_out(now)?;
        Ok(own)
    }

    /// Encrypts nothing for nobody: what a key cannot do is told when it is read, and not when shares
    /// are to be handed out. The message is thrown away, so it needs no randomness.
    fn try_out(&self, now: Timestamp) -> Result<()> {
        let rng = ChaCha20Rng::from_seed([0; 32]);
        let nothing = SecretBytes::new(Vec::new());
        let tried = self.encrypt_with(&nothing, now, rng);
        tried.map(drop).map_err(|_| {
            CryptoError::PgpKey(
                "its part for encryption is of a kind that is not served, or damaged",
            )
        })
    }

    /// The fingerprint of the primary key, in lower-case hex.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Encrypts for the holder of the key; the message is binary.
    ///
    /// **Errors**: [`CryptoError::Random`]; [`CryptoError::Seal`]; [`CryptoError::PgpKey`] where the
    /// key has expired meanwhile.
    pub fn encrypt(
        &self,
        plaintext: &SecretBytes,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Vec<u8>> {
        // The crate wants a generator that cannot fail, so what can fail comes first.
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill(seed.as_mut_slice())?;
        self.encrypt_with(plaintext, now, ChaCha20Rng::from_seed(*seed))
    }

    fn encrypt_with(
        &self,
        plaintext: &SecretBytes,
        now: Timestamp,
        rng: ChaCha20Rng,
    ) -> Result<Vec<u8>> {
        match self.encrypting(now)? {
            Encrypting::Primary(key) => encrypt(&key.primary_key, plaintext, rng),
            Encrypting::Subkey(key) => encrypt(&key.key, plaintext, rng),
        }
    }

    /// The newest subkey that may encrypt, or the primary key where that may.
    fn encrypting(&self, now: Timestamp) -> Result<Encrypting<'_>> {
        let key = &self.key;
        if self.parts() > PARTS_MAX {
            return Err(CryptoError::PgpKey("it has too many names and signatures"));
        }
        let revoked = |revocation: &Signature| revocation.verify_key(&key.primary_key).is_ok();
        if key.details.revocation_signatures.iter().any(revoked) {
            return Err(CryptoError::PgpKey("it is revoked"));
        }
        let own = self
            .own_signature(now)
            .ok_or(CryptoError::PgpKey("it has no valid signature of its own"))?;
        if has_expired(&key.primary_key, own, now) {
            return Err(CryptoError::PgpKey("it has expired"));
        }
        let subkeys = key.public_subkeys.iter();
        let usable = subkeys.filter(|subkey| self.may_encrypt(subkey, now));
        if let Some(newest) = usable.max_by_key(|subkey| subkey.key.created_at()) {
            return Ok(Encrypting::Subkey(newest));
        }
        if key.primary_key.algorithm().can_encrypt() && is_for_encryption(own) {
            return Ok(Encrypting::Primary(key));
        }
        Err(CryptoError::PgpKey(
            "it has no part for encryption that is neither revoked nor expired",
        ))
    }

    fn parts(&self) -> usize {
        let details = &self.key.details;
        let users = details.users.iter().map(|user| 1 + user.signatures.len());
        let subkeys = self.key.public_subkeys.iter();
        let subkeys = subkeys.map(|subkey| 1 + subkey.signatures.len());
        users
            .chain(subkeys)
            .chain([details.revocation_signatures.len()])
            .chain([details.direct_signatures.len()])
            .sum()
    }

    /// The newest signature by which the key says what it is for.
    fn own_signature(&self, now: Timestamp) -> Option<&Signature> {
        let (primary, details) = (&self.key.primary_key, &self.key.details);
        let direct = details.direct_signatures.iter();
        let direct = direct.filter(|signature| signature.verify_key(primary).is_ok());
        let names = details.users.iter().flat_map(|user| {
            let signatures = user.signatures.iter();
            signatures.filter(|signature| {
                let certifies = signature.typ() != Some(SignatureType::CertRevocation);
                // Those of others fail here, and say nothing.
                certifies && {
                    let id = &user.id;
                    signature
                        .verify_certification(primary, Tag::UserId, id)
                        .is_ok()
                }
            })
        });
        let valid = names.chain(direct).filter(|own| is_in_force(own, now));
        valid.max_by_key(|signature| signature.created())
    }

    fn may_encrypt(&self, subkey: &SignedPublicSubKey, now: Timestamp) -> bool {
        let primary = &self.key.primary_key;
        let mut newest: Option<&Signature> = None;
        for signature in &subkey.signatures {
            if signature
                .verify_subkey_binding(primary, &subkey.key)
                .is_err()
            {
                continue;
            }
            if signature.typ() == Some(SignatureType::SubkeyRevocation) {
                return false;
            }
            let is_newer = newest.is_none_or(|held| held.created() <= signature.created());
            if is_in_force(signature, now) && is_newer {
                newest = Some(signature);
            }
        }
        newest.is_some_and(|binding| {
            subkey.key.algorithm().can_encrypt()
                && is_for_encryption(binding)
                && !has_expired(&subkey.key, binding, now)
        })
    }
}

impl std::fmt::Debug for PgpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PgpKey").field(&self.fingerprint).finish()
    }
}

fn encrypt(
    key: &impl EncryptionKey,
    plaintext: &SecretBytes,
    mut rng: ChaCha20Rng,
) -> Result<Vec<u8>> {
    let seal = |_| CryptoError::Seal;
    // Read from where it stands: the builder's own copy would not be zeroed.
    let reader: &mut dyn Read = &mut plaintext.expose();
    let mut message =
        MessageBuilder::from_reader("", reader).seipd_v1(&mut rng, SymmetricKeyAlgorithm::AES256);
    message.encrypt_to_key(&mut rng, key).map_err(seal)?;
    message.to_vec(&mut rng).map_err(seal)
}

/// Whether a signature was made and has not expired.
fn is_in_force(signature: &Signature, now: Timestamp) -> bool {
    let Some(created) = signature.created() else {
        return false;
    };
    let lives = signature.signature_expiration_time();
    lives.is_none_or(|lives| !is_over(created.as_secs(), lives.as_secs(), now))
}

fn is_for_encryption(signature: &Signature) -> bool {
    let flags = signature.key_flags();
    flags.encrypt_comms() || flags.encrypt_storage()
}

fn has_expired(key: &impl KeyDetails, signature: &Signature, now: Timestamp) -> bool {
    let lives = signature.key_expiration_time();
    lives.is_some_and(|lives| is_over(key.created_at().as_secs(), lives.as_secs(), now))
}

/// Whether a life of so many seconds is over; one of 0 has no end.
fn is_over(created: u32, lives: u32, now: Timestamp) -> bool {
    lives > 0 && now.unix_seconds() >= i64::from(created) + i64::from(lives)
}

#[cfg(test)]
mod tests;
