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

/// A log and what it should hold, side by side.
struct Pair {
    config: LogConfig,
    log: Arc<Log>,
    entries: std::collections::BTreeMap<u64, (u64, usize)>,
    purged: Option<u64>,
    next: u64,
    term: u64,
    vote: Option<Vote>,
}

fn open(config: &LogConfig) -> Arc<Log> {
    Log::open(config.clone(), Failure::default(), Arc::new(Box::new(()))).unwrap()
}

impl Pair {
    fn new(directory: &std::path::Path) -> Self {
        let config = LogConfig {
            disk: Arc::new(super::super::disk::SystemDisk),
            directory: directory.to_owned(),
            cluster: Uuid::from_u128(1),
            node: 1,
            segment_bytes: 4_000,
            cache_bytes: 2_000,
        };
        let log = open(&config);
        let entries = std::collections::BTreeMap::new();
        Self {
            config,
            log,
            entries,
            purged: None,
            next: 0,
            term: 1,
            vote: None,
        }
    }

    fn id(&self, index: u64) -> LogId {
        let term = self
            .entries
            .get(&index)
            .map_or(self.term, |(term, _)| *term);
        LogId {
            leader_id: LeaderId { term, node_id: 1 },
            index,
        }
    }

    fn put(&self, records: impl IntoIterator<Item = Record>) {
        let (sender, receiver) = oneshot::channel();
        self.log
            .write_and_wait(records, Waiting::Other(sender))
            .unwrap();
        receiver.blocking_recv().unwrap().unwrap();
    }

    fn append(&mut self, count: u64, bytes: usize) {
        let mut records = Vec::new();
        for _ in 0..count {
            let log_id = LogId {
                leader_id: LeaderId {
                    term: self.term,
                    node_id: 1,
                },
                index: self.next,
            };
            let key = crate::Key::try_from("k").unwrap();
            let batch = crate::Batch::new().put(key, vec![0; bytes]);
            let payload = Payload::Normal(super::super::types::Proposal(Arc::new(batch)));
            records.push(Record::Entry(LogEntry { log_id, payload }));
            self.entries.insert(self.next, (self.term, bytes));
            self.next += 1;
        }
        self.put(records);
    }

    fn truncate(&mut self, back: u64) {
        let floor = self.purged.map_or(0, |purged| purged + 1);
        let keep_below = self.next.saturating_sub(back).max(floor);
        let keep = keep_below.checked_sub(1).map(|index| self.id(index));
        self.put([Record::TruncateAfter(keep)]);
        self.entries.retain(|index, _| *index < keep_below);
        self.next = keep_below;
        self.term += 1;
    }

    fn purge(&mut self, forward: u64) {
        let Some((first, _)) = self.entries.first_key_value() else {
            return;
        };
        let upto = (first + forward).min(self.next - 1);
        self.put([Record::Purge(self.id(upto))]);
        self.entries.retain(|index, _| *index > upto);
        self.purged = Some(upto);
    }

    fn reopen(&mut self) {
        self.log.close();
        self.log = open(&self.config);
    }

    fn check(&self, first: u64, count: u64) {
        let seen = self.log.read(first, first + count).unwrap();
        let seen: Vec<_> = seen
            .iter()
            .map(|entry| {
                let Payload::Normal(proposal) = &entry.payload else {
                    panic!("{entry:?}")
                };
                let id = entry.log_id;
                (id.index, (id.leader_id.term, proposal.0.bytes() - 17))
            })
            .collect();
        let wanted: Vec<_> = self
            .entries
            .range(first..first + count)
            .map(|(index, it)| (*index, *it))
            .collect();
        assert_eq!(seen, wanted);
        assert_eq!(
            self.log.last().map(|last| last.index),
            self.next.checked_sub(1)
        );
        assert_eq!(self.log.purged().map(|purged| purged.index), self.purged);
        assert_eq!(self.log.state.lock().facts.vote, self.vote);
    }
}

#[derive(Debug, Clone)]
enum Act {
    Append(u64, usize),
    Truncate(u64),
    Purge(u64),
    Vote,
    Reopen,
    Read(u64, u64),
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..Default::default()
    })]

    /// Followers truncate, leaders purge, everybody restarts: reads give what should be there.
    #[test]
    fn a_log_agrees_with_a_list(acts in proptest::collection::vec(act(), 1..40)) {
        let directory = tempfile::tempdir().unwrap();
        let mut pair = Pair::new(directory.path());
        for act in acts {
            match act {
                Act::Append(count, bytes) => pair.append(count, bytes),
                Act::Truncate(back) => pair.truncate(back),
                Act::Purge(forward) => pair.purge(forward),
                Act::Vote => {
                    pair.term += 1;
                    let leader_id = LeaderId { term: pair.term, node_id: 1 };
                    pair.vote = Some(Vote { leader_id, committed: true });
                    pair.put(pair.vote.map(Record::Vote));
                }
                Act::Reopen => pair.reopen(),
                Act::Read(first, count) => pair.check(first, count),
            }
        }
        pair.check(0, u64::from(u32::MAX));
        pair.reopen();
        pair.check(0, u64::from(u32::MAX));
        pair.log.close();
    }
}

fn act() -> impl proptest::strategy::Strategy<Value = Act> {
    use proptest::prelude::*;
    prop_oneof![
        6 => (1..20_u64, 0..600_usize).prop_map(|(count, bytes)| Act::Append(count, bytes)),
        2 => (1..15_u64).prop_map(Act::Truncate),
        1 => (0..30_u64).prop_map(Act::Purge),
        1 => Just(Act::Vote),
        1 => Just(Act::Reopen),
        3 => (0..150_u64, 0..40_u64).prop_map(|(first, count)| Act::Read(first, count)),
    ]
}

/// These bytes were put together by hand, from the description at the head of `format`.
const HEAD: &str = "5356524c4f470d0a0100000085000000000000000000000000000000000000090500000000000000\
    0300000000000000d20400000000000001020000000000000005000000000000000101020000000000000005000000\
    0000000007000000000000000102000000000000000500000000000000030000000000000001020000000000000005\
    0000000000000008000000000000002c59468e";
const FRAME: &str = "53564652750000004d000000000000000403020187df75780211000000020000000000000005\
    0000000000000001031900000001020000000000000005000000000000000700000000000000040100000000051800\
    0000020000000000000005000000000000000300000000000000011900000002000000000000000500000000000000\
    090000000000000000";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_layout_of_a_head_is_fixed() {
    assert_eq!(hex(&head().encode()), HEAD);
}

#[test]
fn the_layout_of_a_frame_is_fixed() {
    let mut frame = vec![0; format::FRAME_HEAD_BYTES];
    for record in [
        Record::Vote(head().facts.vote.unwrap()),
        Record::Committed(Some(id(7))),
        Record::TruncateAfter(None),
        Record::Purge(id(3)),
        blank(9),
    ] {
        record.encode(&mut frame);
    }
    let place = format::Place {
        segment: 3,
        offset: 100,
        previous: 0x0102_0304,
    };
    format::seal_frame(&mut frame, place, 77);
    assert_eq!(hex(&frame), FRAME);
}
