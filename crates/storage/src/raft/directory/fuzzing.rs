//! What must hold of any bytes in the place of `FORMAT`.

use super::{FORMAT, decode, encode};
use std::path::Path;

/// A file that is read says the same when it is written again, whether its checksum came with it or
/// is made to fit.
pub fn format_file(data: &[u8]) {
    check(data);
    let checksum = format!("crc32 {:08x}\n", crc32fast::hash(data));
    check(&[data, checksum.as_bytes()].concat());
}

fn check(bytes: &[u8]) {
    let path = Path::new(FORMAT);
    if let Ok(facts) = decode(bytes, path) {
        let again = decode(encode(facts.0, facts.1).as_bytes(), path);
        assert_eq!(again.ok(), Some(facts));
    }
}
