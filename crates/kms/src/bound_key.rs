//! A data key with the context it belongs to, as it goes to a provider that binds no context.
//!
//! ```text
//! mark      8    "SKMSBK" 0 1
//! context   32   SHA-256 of its canonical bytes
//! data key  32
//! ```
//!
//! Without the mark, the wrapped data key of a sealed ciphertext could be written as a native one, and
//! opened by whoever knows no context at all; then nothing would be bound. So what carries the mark is
//! no plaintext: [`crate::ProviderKms`] gives out none that looks so, and puts none before a provider
//! on a caller's behalf.

use crate::EncryptionContext;
use secretum_crypto::{Key256, SecretBytes, sha256};

/// How long it is.
pub(crate) const BYTES: usize = MARK.len() + 32 + 32;

const MARK: &[u8; 8] = b"SKMSBK\x00\x01";

/// The bytes of this key, bound to this context.
pub(crate) fn join(data_key: &Key256, context: &EncryptionContext) -> SecretBytes {
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.extend_from_slice(MARK);
    bytes.extend_from_slice(&sha256(&context.canonical_bytes()));
    bytes.extend_from_slice(data_key.expose());
    SecretBytes::new(bytes)
}

/// The key in these bytes; `None` where they are no bound key, or one of another context.
pub(crate) fn part(bytes: &[u8], context: &EncryptionContext) -> Option<Key256> {
    let rest = bytes.strip_prefix(MARK)?;
    let data_key = rest.strip_prefix(&sha256(&context.canonical_bytes()))?;
    Key256::from_slice(data_key).ok()
}

/// Whether these bytes are those of a bound key.
pub(crate) fn looks_so(bytes: &[u8]) -> bool {
    bytes.len() == BYTES && bytes.starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_with_its_context_and_whole() {
        let (context, other) = ("a=1".parse().unwrap(), "a=2".parse().unwrap());
        let key = Key256::from_slice(&[7; 32]).unwrap();
        let joined = join(&key, &context);
        assert!(looks_so(joined.expose()));
        let parted = part(joined.expose(), &context).unwrap();
        assert_eq!(parted.expose(), key.expose());
        assert!(part(joined.expose(), &other).is_none());
        assert!(part(joined.expose(), &EncryptionContext::NONE).is_none());
        for cut in 0..BYTES {
            let cut = &joined.expose()[..cut];
            assert!(part(cut, &context).is_none() && !looks_so(cut));
        }
        let longer = [joined.expose(), b"x"].concat();
        assert!(part(&longer, &context).is_none() && !looks_so(&longer));
        assert!(part(&[7; 32], &context).is_none() && !looks_so(&[7; 32]));
    }
}
