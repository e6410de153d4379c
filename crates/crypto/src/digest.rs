//! SHA-256, and the other digests that callers may ask for.
//!
//! **Source**: FIPS 180-4, FIPS 202.

use aws_lc_rs::digest::{self as library, Context, SHA256, digest};
use std::fmt;

/// The digest of these bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    array(digest(&SHA256, bytes).as_ref())
}

/// A digest that callers may ask for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestAlgorithm {
    name: &'static str,
    library: &'static library::Algorithm,
}

/// The digests, under the names that Vault has for them.
const DIGESTS: [(&str, &library::Algorithm); 7] = [
    ("sha2-224", &library::SHA224),
    ("sha2-256", &library::SHA256),
    ("sha2-384", &library::SHA384),
    ("sha2-512", &library::SHA512),
    ("sha3-256", &library::SHA3_256),
    ("sha3-384", &library::SHA3_384),
    ("sha3-512", &library::SHA3_512),
];

impl DigestAlgorithm {
    /// The one of this name: `sha2-256`, `sha3-512`…
    pub fn named(name: &str) -> Option<Self> {
        let found = DIGESTS.into_iter().find(|(own, _)| *own == name);
        found.map(|(name, library)| Self { name, library })
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        DIGESTS.into_iter().map(|(name, _)| name)
    }

    /// The digest of these bytes.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        digest(self.library, bytes).as_ref().to_vec()
    }
}

/// A digest of bytes that come one part after the other.
#[derive(Clone)]
pub struct Sha256(Context);

impl Sha256 {
    /// The digest of nothing yet.
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Goes on with these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that came.
    pub fn finish(self) -> [u8; 32] {
        array(self.0.finish().as_ref())
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256(..)")
    }
}

/// The 32 bytes that the library hands out as a slice.
pub(crate) fn array(digest: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    // INVARIANT: every caller passes the output of SHA-256 or of HMAC over it, which is 32 bytes.
    bytes.copy_from_slice(digest);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(sha256(b"abc")), expected);
        let mut parts = Sha256::default();
        parts.update(b"a");
        parts.update(b"");
        parts.update(b"bc");
        assert_eq!(hex::encode(parts.finish()), expected);
    }

    #[test]
    fn a_digest_is_found_by_its_name() {
        for (name, begins) in [
            ("sha2-224", "23097d22"),
            ("sha2-256", "ba7816bf"),
            ("sha2-384", "cb00753f"),
            ("sha2-512", "ddaf35a1"),
            ("sha3-256", "3a985da7"),
            ("sha3-384", "ec014982"),
            ("sha3-512", "b751850b"),
        ] {
            let digest = DigestAlgorithm::named(name).unwrap().digest(b"abc");
            assert_eq!(hex::encode(&digest)[..8], *begins, "{name}");
            assert_eq!(digest.len() * 8, name[5..].parse::<usize>().unwrap());
        }
        assert_eq!(DigestAlgorithm::named("md5"), None);
        assert_eq!(DigestAlgorithm::names().count(), DIGESTS.len());
    }
}
