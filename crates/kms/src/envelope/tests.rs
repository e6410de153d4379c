use super::*;
use crate::test_keys::{context, id, local};

#[tokio::test]
async fn bytes_come_back() {
    let kms = local();
    for length in [0, 1, 70_000] {
        let plaintext = vec![7; length];
        let made = EncryptedEnvelope::seal(&kms, &id("k"), &plaintext, &context("a=1"))
            .await
            .unwrap();
        let read = EncryptedEnvelope::from_bytes(&made.to_bytes()).unwrap();
        assert_eq!(read, made);
        let opened = read.open(&kms, &context("a=1")).await.unwrap();
        assert_eq!(opened.expose(), plaintext);
        for other in ["", "a=2"] {
            let refused = read.open(&kms, &context(other)).await;
            assert!(matches!(refused, Err(KmsError::NotAuthentic { .. })));
        }
    }
}

#[tokio::test]
async fn every_change_is_refused() {
    let kms = local();
    let made = EncryptedEnvelope::seal(&kms, &id("k"), b"plaintext", &context("a=1")).await;
    let bytes = made.unwrap().to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        if let Ok(read) = EncryptedEnvelope::from_bytes(&changed) {
            assert!(read.open(&kms, &context("a=1")).await.is_err(), "byte {at}");
        }
        let cut = EncryptedEnvelope::from_bytes(&bytes[..at]);
        assert!(matches!(cut, Err(FormatError::Truncated { .. })), "{at}");
    }
    let behind = EncryptedEnvelope::from_bytes(&[bytes.as_slice(), b"x"].concat());
    assert!(matches!(behind, Err(FormatError::Malformed { .. })));
    let mut newer = bytes;
    newer[4] = 2;
    let newer = EncryptedEnvelope::from_bytes(&newer);
    assert!(matches!(newer, Err(FormatError::Newer { found: 2, .. })));
    let foreign = EncryptedEnvelope::from_bytes(b"age-encryption.org/v1");
    assert!(matches!(foreign, Err(FormatError::Foreign { .. })));
}

#[tokio::test]
async fn wrapping_anew_changes_the_wrapped_key_only() {
    let kms = local();
    let made = EncryptedEnvelope::seal(&kms, &id("k"), b"kept", &context("a=1"))
        .await
        .unwrap();
    let moved = made
        .rewrap(&kms, &context("a=1"), &id("other"), &context("a=2"))
        .await
        .unwrap();
    assert_eq!((moved.nonce, &moved.sealed), (made.nonce, &made.sealed));
    assert_eq!(moved.wrapped_key().key(), &id("other"));
    let opened = moved.open(&kms, &context("a=2")).await.unwrap();
    assert_eq!(opened.expose(), b"kept");
    assert!(moved.open(&kms, &context("a=1")).await.is_err());
}

#[tokio::test]
async fn bodies_are_not_exchanged() {
    let kms = local();
    let (key, context) = (id("k"), context("a=1"));
    let one = EncryptedEnvelope::seal(&kms, &key, b"one", &context).await;
    let other = EncryptedEnvelope::seal(&kms, &key, b"other", &context).await;
    let mixed = EncryptedEnvelope {
        wrapped_key: one.unwrap().wrapped_key,
        ..other.unwrap()
    };
    let refused = mixed.open(&kms, &context).await;
    assert!(matches!(refused, Err(KmsError::NotAuthentic { .. })));
}

#[test]
fn lengths_have_their_limits() {
    let mut bytes = b"SKEV\x01".to_vec();
    put_u32(&mut bytes, &vec![0; WRAPPED_KEY_BYTES_MAX + 1]);
    let refused = EncryptedEnvelope::from_bytes(&bytes);
    assert!(matches!(refused, Err(FormatError::TooLarge { .. })));
    // At the limit the length is taken, and then its content is no ciphertext.
    let mut bytes = b"SKEV\x01".to_vec();
    put_u32(&mut bytes, &vec![0; WRAPPED_KEY_BYTES_MAX]);
    let refused = EncryptedEnvelope::from_bytes(&bytes);
    assert!(matches!(refused, Err(FormatError::Foreign { .. })));
}

#[tokio::test]
async fn a_plaintext_above_the_limit_is_refused() {
    let long = vec![0; ENVELOPE_PLAINTEXT_BYTES_MAX + 1];
    let refused = EncryptedEnvelope::seal(&local(), &id("k"), &long, &context("")).await;
    assert!(matches!(refused, Err(KmsError::PlaintextTooLarge { .. })));
}
