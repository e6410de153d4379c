//! CRC-32C, by which the service and its clients find what was damaged on the way.

use super::fault::damaged;
use crate::Result;

/// The checksum as the service takes and gives it.
pub(super) fn of(bytes: &[u8]) -> i64 {
    i64::from(crc_fast::crc32_iscsi(bytes))
}

/// Refuses what is not as it was sent.
///
/// **Errors**: [`crate::KmsError::Unavailable`], which is tried again.
pub(super) fn check(bytes: &[u8], told: Option<i64>) -> Result<()> {
    if told == Some(of(bytes)) {
        return Ok(());
    }
    Err(damaged())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, B.4.
    #[test]
    fn checksums_are_those_of_the_rfc() {
        for (bytes, wanted) in [([0; 32], 0x8a91_36aa), ([0xff; 32], 0x62a8_ab43)] {
            assert_eq!(of(&bytes), wanted);
            assert!(check(&bytes, Some(wanted)).is_ok());
        }
        for told in [None, Some(0)] {
            assert!(check(b"x", told).unwrap_err().is_transient());
        }
    }
}
