//! Public keys of OpenPGP, as operators send them.

use secretum_crypto::{PgpKey, SecretBytes, SystemRng, Timestamp, pgp};

/// A moment when the keys of the corpus are in use.
const NOW: i64 = 1_795_305_600;

/// What reads as a key has a fingerprint and encrypts; nothing that it is makes it panic.
pub(crate) fn key(data: &[u8]) {
    let now = Timestamp::from_unix_seconds(NOW);
    let Ok(key) = PgpKey::parse(data, now) else {
        return;
    };
    assert!(data.len() <= pgp::KEY_BYTES_MAX);
    let print = key.fingerprint();
    assert!(print.len() >= 32 && print.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let plain = SecretBytes::new(b"planted".to_vec());
    // A key that lies about its numbers may be refused here still.
    if let Ok(message) = key.encrypt(&plain, now, &SystemRng) {
        assert!(!message.windows(7).any(|seven| seven == b"planted"));
    }
}
