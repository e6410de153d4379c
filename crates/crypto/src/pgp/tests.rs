use super::*;
use crate::{SystemRng, TestRng};
use pgp::composed::{Message, SignedSecretKey};
use pgp::types::Password;

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/vectors/pgp/", $name)).as_slice()
    };
}

/// A moment when every key of the vectors could be in use that was not made for another time.
fn at(rfc3339: &str) -> Timestamp {
    Timestamp::parse_rfc3339(rfc3339).unwrap()
}

fn now() -> Timestamp {
    at("2026-11-22T00:00:00Z")
}

fn refusal(key: &[u8], now: Timestamp) -> &'static str {
    match PgpKey::parse(key, now) {
        Err(CryptoError::PgpKey(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn decrypt(secret: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let (key, _) = SignedSecretKey::from_reader_single(secret).unwrap();
    let message = Message::from_bytes(message).unwrap();
    let mut opened = message.decrypt(&Password::empty(), &key).ok()?;
    opened.as_data_vec().ok()
}

fn round(key: &[u8], secret: &[u8], now: Timestamp) {
    let key = PgpKey::parse(key, now).unwrap();
    let plain = SecretBytes::new(b"00ff a share".to_vec());
    let message = key.encrypt(&plain, now, &SystemRng).unwrap();
    assert_ne!(message, key.encrypt(&plain, now, &SystemRng).unwrap());
    assert!(!message.windows(4).any(|four| four == b"00ff"));
    assert_eq!(decrypt(secret, &message).unwrap(), plain.expose());
}

#[test]
fn the_holder_opens_what_was_encrypted_for_a_key() {
    round(key!("rsa.asc"), key!("rsa.secret.asc"), now());
    round(key!("rsa.pgp"), key!("rsa.secret.asc"), now());
    // While the younger subkey lives, and then with the older one.
    let young = at("2024-03-01T00:00:00Z");
    round(key!("curve.asc"), key!("curve.secret.asc"), young);
    round(key!("curve.asc"), key!("curve.secret.asc"), now());
}

#[test]
fn nobody_else_opens_it() {
    let key = PgpKey::parse(key!("curve.asc"), now()).unwrap();
    let plain = SecretBytes::new(b"a share".to_vec());
    let message = key.encrypt(&plain, now(), &SystemRng).unwrap();
    assert_eq!(decrypt(key!("rsa.secret.asc"), &message), None);
}

#[test]
fn a_younger_subkey_is_used_until_it_expires() {
    let key = PgpKey::parse(key!("curve.asc"), now()).unwrap();
    let created = |moment| match key.encrypting(moment).unwrap() {
        Encrypting::Subkey(subkey) => subkey.key.created_at().as_secs(),
        Encrypting::Primary(_) => panic!("the primary key only signs"),
    };
    let day = |rfc3339| u32::try_from(at(rfc3339).unix_seconds()).unwrap();
    let (older, younger) = (day("2024-01-01T00:00:00Z"), day("2024-02-01T00:00:00Z"));
    assert_eq!(created(at("2025-01-30T23:59:59Z")), younger);
    assert_eq!(created(at("2025-01-31T00:00:00Z")), older);
}

#[test]
fn fingerprints_are_those_that_gnupg_shows() {
    for (key, fingerprint) in [
        (key!("rsa.asc"), "64b6674e74ceaa8692966835ecc56bf366cdb36c"),
        (key!("rsa.pgp"), "64b6674e74ceaa8692966835ecc56bf366cdb36c"),
        (
            key!("curve.asc"),
            "57c30286d681018d059d8ee0e5e25c51cc143cec",
        ),
    ] {
        assert_eq!(
            PgpKey::parse(key, now()).unwrap().fingerprint(),
            fingerprint
        );
    }
}

#[test]
fn keys_that_nothing_may_be_encrypted_for_are_refused() {
    assert!(refusal(key!("sign.asc"), now()).contains("no part for encryption"));
    // ElGamal is no part of RFC 9580 any more.
    assert!(refusal(key!("elgamal.asc"), now()).contains("a kind that is not served"));
    assert_eq!(refusal(key!("revoked.asc"), now()), "it is revoked");
    assert_eq!(refusal(key!("expired.asc"), now()), "it has expired");
    assert!(PgpKey::parse(key!("expired.asc"), at("2020-06-01T00:00:00Z")).is_ok());
}

#[test]
fn what_is_no_public_key_is_refused() {
    for other in [b"".as_slice(), b"hello", &[0x99, 0xff], key!("README.md")] {
        assert_eq!(refusal(other, now()), "it is no OpenPGP public key");
    }
    // Nobody's secret key is taken for a public one.
    let secret = PgpKey::parse(key!("rsa.secret.asc"), now());
    assert!(secret.is_err());
}

#[test]
fn a_key_has_its_largest_size() {
    let mut large = key!("rsa.pgp").to_vec();
    // Behind the key, a second thing that is none.
    large.resize(KEY_BYTES_MAX, 0);
    assert_ne!(PgpKey::parse(&large, now()).err(), too_large());
    large.push(0);
    assert_eq!(PgpKey::parse(&large, now()).err(), too_large());
}

fn too_large() -> Option<CryptoError> {
    Some(CryptoError::PgpKey("it is larger than 128 KiB"))
}

#[test]
fn an_altered_key_is_refused_or_encrypts_for_the_same_parts() {
    let own = key!("rsa.pgp");
    let fingerprint = PgpKey::parse(own, now()).unwrap().fingerprint().to_owned();
    for place in (0..own.len()).step_by(3) {
        let mut altered = own.to_vec();
        altered[place] ^= 0x10;
        let Ok(key) = PgpKey::parse(&altered, now()) else {
            continue;
        };
        // What no signature covers may change; the keys themselves are covered.
        assert_eq!(key.fingerprint(), fingerprint, "byte {place}");
        let plain = SecretBytes::new(b"a share".to_vec());
        let message = key.encrypt(&plain, now(), &TestRng::new(1)).unwrap();
        let opened = decrypt(key!("rsa.secret.asc"), &message);
        assert_eq!(opened.unwrap(), plain.expose(), "byte {place}");
    }
    for end in (0..own.len()).step_by(7) {
        let _ = PgpKey::parse(&own[..end], now());
    }
}
