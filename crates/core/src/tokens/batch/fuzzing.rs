//! What must hold of any text in the place of a batch token.

use super::{BatchKey, PREFIX, TEXT_BYTES_MAX, URL_SAFE_NO_PAD};
use crate::tokens::TokenRecord;
use base64::Engine as _;
use secretum_crypto::{NameKey, SecretKey, SystemRng, siv};

/// A text that the vault did not make opens nothing, changes of one that it made among them; and a
/// token that is made opens as what it was made of.
///
/// **Shape**: a text, or the record of a token. What stands behind a record's first line changes its
/// text, byte by byte.
pub fn token_text(data: &[u8]) {
    let Ok(key) = SecretKey::from_slice(&[7; siv::KEY_BYTES]) else {
        unreachable!("the key is as long as keys are");
    };
    let key = BatchKey(NameKey::new(&key));
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(key.open(text), None);
        assert_eq!(key.open(&format!("{PREFIX}{text}")), None);
    }
    let end = data.iter().position(|byte| *byte == b'\n');
    let (record, changes) = data.split_at(end.unwrap_or(data.len()));
    let Ok(record) = TokenRecord::read(record) else {
        return;
    };
    let Ok(token) = key.seal(&record, &SystemRng) else {
        // It is too long for a header.
        assert!(data.len() > TEXT_BYTES_MAX / 2);
        return;
    };
    let text = token.expose();
    assert_eq!(key.open(text), Some(record));
    let Ok(mut sealed) = URL_SAFE_NO_PAD.decode(text.trim_start_matches(PREFIX)) else {
        unreachable!("it was just written");
    };
    for (byte, change) in sealed.iter_mut().zip(changes) {
        *byte ^= change;
    }
    if changes.iter().take(sealed.len()).any(|change| *change != 0) {
        let changed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed));
        assert_eq!(key.open(&changed), None);
    }
}
