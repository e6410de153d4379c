use super::*;
use crate::{SystemRng, TestRng};
use proptest::prelude::*;

fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::new(bytes.to_vec())
}

/// FIPS 197, section 4.2: {57}·{83} = {c1}, {57}·{13} = {fe}.
#[test]
fn the_field_is_that_of_aes() {
    assert_eq!(multiply(0x57, 0x83), 0xc1);
    assert_eq!(multiply(0x57, 0x13), 0xfe);
    for a in 0..=255 {
        assert_eq!(multiply(a, 1), a);
        assert_eq!(multiply(a, 0), 0);
        assert_eq!(multiply(a, inverse(a)), u8::from(a != 0));
        for b in 0..=255 {
            assert_eq!(multiply(a, b), multiply(b, a));
        }
    }
}

/// Worked by hand: the polynomial 0x42 + 0x03·x at 1 is 0x41, at 2 is 0x44.
#[test]
fn shares_worked_by_hand_combine() {
    let shares = [secret(&[0x41, 1]), secret(&[0x44, 2])];
    assert_eq!(combine(&shares).unwrap().expose(), [0x42]);
}

#[test]
fn bad_numbers_are_refused() {
    let key = secret(b"key");
    for (shares, threshold) in [(1, 1), (2, 1), (2, 3), (256, 2), (0, 0), (256, 256)] {
        assert_eq!(
            split(&key, shares, threshold, &SystemRng).unwrap_err(),
            CryptoError::ShareNumbers { shares, threshold }
        );
    }
    assert_eq!(
        split(&secret(b""), 3, 2, &SystemRng).unwrap_err(),
        CryptoError::EmptySecret
    );
    let shares = split(&key, 255, 255, &SystemRng).unwrap();
    assert_eq!(combine(&shares).unwrap(), key);
}

#[test]
fn bad_shares_are_refused() {
    let good = || secret(&[1, 2, 3]);
    let cases = [
        (vec![], CryptoError::TooFewShares),
        (vec![good()], CryptoError::TooFewShares),
        (vec![good(), good()], CryptoError::DuplicateShare),
        (
            vec![good(), secret(&[9, 9, 3])],
            CryptoError::DuplicateShare,
        ),
        (
            vec![good(), secret(&[1, 2, 3, 4])],
            CryptoError::ShareLengths,
        ),
        (vec![secret(&[]), good()], CryptoError::ShareTooShort),
        (vec![secret(&[1]), secret(&[2])], CryptoError::ShareTooShort),
        (
            vec![good(), secret(&[1, 2, 0])],
            CryptoError::ShareCoordinate,
        ),
    ];
    for (shares, error) in cases {
        assert_eq!(combine(&shares).unwrap_err(), error);
    }
    let many: Vec<SecretBytes> = (0..256).map(|_| good()).collect();
    assert_eq!(combine(&many).unwrap_err(), CryptoError::TooManyShares);
}

#[test]
fn coordinates_are_distinct_and_random() {
    let all = random_coordinates(255, &SystemRng).unwrap();
    let mut sorted = all.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=255).collect::<Vec<u8>>());
    assert_ne!(all, random_coordinates(255, &SystemRng).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_threshold_of_the_shares_gives_the_secret_and_fewer_do_not(
        key in prop::collection::vec(any::<u8>(), 16..64),
        (shares, threshold) in (2_usize..12).prop_flat_map(|n| (Just(n), 2..=n)),
        seed in any::<u64>(),
        order in any::<prop::sample::Index>(),
    ) {
        let key = SecretBytes::new(key);
        let mut parts = split(&key, shares, threshold, &TestRng::new(seed)).unwrap();
        prop_assert_eq!(parts.len(), shares);
        prop_assert!(parts.iter().all(|part| part.len() == key.len() + 1));
        parts.rotate_left(order.index(shares));
        for count in threshold..=shares {
            prop_assert_eq!(&combine(&parts[..count]).unwrap(), &key);
        }
        // Sixteen bytes or more: that a wrong polynomial hits the secret is out of the question.
        for count in 2..threshold {
            prop_assert_ne!(&combine(&parts[..count]).unwrap(), &key);
        }
    }

    #[test]
    fn no_bytes_make_combine_fail_badly(
        shares in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 0..6),
    ) {
        let shares: Vec<SecretBytes> = shares.into_iter().map(SecretBytes::new).collect();
        let _ = combine(&shares);
    }
}
