//! Cryptographic primitives, secret types, Shamir sharing, randomness and clock.
//!
//! Owns: every call of a cryptography library ([`aead`], [`siv`], [`hmac`], [`digest`],
//! [`ed25519`], [`pgp`]), the sharing of keys ([`shamir`]), the types that hold secrets in memory
//! ([`secret`]), and the two things that tests must be able to set: randomness ([`random`]) and
//! time ([`clock`]).
//!
//! Must not know: anything else of this house. No other crate calls a cryptography library, so that
//! what is used, and how, is read here and nowhere else.

pub mod aead;
pub mod clock;
pub mod digest;
pub mod ed25519;
mod error;
pub mod hmac;
pub mod pgp;
pub mod random;
pub mod secret;
pub mod shamir;
pub mod siv;

pub use aead::{Aead, AeadAlgorithm};
pub use clock::{Clock, ClockRef, SystemClock, TestClock, Timestamp};
pub use digest::{DigestAlgorithm, Sha256, sha256};
pub use error::{CryptoError, Result};
pub use hmac::{HmacKey, constant_time_eq, hkdf_sha256};
pub use pgp::PgpKey;
pub use random::{
    Rng, RngRef, SystemRng, TestRng, random_base62, random_bytes, random_secret, random_uuid,
};
pub use secret::{Key256, SecretBuffer, SecretBytes, SecretKey, SecretString, written};
pub use siv::NameKey;
