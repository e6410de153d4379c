//! What must hold of any bytes in the place of a token.

use super::{AccessorRecord, TokenRecord};
use crate::life::Lives;
use secretum_crypto::Timestamp;

/// A token that is read is the same when it is written and read again, and can be asked about its
/// life at any time, whatever its numbers are.
pub fn token_record(data: &[u8]) {
    let _ = AccessorRecord::read(data);
    let Ok(record) = TokenRecord::read(data) else {
        return;
    };
    let again = record
        .to_bytes()
        .and_then(|bytes| TokenRecord::read(&bytes));
    assert_eq!(again.ok().as_ref(), Some(&record));
    for now in [i64::MIN, 0, 1_800_000_000, i64::MAX] {
        let now = Timestamp::from_unix_seconds(now);
        let lives = Lives {
            default: 600,
            max: 3_600,
        };
        let renewed = lives.give(600, record.bounds(now)).seconds;
        assert!(renewed <= lives.max);
        assert!(record.period > 0 || renewed <= 600);
        assert!(!record.is_over(now) || record.num_uses < 0 || record.ttl_left(now) == 0);
    }
}
