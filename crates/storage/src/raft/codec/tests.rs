use super::*;

fn id(index: u64) -> LogId {
    LogId {
        leader_id: LeaderId {
            term: 3,
            node_id: 9,
        },
        index,
    }
}

fn members() -> Membership {
    let node = |name: &str| NodeRecord {
        api_address: format!("https://{name}:8200"),
        cluster_address: format!("{name}:8201"),
        version: "0.1.0".to_owned(),
    };
    let configs = vec![BTreeSet::from([1]), BTreeSet::from([1, 2])];
    let nodes = BTreeMap::from([(1, node("a")), (2, node("b")), (7, node("c"))]);
    Membership::new(configs, nodes).unwrap()
}

fn entries() -> Vec<LogEntry> {
    let key = |text: &str| Key::try_from(text).unwrap();
    let batch = Batch::new()
        .put_if(key("a"), Precondition::At(Revision(7)), "value")
        .delete_if(key("b"), Precondition::Absent)
        .require(key("c"), Precondition::Absent)
        .require(key("e"), Precondition::Present)
        .put(key("d"), "");
    [
        Payload::Blank,
        Payload::Normal(Proposal(Arc::new(batch))),
        Payload::Membership(members()),
    ]
    .into_iter()
    .zip(4..)
    .map(|(payload, index)| LogEntry {
        log_id: id(index),
        payload,
    })
    .collect()
}

#[test]
fn entries_are_read_as_they_were_written() {
    for wanted in entries() {
        let mut bytes = Vec::new();
        put_entry(&mut bytes, &wanted);
        let mut reader = Reader::new(&bytes);
        let seen = entry(&mut reader).unwrap();
        assert!(reader.is_empty());
        assert_eq!(format!("{seen:?}"), format!("{wanted:?}"));
        for cut in 0..bytes.len() {
            assert!(
                entry(&mut Reader::new(&bytes[..cut])).is_err(),
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn the_layout_of_an_entry_is_fixed() {
    let key = Key::try_from("k").unwrap();
    let batch = Batch::new().put_if(key, Precondition::At(Revision(2)), "v");
    let payload = Payload::Normal(Proposal(Arc::new(batch)));
    let mut bytes = Vec::new();
    put_entry(
        &mut bytes,
        &LogEntry {
            log_id: id(5),
            payload,
        },
    );
    let wanted = [
        &[3, 0, 0, 0, 0, 0, 0, 0][..], // term
        &[9, 0, 0, 0, 0, 0, 0, 0],     // node
        &[5, 0, 0, 0, 0, 0, 0, 0],     // index
        &[1, 1, 0, 0, 0],              // a batch of one step
        &[2, 2, 0, 0, 0, 0, 0, 0, 0],  // at revision 2
        &[1, 0, 0, 0, b'k'],
        &[2, 1, 0, 0, 0, b'v'],
    ];
    assert_eq!(bytes, wanted.concat());
}

#[test]
fn memberships_and_votes_are_read_as_they_were_written() {
    let stored = StoredMembership::new(Some(id(4)), members());
    let mut bytes = Vec::new();
    put_stored_membership(&mut bytes, &stored);
    assert_eq!(stored_membership(&mut Reader::new(&bytes)), Ok(stored));

    let empty = StoredMembership::default();
    let mut bytes = Vec::new();
    put_stored_membership(&mut bytes, &empty);
    assert_eq!(stored_membership(&mut Reader::new(&bytes)), Ok(empty));

    for committed in [false, true] {
        let wanted = Vote {
            leader_id: LeaderId {
                term: 8,
                node_id: 2,
            },
            committed,
        };
        let mut bytes = Vec::new();
        put_vote_option(&mut bytes, Some(wanted));
        assert_eq!(vote_option(&mut Reader::new(&bytes)), Ok(Some(wanted)));
    }
}

#[test]
fn a_later_field_of_a_node_is_skipped() {
    let mut record = Vec::new();
    for text in ["api", "cluster", "1.0", "a field of tomorrow"] {
        put_bytes(&mut record, text.as_bytes());
    }
    let mut bytes = Vec::new();
    put_bytes(&mut bytes, &record);
    let mut reader = Reader::new(&bytes);
    assert_eq!(node(&mut reader).unwrap().version, "1.0");
    assert!(reader.is_empty());
}

#[test]
fn no_index_is_the_last_that_can_be_counted() {
    let read = |index: u64| {
        let mut bytes = Vec::new();
        put_log_id(&mut bytes, id(index));
        log_id(&mut Reader::new(&bytes))
    };
    assert_eq!(read(u64::MAX - 1), Ok(id(u64::MAX - 1)));
    assert_eq!(read(u64::MAX), Err(Malformed));
}

#[test]
fn a_batch_with_a_key_twice_is_refused() {
    for others in [0, 20] {
        let mut batch = Batch::new();
        for number in 0..others {
            batch = batch.delete(Key::try_from(format!("other-{number}")).unwrap());
        }
        for key in ["twice-a", "twice-b"] {
            batch = batch.put(Key::try_from(key).unwrap(), "value");
        }
        let entry_of_it = LogEntry {
            log_id: id(1),
            payload: Payload::Normal(Proposal(Arc::new(batch))),
        };
        let mut bytes = Vec::new();
        put_entry(&mut bytes, &entry_of_it);
        assert!(entry(&mut Reader::new(&bytes)).is_ok());
        let at = bytes.windows(7).position(|part| part == b"twice-b");
        bytes[at.unwrap() + 6] = b'a';
        assert!(entry(&mut Reader::new(&bytes)).is_err(), "{others} others");
    }
}

#[test]
fn the_layout_of_votes_and_memberships_is_fixed() {
    let vote = Vote {
        leader_id: LeaderId {
            term: 8,
            node_id: 2,
        },
        committed: true,
    };
    let mut bytes = Vec::new();
    put_vote_option(&mut bytes, Some(vote));
    let wanted = [
        &[1][..],
        &[8, 0, 0, 0, 0, 0, 0, 0], // term
        &[2, 0, 0, 0, 0, 0, 0, 0], // node
        &[1],                      // committed
    ];
    assert_eq!(bytes, wanted.concat());

    let node = NodeRecord {
        api_address: "a".to_owned(),
        cluster_address: "bc".to_owned(),
        version: "1".to_owned(),
    };
    let configs = vec![BTreeSet::from([2])];
    let membership = Membership::new(configs, BTreeMap::from([(2, node)])).unwrap();
    let mut bytes = Vec::new();
    put_stored_membership(&mut bytes, &StoredMembership::new(Some(id(4)), membership));
    let wanted = [
        &[1][..],
        &[3, 0, 0, 0, 0, 0, 0, 0], // term of the entry that made it
        &[9, 0, 0, 0, 0, 0, 0, 0], // node of that
        &[4, 0, 0, 0, 0, 0, 0, 0], // index of that
        &[1, 0, 0, 0, 1, 0, 0, 0], // one configuration of one voter
        &[2, 0, 0, 0, 0, 0, 0, 0], // the voter
        &[1, 0, 0, 0],             // one node
        &[2, 0, 0, 0, 0, 0, 0, 0], // its id
        &[16, 0, 0, 0],            // its record
        &[1, 0, 0, 0, b'a', 2, 0, 0, 0, b'b', b'c', 1, 0, 0, 0, b'1'],
    ];
    assert_eq!(bytes, wanted.concat());
}
