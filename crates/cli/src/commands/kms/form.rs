//! [`Form`]: what bytes are, by their beginning.

use crate::failure::Failure;
use secretum_kms::{Ciphertext, KmsError};

/// The bytes that tell a form.
pub(super) const MARK_BYTES: usize = 5;

/// The bytes in which a form is looked for: a ciphertext as text may stand behind white space.
pub(super) const BEGINNING_BYTES: usize = 1024;

/// The most bytes of a ciphertext as text.
pub(super) const TEXT_BYTES_MAX: usize = secretum_kms::CIPHERTEXT_BYTES_MAX / 3 * 4 + 1024;

/// What bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A ciphertext, as bytes.
    Bytes,
    /// A ciphertext, in base64.
    Text,
    /// An envelope.
    Envelope,
    /// A stream: a file that `encrypt-file` wrote.
    Stream,
}

impl Form {
    /// What begins so; `None` where it is nothing of this library.
    pub(super) fn of(beginning: &[u8]) -> Option<Self> {
        match beginning.get(..4)? {
            b"SKMS" => Some(Self::Bytes),
            b"SKEV" => Some(Self::Envelope),
            b"SKST" => Some(Self::Stream),
            _ => {
                let seen = beginning.get(..BEGINNING_BYTES).unwrap_or(beginning);
                // "SKMS" in base64, as far as what stands behind it leaves it alone.
                let is_text = seen.trim_ascii_start().starts_with(b"U0tNU");
                is_text.then_some(Self::Text)
            }
        }
    }
}

/// What stands before and behind a ciphertext as text.
pub(super) fn around(bytes: &[u8]) -> (&[u8], &[u8]) {
    let behind = bytes.trim_ascii_start();
    let before = bytes.len().saturating_sub(behind.len());
    let whole = behind.trim_ascii_end().len();
    let (before, after) = (bytes.get(..before), behind.get(whole..));
    (before.unwrap_or_default(), after.unwrap_or_default())
}

/// A ciphertext, as bytes or text.
///
/// **Errors**: where it is none, with what it may be.
pub(super) fn ciphertext(bytes: &[u8]) -> Result<Ciphertext, Failure> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    match Form::of(bytes) {
        Some(Form::Bytes) => Ok(Ciphertext::from_bytes(bytes).map_err(KmsError::from)?),
        Some(Form::Text) => Ok(Ciphertext::from_base64(text).map_err(KmsError::from)?),
        Some(Form::Stream) => Err(Failure::local(
            "this is a file of `kms encrypt-file`; `kms decrypt-file` opens it",
        )),
        Some(Form::Envelope) => Err(Failure::local(
            "this is an envelope, which holds a whole plaintext; `kms decrypt` opens it",
        )),
        None if bytes.is_empty() => {
            Err(Failure::local("there is no ciphertext: the input is empty"))
        }
        None => Err(Failure::local(
            "these bytes are no ciphertext of `kms encrypt`; -native opens what a key service itself \
             wrote, as an age file",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_kms::{KeyId, KeyVersion, Wrapped};

    #[test]
    fn forms_are_told_by_their_beginning() {
        let wrapped = Wrapped {
            key: KeyId::new("k").unwrap(),
            version: KeyVersion::from(1),
            bytes: b"x".to_vec(),
        };
        let made = Ciphertext::native("local", wrapped).unwrap();
        let text = format!("\n{}\n", made.to_base64());
        assert_eq!(Form::of(&made.to_bytes()), Some(Form::Bytes));
        assert_eq!(Form::of(made.to_base64().as_bytes()), Some(Form::Text));
        assert_eq!(ciphertext(&made.to_bytes()).unwrap(), made);
        assert_eq!(ciphertext(text.as_bytes()).unwrap(), made);
        assert_eq!(around(text.as_bytes()), (&b"\n"[..], &b"\n"[..]));
        // White space is passed over as far as the mark behind it is among what is looked at.
        let edge = " ".repeat(BEGINNING_BYTES - MARK_BYTES) + &made.to_base64() + "\r\n";
        assert_eq!(Form::of(edge.as_bytes()), Some(Form::Text));
        assert_eq!(ciphertext(edge.as_bytes()).unwrap(), made);
        assert_eq!(around(edge.as_bytes()).1, b"\r\n");
        let behind = format!(" {edge}");
        assert_eq!(Form::of(behind.as_bytes()), None);
        assert!(ciphertext(behind.as_bytes()).is_err());
        assert_eq!(Form::of(b"SKEV\x01"), Some(Form::Envelope));
        assert_eq!(Form::of(b"SKST\x01"), Some(Form::Stream));
        for other in [&b""[..], b"SKM", b"U0tN", b"age-encryption.org/v1", b"\xff"] {
            assert_eq!(Form::of(other), None);
        }
    }

    #[test]
    fn what_is_no_ciphertext_is_told_apart() {
        for (bytes, word) in [
            (&b"SKST\x01"[..], "decrypt-file"),
            (b"SKEV\x01", "envelope"),
            (b"", "empty"),
            (b"age-encryption.org/v1", "-native"),
            (b"SKMS\x02", "newer"),
            (b"U0tNUw==", "cut off"),
            (b"U0tNUwE", "ciphertext"),
        ] {
            let told = ciphertext(bytes).unwrap_err().to_string();
            assert!(told.contains(word), "{told}");
        }
    }
}
