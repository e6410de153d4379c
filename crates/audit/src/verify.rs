//! Verifying a log: what was altered, removed, reordered or cut off is found with the public key alone.
//!
//! Lines are read as a stream, from one file or from several that follow each other. Each line is hashed
//! with the chain before it, each head's signature is checked. Where something does not fit, it is told,
//! and what follows is checked against what is there.

mod line;

use crate::head::{HeadState, RECORDS_MAX};
use crate::queue::RECORDS_MAX as BATCH_RECORDS_MAX;
pub use line::Layout;
use line::{Line, is_torn};
use secretum_crypto::Timestamp;
use serde::Serialize;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 1 << 20;

/// The longest line, in bytes; a longer one is none of ours.
const LINE_BYTES_MAX: usize = 256 << 20;

/// More records than these never stand between two heads: those that make one due, and the batch in which
/// they came.
const UNCOVERED_MAX: u64 = RECORDS_MAX + BATCH_RECORDS_MAX as u64;

/// Records of more time than this do not: a head follows after a second, and a device that hangs loses
/// what waits for it after some more.
const UNCOVERED_TIME_MAX: Duration = Duration::from_secs(60);

/// So many findings are told of in full; of more the number.
pub const FINDINGS_MAX: usize = 1_000;

/// What does not fit, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "finding", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum What {
    /// The line is not what was written.
    #[error("record {sequence} was altered, or what stands before it")]
    Altered {
        /// Its number.
        sequence: u64,
    },
    /// Lines are missing before it.
    #[error("records {first} to {last} are missing")]
    Missing {
        /// The number of the first.
        first: u64,
        /// The number of the last.
        last: u64,
    },
    /// It stands behind a later one.
    #[error("record {sequence} stands behind record {before}: reordered, or repeated")]
    OutOfOrder {
        /// Its number.
        sequence: u64,
        /// The number of the one before it.
        before: u64,
    },
    /// It is no line of a log.
    #[error("it is no line of an audit log, or only part of one")]
    Foreign,
    /// Nobody vouches for records before a restart.
    #[error(
        "{records} records before head {sequence} stand behind no other: what a crash left, or somebody \
         put in while the server was down"
    )]
    Unvouched {
        /// Its number.
        sequence: u64,
        /// How many.
        records: u64,
    },
    /// A log begins again.
    #[error(
        "a log begins again at number 0: what stood before it is another log, or this one was put in"
    )]
    BeginsAgain,
    /// A head that stands there already.
    #[error("the beginning of a log stands here for the second time")]
    Repeated,
    /// A head is not signed with the key.
    #[error(
        "the signature of head {sequence} is not of this key: what stands before it was made anew"
    )]
    Unsigned {
        /// Its number.
        sequence: u64,
    },
    /// A head names another chain than the one before it.
    #[error("head {sequence} follows other records than those before it")]
    OtherChain {
        /// Its number.
        sequence: u64,
    },
    /// Heads are missing before it: too many records stand behind the last one.
    #[error("{records} records up to {sequence} are covered by no head: heads were removed")]
    TooManyUncovered {
        /// Its number.
        sequence: u64,
        /// How many.
        records: u64,
    },
    /// Heads are missing before it: too much time went by since the last one.
    #[error(
        "records of {seconds} seconds up to {sequence} are covered by no head: heads were removed, or the \
         clock was set forward"
    )]
    TooLongUncovered {
        /// Its number.
        sequence: u64,
        /// How long.
        seconds: u64,
    },
    /// A head that somebody kept is not there.
    #[error(
        "head {sequence}, which was kept elsewhere, is not in the log: its end was cut off, or it is another log"
    )]
    HeadIsMissing {
        /// Its number.
        sequence: u64,
    },
    /// The log begins with a line that is no head.
    #[error("the log begins with record {sequence}, and no head: what stood before it is missing")]
    NoBeginning {
        /// Its number.
        sequence: u64,
    },
}

/// A head, to know again: who keeps one elsewhere notices when the log's end is cut off before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeadMark {
    /// The number of its line.
    pub sequence: u64,
    /// The chain behind it, 64 digits of hex.
    pub chain: String,
}

/// What is known of a log, once it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Lines that are records.
    pub records: u64,
    /// Lines that are heads.
    pub heads: u64,
    /// Lines of others, among those of a log that was relayed.
    pub others: u64,
    /// All that was read.
    pub bytes: u64,
    /// Number of the first line.
    pub first_sequence: Option<u64>,
    /// Number of the last line.
    pub last_sequence: Option<u64>,
    /// The last head whose signature is right, where signatures are checked.
    pub last_head: Option<HeadMark>,
    /// Records behind the last head: nothing is signed that covers them.
    pub uncovered: u64,
    /// How often a device ended without a last head: it crashed, or the end of what it wrote is missing.
    pub not_closed: u64,
    /// Parts of lines that a crash or a full disk left, each before a head that goes on behind it.
    pub torn: u64,
    /// Whether the last line is the head of a device that ended.
    pub is_closed: bool,
    /// How many findings there are.
    pub findings: u64,
    /// The first of them.
    pub told: Vec<Finding>,
}

/// Reads a log.
#[derive(Debug)]
pub struct Verifier {
    public_keys: Vec<Vec<u8>>,
    layout: Layout,
    /// Whether logs that begin anew with each start are read.
    restarts: bool,
    /// The head that must be there, and was not met yet.
    wanted: Option<HeadMark>,
    /// The file that is read, and the number of its last line.
    place: (String, u64),
    /// The signatures of heads that begin a log.
    beginnings: HashSet<String>,
    report: Report,
    /// The chain behind the last line, and the number of the next.
    expected: Option<([u8; 32], u64)>,
    /// Something that is no line, of which the next line says whether a crash left it.
    fragment: Option<(String, u64)>,
    /// When the first record behind the last head was made.
    uncovered_since: Option<Timestamp>,
    /// Whether it was told that heads are missing behind the last one.
    lacks_heads: bool,
    /// What each line begins with.
    prefix: Option<usize>,
}

impl Verifier {
    /// A verifier with the public keys of all devices that wrote the log, 32 bytes each; without any
    /// only the chain is checked, which who can write the log can make anew.
    pub fn new(public_keys: Vec<Vec<u8>>) -> Self {
        Self {
            public_keys,
            layout: Layout::AsWritten,
            restarts: false,
            wanted: None,
            place: (String::new(), 0),
            beginnings: HashSet::new(),
            report: Report::default(),
            expected: None,
            fragment: None,
            uncovered_since: None,
            lacks_heads: false,
            prefix: None,
        }
    }

    /// Lets the log begin anew with each start of the server, as those of devices do that do not know
    /// what they wrote before.
    #[must_use]
    pub fn with_restarts(mut self) -> Self {
        self.restarts = true;
        self
    }

    /// Says how lines stand in the files.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Wants a head to be there that somebody kept.
    #[must_use]
    pub fn with_head(mut self, head: HeadMark) -> Self {
        self.wanted = Some(head);
        self
    }

    /// Reads the next file of the log; `progress` is told of each piece that was read, in bytes.
    ///
    /// **Errors**: the system's, where the file cannot be read.
    pub fn read(
        &mut self,
        file: &str,
        input: impl Read,
        mut progress: impl FnMut(u64),
    ) -> std::io::Result<()> {
        let mut input = BufReader::with_capacity(READ_BYTES, input);
        let (mut line, mut number) = (Vec::new(), 0);
        self.place = (file.to_owned(), 0);
        loop {
            line.clear();
            let limit = LINE_BYTES_MAX as u64 + 1;
            let read = (&mut input).take(limit).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            number += 1;
            self.place.1 = number;
            progress(read as u64);
            self.report.bytes += read as u64;
            self.line(file, number, &line);
        }
    }

    /// What was found.
    pub fn finish(mut self) -> Report {
        if let Some((file, line)) = self.fragment.take() {
            self.find(&file, line, What::Foreign);
        }
        if let Some(HeadMark { sequence, .. }) = self.wanted.take() {
            let (file, line) = std::mem::take(&mut self.place);
            self.find(&file, line, What::HeadIsMissing { sequence });
        }
        self.report
    }

    fn find(&mut self, file: &str, line: u64, what: What) {
        self.report.findings += 1;
        if self.report.told.len() < FINDINGS_MAX {
            self.report.told.push(Finding {
                file: file.to_owned(),
                line,
                what,
            });
        }
    }

    fn line(&mut self, file: &str, number: u64, text: &[u8]) {
        let Some((text, prefix)) = self.layout.written(text, self.prefix) else {
            self.report.others += 1;
            return;
        };
        let Some(line) = Line::of(text, prefix) else {
            if !is_torn(text, prefix) {
                self.find(file, number, What::Foreign);
            } else if let Some((file, line)) = self.fragment.replace((file.to_owned(), number)) {
                self.find(&file, line, What::Foreign);
            }
            return;
        };
        self.prefix = Some(prefix);
        self.settle_fragment(&line);
        self.report.first_sequence.get_or_insert(line.sequence);
        let before = match &line.head {
            Some(_) => self.head(file, number, &line, text),
            None => self.record(file, number, &line),
        };
        if let Some(before) = before
            && line.chain_behind(&before) != line.chain
        {
            self.find(
                file,
                number,
                What::Altered {
                    sequence: line.sequence,
                },
            );
        }
        self.expected = Some((line.chain, line.sequence.saturating_add(1)));
        self.report.last_sequence = Some(line.sequence);
        self.report.is_closed =
            (line.head.as_ref()).is_some_and(|head| head.state == HeadState::Closed);
    }

    /// A part of a line is what a crash left, where a head goes on behind it.
    fn settle_fragment(&mut self, line: &Line<'_>) {
        let Some((file, number)) = self.fragment.take() else {
            return;
        };
        let opens = (line.head.as_ref())
            .is_some_and(|head| matches!(head.state, HeadState::Opened | HeadState::Resumed));
        if opens {
            self.report.torn += 1;
        } else {
            self.find(&file, number, What::Foreign);
        }
    }

    /// Looks at a record; gives the chain that must stand before it, where that is known.
    fn record(&mut self, file: &str, number: u64, line: &Line<'_>) -> Option<[u8; 32]> {
        let sequence = line.sequence;
        self.report.records += 1;
        self.report.uncovered += 1;
        self.check_cover(file, number, line);
        match self.expected {
            None => {
                self.find(file, number, What::NoBeginning { sequence });
                None
            }
            Some((chain, next)) if next == sequence => Some(chain),
            Some((_, next)) => {
                self.find(file, number, misplaced(sequence, next));
                None
            }
        }
    }

    /// Heads follow each other closely: where none came for long, some were removed.
    fn check_cover(&mut self, file: &str, number: u64, line: &Line<'_>) {
        let (sequence, records) = (line.sequence, self.report.uncovered);
        let now = Timestamp::parse_rfc3339(line.timestamp).ok();
        let since = self.uncovered_since.or(now);
        self.uncovered_since = since;
        let age = now
            .zip(since)
            .map_or(Duration::ZERO, |(now, since)| now.since(since));
        let what = if records > UNCOVERED_MAX {
            What::TooManyUncovered { sequence, records }
        } else if age > UNCOVERED_TIME_MAX {
            let seconds = age.as_secs();
            What::TooLongUncovered { sequence, seconds }
        } else {
            return;
        };
        if !std::mem::replace(&mut self.lacks_heads, true) {
            self.find(file, number, what);
        }
    }

    /// Looks at a head; gives the chain that it stands behind, where its signature says so.
    fn head(&mut self, file: &str, number: u64, line: &Line<'_>, text: &[u8]) -> Option<[u8; 32]> {
        let (head, sequence) = (line.head.as_ref()?, line.sequence);
        self.report.heads += 1;
        let mut keys = self.public_keys.iter();
        let is_signed = keys.any(|key| head.is_signed_by(key, text, sequence));
        if is_signed {
            self.note_head(line);
        } else if !self.public_keys.is_empty() {
            self.find(file, number, What::Unsigned { sequence });
        }
        let previous = head.previous();
        match (self.expected, previous) {
            (_, None) => self.find(file, number, What::Altered { sequence }),
            // The first of all: its signature vouches for what it goes on from.
            (None, Some(_)) => {}
            (Some((chain, next)), Some(previous)) => {
                let begins = head.state == HeadState::Opened && sequence == 0;
                if next == sequence && chain == previous {
                    self.count_unclosed(head.state);
                } else if begins && previous == [0; 32] {
                    // A device that does not know what was written there before.
                    self.count_unclosed(head.state);
                    if !self.restarts {
                        self.find(file, number, What::BeginsAgain);
                    }
                } else if next == sequence {
                    self.find(file, number, What::OtherChain { sequence });
                } else {
                    self.find(file, number, misplaced(sequence, next));
                }
            }
        }
        if head.state == HeadState::Resumed && self.report.uncovered > 0 {
            let records = self.report.uncovered;
            self.find(file, number, What::Unvouched { sequence, records });
        }
        if sequence == 0 && !self.beginnings.insert(head.signature.clone()) {
            self.find(file, number, What::Repeated);
        }
        (self.uncovered_since, self.lacks_heads) = (None, false);
        self.report.uncovered = 0;
        previous
    }

    fn note_head(&mut self, line: &Line<'_>) {
        let head = HeadMark {
            sequence: line.sequence,
            chain: hex::encode(line.chain),
        };
        self.wanted.take_if(|wanted| *wanted == head);
        self.report.last_head = Some(head);
    }

    fn count_unclosed(&mut self, state: HeadState) {
        let opens = matches!(state, HeadState::Opened | HeadState::Resumed);
        if opens && self.report.last_sequence.is_some() && !self.report.is_closed {
            self.report.not_closed += 1;
        }
    }
}

/// A line that stands where another one should.
fn misplaced(sequence: u64, next: u64) -> What {
    if sequence > next {
        What::Missing {
            first: next,
            last: sequence - 1,
        }
    } else {
        What::OutOfOrder {
            sequence,
            before: next.saturating_sub(1),
        }
    }
}

/// The first line of a file, by which files of one log are put in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First {
    /// Its number.
    pub sequence: u64,
    /// When it was made.
    pub made: Option<Timestamp>,
}

/// The first line of a file; `None` where it has none.
///
/// **Errors**: the system's, where the file cannot be read.
pub fn first(input: impl Read, layout: &Layout) -> std::io::Result<Option<First>> {
    let mut input = BufReader::with_capacity(READ_BYTES, input);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        if (&mut input).take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let written = layout.written(&line, None);
        if let Some(line) = written.and_then(|(text, prefix)| Line::of(text, prefix)) {
            return Ok(Some(First {
                sequence: line.sequence,
                made: Timestamp::parse_rfc3339(line.timestamp).ok(),
            }));
        }
    }
}

#[cfg(test)]
mod tests;
