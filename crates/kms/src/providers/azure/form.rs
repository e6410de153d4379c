//! [`Forms`]: the bytes of a ciphertext, and what the service takes of them.
//!
//! ```text
//! algorithm  1   1 for RSA-OAEP-256, 2 for A256GCM
//! the rest       what the service gave; with A256GCM its nonce (12) and its tag (16) stand before that
//! ```
//!
//! What was made before algorithms were named, or elsewhere, begins with the rest.

use super::AzureAlgorithm;
use super::fault::CLOUD;
use crate::Result;
use azure_security_keyvault_keys::models::{KeyOperationParameters, KeyOperationResult};

const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

impl AzureAlgorithm {
    /// How ciphertexts name it.
    pub(super) fn mark(self) -> u8 {
        match self {
            Self::RsaOaep256 => 1,
            Self::A256Gcm => 2,
        }
    }
}

/// What the bytes of a ciphertext may be.
pub(super) struct Forms<'a> {
    marked: Option<&'a [u8]>,
    bare: Option<&'a [u8]>,
    other: Option<AzureAlgorithm>,
}

impl<'a> Forms<'a> {
    /// What RSA gives has the length of its key, a multiple of 8 bytes, and is known by that. The nonce of
    /// AES may begin with any byte, also with one that names an algorithm; only the key tells then.
    pub(super) fn of(algorithm: AzureAlgorithm, bytes: &'a [u8]) -> Self {
        let (rsa, aes) = (AzureAlgorithm::RsaOaep256, AzureAlgorithm::A256Gcm);
        let is_rsa = |bytes: &[u8]| !bytes.is_empty() && bytes.len().is_multiple_of(8);
        let of_rsa = rsa.bare(bytes).filter(|rest| is_rsa(rest));
        let of_aes = aes.bare(bytes);
        let (marked, bare, other) = match algorithm {
            AzureAlgorithm::RsaOaep256 if is_rsa(bytes) => (None, Some(bytes), None),
            AzureAlgorithm::RsaOaep256 if of_rsa.is_some() => (of_rsa, None, None),
            AzureAlgorithm::RsaOaep256 => (None, Some(bytes), of_aes.map(|_| aes)),
            AzureAlgorithm::A256Gcm => (of_aes, Some(bytes), of_rsa.map(|_| rsa)),
        };
        Self {
            marked,
            bare,
            other,
        }
    }

    /// What is to be tried, in this order.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.marked.into_iter().chain(self.bare)
    }

    /// The algorithm that it names, where that is not the one that was asked for.
    pub(super) fn other(&self) -> Option<AzureAlgorithm> {
        self.other
    }
}

/// What the service gave, as it is kept.
pub(super) fn joined(algorithm: AzureAlgorithm, made: KeyOperationResult) -> Result<Vec<u8>> {
    let bytes = made
        .result
        .ok_or_else(|| CLOUD.bad("it has no ciphertext"))?;
    let mark = vec![algorithm.mark()];
    if algorithm == AzureAlgorithm::RsaOaep256 {
        return Ok([mark, bytes].concat());
    }
    let iv = made.iv.filter(|iv| iv.len() == IV_BYTES);
    let tag = made.authentication_tag;
    let tag = tag.filter(|tag| tag.len() == TAG_BYTES);
    let (Some(iv), Some(tag)) = (iv, tag) else {
        return Err(CLOUD.bad("its nonce or its tag is missing"));
    };
    Ok([mark, iv, tag, bytes].concat())
}

/// What stands behind the algorithm, taken apart; `None` where it is too short.
pub(super) fn parted(
    algorithm: AzureAlgorithm,
    bytes: &[u8],
    aad: Option<Vec<u8>>,
) -> Option<KeyOperationParameters> {
    let mut parameters = KeyOperationParameters {
        algorithm: Some(algorithm.name()),
        additional_authenticated_data: aad,
        ..KeyOperationParameters::default()
    };
    let mut rest = bytes;
    if algorithm == AzureAlgorithm::A256Gcm {
        let (iv, behind) = bytes.split_at_checked(IV_BYTES)?;
        let (tag, behind) = behind.split_at_checked(TAG_BYTES)?;
        parameters.iv = Some(iv.to_vec());
        parameters.authentication_tag = Some(tag.to_vec());
        rest = behind;
    }
    parameters.value = Some(rest.to_vec());
    Some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(algorithm: AzureAlgorithm, bytes: &[u8]) -> (Vec<usize>, Option<AzureAlgorithm>) {
        let forms = Forms::of(algorithm, bytes);
        (forms.all().map(<[u8]>::len).collect(), forms.other())
    }

    #[test]
    fn a_ciphertext_is_known_by_its_first_byte_and_by_its_length() {
        let (rsa, aes) = (AzureAlgorithm::RsaOaep256, AzureAlgorithm::A256Gcm);
        let of = |first: u8, len: usize| [vec![first], vec![9; len - 1]].concat();
        for (algorithm, bytes, tried, other) in [
            (rsa, of(1, 257), vec![256], None),
            (rsa, of(1, 513), vec![512], None),
            // Made before, whatever it begins with.
            (rsa, of(9, 256), vec![256], None),
            (rsa, of(1, 256), vec![256], None),
            (rsa, of(2, 256), vec![256], None),
            (rsa, of(2, 61), vec![61], Some(aes)),
            (rsa, of(0, 257), vec![257], None),
            (aes, of(2, 61), vec![60, 61], None),
            (aes, of(9, 60), vec![60], None),
            (aes, of(1, 60), vec![60], None),
            (aes, of(1, 257), vec![257], Some(rsa)),
        ] {
            let length = bytes.len();
            assert_eq!(
                forms(algorithm, &bytes),
                (tried, other),
                "{algorithm} {length}"
            );
        }
        assert_eq!(forms(rsa, &[]), (vec![0], None));
        assert_eq!(forms(rsa, &[1]), (vec![1], None));
        assert_eq!(rsa.bare(&of(1, 257)).unwrap().len(), 256);
        assert_eq!(aes.bare(&of(1, 257)), None);
    }
}
