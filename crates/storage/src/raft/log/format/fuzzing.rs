//! What must hold of any bytes in the place of a segment's head, of a frame, and of its records.

use super::{
    FRAME_HEAD_BYTES, Facts, FrameHead, Head, MAGIC, Place, Record, VERSION, find_frame, seal_frame,
};
use crate::raft::codec::{self, Reader};

/// Records are read in the bounds of the bytes. What is read means the same when it is written and
/// read again, and writing it brings no more bytes than were read.
pub fn records(data: &[u8]) {
    let mut body = Reader::new(data);
    let mut facts = Facts::default();
    let mut written = Vec::new();
    while !body.is_empty() {
        let Ok(record) = Record::decode(&mut body) else {
            break;
        };
        record.encode(&mut written);
        if let Ok(after) = facts.after(&record) {
            facts = after;
        }
    }
    assert!(written.len() <= data.len());
    let mut body = Reader::new(&written);
    let mut again = Vec::new();
    while !body.is_empty() {
        let record = Record::decode(&mut body);
        assert!(record.is_ok(), "what was written cannot be read");
        record.iter().for_each(|record| record.encode(&mut again));
    }
    assert_eq!(written, again);
}

/// A head that is read is the same when it is written and read again.
pub fn segment_head(data: &[u8]) {
    check_head(data);
    let mut sealed = MAGIC.to_vec();
    sealed.extend_from_slice(&VERSION.to_le_bytes());
    sealed.extend_from_slice(&[0, 0]);
    codec::put_bytes(&mut sealed, data);
    sealed.extend_from_slice(&crc32fast::hash(&sealed).to_le_bytes());
    check_head(&sealed);
}

fn check_head(bytes: &[u8]) {
    if let Ok((head, length)) = Head::decode(bytes) {
        assert!(length <= bytes.len());
        let again = head.encode();
        assert_eq!(Head::decode(&again), Ok((head, again.len())));
    }
}

/// A frame is found where it was sealed and covers what was sealed; with any byte changed, or in
/// another place, it does not.
pub fn frame(data: &[u8]) {
    let read = FrameHead::decode(data);
    assert!(read.is_none() || find_frame(data) == Some(0));
    if let Some(head) = read {
        // Whatever it says of itself, reading it ends.
        let _ = head.covers(1, 0, data);
    }
    let (Some(at), Some(flip)) = (data.first(), data.last()) else {
        return;
    };
    let mut sealed = [&[0; FRAME_HEAD_BYTES], data].concat();
    let place = Place {
        segment: 7,
        offset: u64::from(*at),
        previous: u32::from(*flip),
    };
    let checksum = seal_frame(&mut sealed, place, place.offset);
    let Some(head) = FrameHead::decode(&sealed) else {
        unreachable!("a sealed frame has a head");
    };
    assert_eq!((head.body_bytes, head.checksum), (data.len(), checksum));
    assert_eq!((head.synced, head.previous), (place.offset, place.previous));
    assert!(head.covers(place.segment, place.offset, &sealed));
    assert!(!head.covers(place.segment, place.offset + 1, &sealed));
    assert!(!head.covers(place.segment + 1, place.offset, &sealed));
    let changed = usize::from(*at) % (sealed.len() - 4);
    // Behind the fields that the checksum covers stands the checksum itself.
    let changed = if changed < FRAME_HEAD_BYTES - 4 {
        changed
    } else {
        changed + 4
    };
    for byte in sealed.iter_mut().skip(changed).take(1) {
        *byte ^= flip | 1;
    }
    assert!(!head.covers(place.segment, place.offset, &sealed));
}
