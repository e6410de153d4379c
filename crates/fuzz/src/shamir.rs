//! Shares of a key, as operators type them.

use secretum_crypto::{SecretBytes, TestRng, shamir};

/// Any shares are combined or refused; and shares of what was split give it back.
///
/// **Shape**: the number of shares, the threshold, then the secret, or shares of equal length.
pub(crate) fn run(data: &[u8]) {
    let Some(([shares, threshold], rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (shares, threshold) = (usize::from(*shares), usize::from(*threshold));
    combine(rest, shares);
    let secret = SecretBytes::new(rest.to_vec());
    // The first and the last shares of each sharing are looked at; all of 255 would be slow.
    let Ok(split) = shamir::split(&secret, shares % 16, threshold, &TestRng::new(1)) else {
        return;
    };
    let skipped = split.len() - threshold;
    for skipped in [0, skipped] {
        let some: Vec<_> = split
            .iter()
            .skip(skipped)
            .take(threshold)
            .map(SecretBytes::duplicate)
            .collect();
        assert!(shamir::combine(&some).is_ok_and(|whole| whole == secret));
    }
}

fn combine(bytes: &[u8], count: usize) {
    let length = bytes.len().checked_div(count).unwrap_or(0).max(1);
    let shares: Vec<_> = bytes
        .chunks(length)
        .map(|share| SecretBytes::new(share.to_vec()))
        .collect();
    if let Ok(secret) = shamir::combine(&shares) {
        assert_eq!(secret.len() + 1, length);
    }
}
