use super::super::types::{LeaderId, LogEntry, LogId, Payload, Vote};
use super::format::{BadHead, Facts, Head, Record};
use super::*;

fn id(index: u64) -> LogId {
    LogId {
        leader_id: LeaderId {
            term: 2,
            node_id: 5,
        },
        index,
    }
}

fn blank(index: u64) -> Record {
    Record::Entry(LogEntry {
        log_id: id(index),
        payload: Payload::Blank,
    })
}

fn head() -> Head {
    let vote = Vote {
        leader_id: LeaderId {
            term: 2,
            node_id: 5,
        },
        committed: true,
    };
    Head {
        cluster: Uuid::from_u128(9),
        node: 5,
        number: 3,
        previous_bytes: 1_234,
        facts: Facts {
            vote: Some(vote),
            committed: Some(id(7)),
            purged: Some(id(3)),
            last: Some(id(8)),
        },
    }
}

#[test]
fn a_head_is_read_as_it_was_written() {
    let mut bytes = head().encode();
    let length = bytes.len();
    bytes.extend_from_slice(b"frames follow");
    assert_eq!(Head::decode(&bytes), Ok((head(), length)));
    for bit in 0..length * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Head::decode(&flipped), Err(BadHead::Damaged), "bit {bit}");
    }
}

#[test]
fn a_record_that_leaves_a_gap_is_refused() {
    let facts = Facts {
        last: Some(id(8)),
        ..Facts::default()
    };
    assert!(facts.after(&blank(10)).is_err());
    assert!(facts.after(&blank(8)).is_err());
    let facts = facts.after(&blank(9)).unwrap();
    assert_eq!(facts.last, Some(id(9)));
    let facts = facts.after(&Record::TruncateAfter(Some(id(4)))).unwrap();
    let facts = facts.after(&blank(5)).unwrap();
    assert_eq!(facts.last, Some(id(5)));
    let facts = facts.after(&Record::Purge(id(20))).unwrap();
    assert_eq!((facts.purged, facts.last), (Some(id(20)), Some(id(20))));
}
