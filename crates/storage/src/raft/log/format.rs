//! The bytes of a log segment: its head, and the frames behind it.
//!
//! A segment starts with a head that is durable before the segment has its name: magic, version,
//! and a body with whose log it is, the segment's number, where the segment before it ended, and
//! the [`Facts`] of that moment. So older segments may go, and none can go unnoticed.
//!
//! Then come frames. A frame holds the records that one write brought: it is whole or it is not
//! there. Its head says how many bytes of the segment were durable when it was written (`synced`)
//! and repeats the checksum of the frame before it (`previous`); its checksum covers all of it and
//! where it stands.

use super::super::codec::{self, Malformed, Reader};
use super::super::types::{LogEntry, LogId, Vote};
use uuid::Uuid;

/// What every segment starts with.
const MAGIC: [u8; 8] = *b"SVRLOG\r\n";
/// The layout written by this version.
pub(crate) const VERSION: u16 = 1;
/// Magic, version, two reserved bytes and the length of the body.
const HEAD_BYTES: usize = 16;
/// No head is longer than this.
pub(crate) const HEAD_BYTES_MAX: usize = 4_096;

const FRAME_MAGIC: [u8; 4] = *b"SVFR";
/// Magic, length, synced, previous, checksum.
pub(crate) const FRAME_HEAD_BYTES: usize = 24;
/// No frame's body is longer than this.
pub(crate) const FRAME_BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What holds of the log at one place in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    /// Entries up to this one are gone.
    pub(crate) purged: Option<LogId>,
    /// The last entry; the purged one where none is left.
    pub(crate) last: Option<LogId>,
}

/// Whose log a segment belongs to, and where in it the segment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) cluster: Uuid,
    pub(crate) node: u64,
    pub(crate) number: u64,
    /// How long the segment before this one is; 0 for the first.
    pub(crate) previous_bytes: u64,
    pub(crate) facts: Facts,
}

/// Why a head is no head of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadHead {
    Damaged,
    /// A later version wrote it.
    Newer(u16),
}

impl Head {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(self.cluster.as_bytes());
        codec::put_u64(&mut body, self.node);
        codec::put_u64(&mut body, self.number);
        codec::put_u64(&mut body, self.previous_bytes);
        codec::put_vote_option(&mut body, self.facts.vote);
        for id in [self.facts.committed, self.facts.purged, self.facts.last] {
            codec::put_log_id_option(&mut body, id);
        }
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        codec::put_bytes(&mut out, &body);
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads a head from the start of a segment; gives its length besides.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, usize), BadHead> {
        let damaged = |Malformed| BadHead::Damaged;
        let mut reader = Reader::new(bytes);
        let magic = reader.take(MAGIC.len()).map_err(damaged)?;
        let version = reader.u16().map_err(damaged)?;
        let _reserved = reader.u16().map_err(damaged)?;
        let body = reader.bytes().map_err(damaged)?;
        let checksum = reader.u32().map_err(damaged)?;
        let covered = HEAD_BYTES + body.len();
        let sum = crc32fast::hash(bytes.get(..covered).ok_or(BadHead::Damaged)?);
        if magic != MAGIC || checksum != sum {
            return Err(BadHead::Damaged);
        }
        if version != VERSION {
            return Err(BadHead::Newer(version));
        }
        Ok((
            Self::decode_body(&mut Reader::new(body)).map_err(damaged)?,
            covered + 4,
        ))
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, Malformed> {
        let cluster = Uuid::from_slice(body.take(16)?).map_err(|_| Malformed)?;
        Ok(Self {
            cluster,
            node: body.u64()?,
            number: body.u64()?,
            previous_bytes: body.u64()?,
            facts: Facts {
                vote: codec::vote_option(body)?,
                committed: codec::log_id_option(body)?,
                purged: codec::log_id_option(body)?,
                last: codec::log_id_option(body)?,
            },
        })
    }
}

/// Where a frame stands and what was there before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    /// The checksum of the frame before it; 0 for the first of a segment.
    pub(crate) previous: u32,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHead {
    pub(crate) body_bytes: usize,
    pub(crate) synced: u64,
    pub(crate) previous: u32,
    pub(crate) checksum: u32,
}

/// Writes the head of a frame whose body follows; `frame` holds room for the head, then the body.
pub(crate) fn seal_frame(frame: &mut [u8], place: Place, synced: u64) -> u32 {
    let Some((head, body)) = frame.split_first_chunk_mut::<FRAME_HEAD_BYTES>() else {
        return 0;
    };
    let mut fields = Vec::with_capacity(FRAME_HEAD_BYTES);
    fields.extend_from_slice(&FRAME_MAGIC);
    codec::put_u32(&mut fields, body.len());
    codec::put_u64(&mut fields, synced);
    fields.extend_from_slice(&place.previous.to_le_bytes());
    let checksum = frame_checksum(place.segment, place.offset, &fields, body);
    fields.extend_from_slice(&checksum.to_le_bytes());
    head.copy_from_slice(&fields);
    checksum
}

fn frame_checksum(segment: u64, offset: u64, fields: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(fields);
    hasher.update(body);
    hasher.finalize()
}

impl FrameHead {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.take(FRAME_MAGIC.len()).ok()? != FRAME_MAGIC {
            return None;
        }
        let body_bytes = usize::try_from(reader.u32().ok()?).ok()?;
        let head = Self {
            body_bytes,
            synced: reader.u64().ok()?,
            previous: reader.u32().ok()?,
            checksum: reader.u32().ok()?,
        };
        (body_bytes <= FRAME_BODY_BYTES_MAX).then_some(head)
    }

    /// Whether the frame that stands here is whole.
    pub(crate) fn covers(&self, segment: u64, offset: u64, frame: &[u8]) -> bool {
        let Some((fields, _)) = frame.split_at_checked(FRAME_HEAD_BYTES - 4) else {
            return false;
        };
        let Some((_, body)) = frame.split_at_checked(FRAME_HEAD_BYTES) else {
            return false;
        };
        frame_checksum(segment, offset, fields, body) == self.checksum
    }
}

/// Where the next frame may start in these bytes.
pub(crate) fn find_frame(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(FRAME_MAGIC.len())
        .position(|window| window == FRAME_MAGIC)
}

/// One record of a frame.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    Entry(LogEntry),
    Vote(Vote),
    Committed(Option<LogId>),
    /// Entries behind this one are gone.
    TruncateAfter(Option<LogId>),
    /// Entries up to this one are gone.
    Purge(LogId),
}

const ENTRY: u8 = 1;
const VOTE: u8 = 2;
const COMMITTED: u8 = 3;
const TRUNCATE_AFTER: u8 = 4;
const PURGE: u8 = 5;

impl Record {
    /// Appends the record, its kind and length before it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 5]);
        let kind = match self {
            Self::Entry(entry) => {
                codec::put_entry(out, entry);
                ENTRY
            }
            Self::Vote(vote) => {
                codec::put_vote(out, *vote);
                VOTE
            }
            Self::Committed(id) => {
                codec::put_log_id_option(out, *id);
                COMMITTED
            }
            Self::TruncateAfter(id) => {
                codec::put_log_id_option(out, *id);
                TRUNCATE_AFTER
            }
            Self::Purge(id) => {
                codec::put_log_id(out, *id);
                PURGE
            }
        };
        let bytes = u32::try_from(out.len() - start - 5).unwrap_or(u32::MAX);
        if let Some(head) = out.get_mut(start..start + 5) {
            let [a, b, c, d] = bytes.to_le_bytes();
            head.copy_from_slice(&[kind, a, b, c, d]);
        }
    }

    /// Reads the next record of a frame's body.
    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Malformed> {
        let kind = body.u8()?;
        let mut record = Reader::new(body.bytes()?);
        match kind {
            ENTRY => codec::entry(&mut record).map(Self::Entry),
            VOTE => codec::vote(&mut record).map(Self::Vote),
            COMMITTED => codec::log_id_option(&mut record).map(Self::Committed),
            TRUNCATE_AFTER => codec::log_id_option(&mut record).map(Self::TruncateAfter),
            PURGE => codec::log_id(&mut record).map(Self::Purge),
            _ => Err(Malformed),
        }
    }
}

/// Why a record cannot stand behind what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} does not follow the one before it")]
pub(crate) struct OutOfOrder {
    index: u64,
}

impl Facts {
    /// What holds behind a record.
    pub(crate) fn after(mut self, record: &Record) -> Result<Self, OutOfOrder> {
        match record {
            Record::Entry(entry) => {
                let index = entry.log_id.index;
                if index != self.last.map_or(0, |last| last.index + 1) {
                    return Err(OutOfOrder { index });
                }
                self.last = Some(entry.log_id);
            }
            Record::Vote(vote) => self.vote = Some(*vote),
            Record::Committed(id) => self.committed = *id,
            Record::TruncateAfter(id) => self.last = *id,
            Record::Purge(id) => {
                self.purged = self.purged.max(Some(*id));
                self.last = self.last.max(Some(*id));
            }
        }
        Ok(self)
    }
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
