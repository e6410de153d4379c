//! Snapshots: the whole state at one moment, as a stream.
//!
//! ```text
//! head    magic, version, last applied entry and membership, checksum
//! parts   length, checksum, rows: key, revision, value
//! end     a part of length 0 with the number of rows
//! ```
//! A part's checksum goes on from the one before, so that parts cannot be left out or swapped. Rows
//! stand in the order of their keys. A reader gets either every row or an error.

use super::super::codec::{self, Malformed, Reader};
use super::super::disk::DiskFile;
use super::super::failure::{corrupt, explain};
use super::super::types::{LogId, StoredMembership};
use super::view::View;
use crate::page::Ordered;
use crate::{Entry, Key, Result, Revision, StorageError};
use bytes::Bytes;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"SVRSNAP\n";
const VERSION: u16 = 1;
/// Magic, version, two reserved bytes, length of the body.
const HEAD_BYTES: usize = 16;
/// No membership is longer than this.
const HEAD_BODY_BYTES_MAX: usize = 1024 * 1024;
/// A part is closed when it is this long.
const PART_BYTES: usize = 256 * 1024;
/// A part holds at least one row, which may be as large as a batch.
const PART_BYTES_MAX: usize = 2 * crate::BATCH_BYTES_MAX;
/// Length and checksum of a part.
const PART_HEAD_BYTES: usize = 8;

/// A snapshot that can be sent, saved or installed.
#[derive(Debug, Clone)]
pub(crate) enum SnapshotData {
    /// The state of this node at one moment.
    View(Arc<View>),
    /// A file that was received.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "received once there is a network")
    )]
    File(SnapshotFile),
}

/// A file with a snapshot in it.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotFile {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) path: PathBuf,
}

/// Of which moment a snapshot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotHead {
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: StoredMembership,
}

/// Writes a snapshot of a view, part by part, and gives its length.
pub(crate) fn write(view: &View, file: &dyn DiskFile, path: &Path) -> Result<u64> {
    let mut out = Out {
        file,
        path,
        offset: 0,
        checksum: 0,
    };
    let head = SnapshotHead {
        applied: view.position.applied,
        membership: view.position.membership.clone(),
    };
    out.put(&encode_head(&head))?;
    let mut part = Vec::new();
    let mut rows: u64 = 0;
    for row in view.scan(Bound::Unbounded, true)? {
        let (key, Some(entry)) = row? else { continue };
        codec::put_bytes(&mut part, key.as_bytes());
        codec::put_u64(&mut part, entry.revision.0);
        codec::put_bytes(&mut part, &entry.value);
        rows += 1;
        if part.len() >= PART_BYTES {
            out.part(&part)?;
            part.clear();
        }
    }
    if !part.is_empty() {
        out.part(&part)?;
    }
    out.end(rows)?;
    file.sync_all().map_err(|error| explain(path, error))?;
    Ok(out.offset)
}

fn encode_head(head: &SnapshotHead) -> Vec<u8> {
    let mut body = Vec::new();
    codec::put_log_id_option(&mut body, head.applied);
    codec::put_stored_membership(&mut body, &head.membership);
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    codec::put_bytes(&mut out, &body);
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    out
}

struct Out<'a> {
    file: &'a dyn DiskFile,
    path: &'a Path,
    offset: u64,
    checksum: u32,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_at(self.offset, bytes);
        written.map_err(|error| explain(self.path, error))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn part(&mut self, rows: &[u8]) -> Result<()> {
        self.checksum = part_checksum(self.checksum, rows);
        let mut head = Vec::new();
        codec::put_u32(&mut head, rows.len());
        head.extend_from_slice(&self.checksum.to_le_bytes());
        self.put(&head)?;
        self.put(rows)
    }

    fn end(&mut self, rows: u64) -> Result<()> {
        self.part(&[])?;
        let rows = rows.to_le_bytes();
        let sum = crc32fast::hash(&[&rows[..], &self.checksum.to_le_bytes()].concat());
        self.put(&rows)?;
        self.put(&sum.to_le_bytes())
    }
}

fn part_checksum(before: u32, rows: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&before.to_le_bytes());
    hasher.update(rows);
    hasher.finalize()
}

/// Reads a snapshot, part by part.
#[derive(Debug)]
pub(crate) struct SnapshotReader<'a> {
    source: &'a SnapshotFile,
    pub(crate) head: SnapshotHead,
    offset: u64,
    length: u64,
    checksum: u32,
    rows: u64,
}

impl<'a> SnapshotReader<'a> {
    /// Reads the head of a snapshot.
    ///
    /// **Errors**: [`StorageError::Corrupt`] and [`StorageError::Foreign`].
    pub(crate) fn open(source: &'a SnapshotFile) -> Result<Self> {
        let io = |error| explain(&source.path, error);
        let damaged = || corrupt(&source.path, "its head cannot be read");
        let length = source.file.len().map_err(io)?;
        let room = usize::try_from(length).unwrap_or(usize::MAX);
        let mut bytes = vec![0; room.min(HEAD_BYTES + HEAD_BODY_BYTES_MAX + 4)];
        source.file.read_at(0, &mut bytes).map_err(io)?;
        let mut reader = Reader::new(&bytes);
        let read = decode_head(&mut reader).map_err(|Malformed| damaged())?;
        let sum = crc32fast::hash(bytes.get(..read.covered).ok_or_else(damaged)?);
        if read.magic != MAGIC || sum != read.checksum {
            return Err(damaged());
        }
        if read.version != VERSION {
            let what = format!(
                "it has snapshot format {}: use a newer version",
                read.version
            );
            return Err(StorageError::Foreign {
                path: source.path.clone(),
                what,
            });
        }
        let mut body = Reader::new(read.body);
        let applied = codec::log_id_option(&mut body).map_err(|Malformed| damaged())?;
        let membership = codec::stored_membership(&mut body).map_err(|Malformed| damaged())?;
        let head = SnapshotHead {
            applied,
            membership,
        };
        let offset = read.covered as u64 + 4;
        Ok(Self {
            source,
            head,
            offset,
            length,
            checksum: 0,
            rows: 0,
        })
    }

    /// The rows of the next part; `None` behind the last, when the snapshot is whole.
    pub(crate) fn part(&mut self) -> Result<Option<Vec<(Key, Entry)>>> {
        let head = self.take(PART_HEAD_BYTES)?;
        let mut reader = Reader::new(&head);
        let damaged = |Malformed| self.damaged();
        let bytes = reader.u32().map_err(damaged)?;
        let checksum = reader.u32().map_err(damaged)?;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes > PART_BYTES_MAX {
            return Err(self.damaged());
        }
        let rows = self.take(bytes)?;
        self.checksum = part_checksum(self.checksum, &rows);
        if self.checksum != checksum {
            return Err(self.damaged());
        }
        if rows.is_empty() {
            self.end()?;
            return Ok(None);
        }
        let rows = decode_rows(&rows).map_err(|Malformed| self.damaged())?;
        self.rows += rows.len() as u64;
        Ok(Some(rows))
    }

    fn end(&mut self) -> Result<()> {
        let rows = self.rows.to_le_bytes();
        let sum = crc32fast::hash(&[&rows[..], &self.checksum.to_le_bytes()].concat());
        let end = self.take(12)?;
        if end != [&rows[..], &sum.to_le_bytes()].concat() || self.offset != self.length {
            return Err(self.damaged());
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        let end = self.offset + count as u64;
        if end > self.length {
            return Err(corrupt(&self.source.path, "it ends too early"));
        }
        let mut bytes = vec![0; count];
        let read = self.source.file.read_at(self.offset, &mut bytes);
        read.map_err(|error| explain(&self.source.path, error))?;
        self.offset = end;
        Ok(bytes)
    }

    fn damaged(&self) -> StorageError {
        corrupt(
            &self.source.path,
            format!("the part before {} cannot be read", self.offset),
        )
    }
}

struct ReadHead<'a> {
    magic: &'a [u8],
    version: u16,
    body: &'a [u8],
    covered: usize,
    checksum: u32,
}

fn decode_head<'a>(reader: &mut Reader<'a>) -> std::result::Result<ReadHead<'a>, Malformed> {
    let magic = reader.take(MAGIC.len())?;
    let version = reader.u16()?;
    let _reserved = reader.u16()?;
    let body = reader.bytes()?;
    Ok(ReadHead {
        magic,
        version,
        body,
        covered: HEAD_BYTES + body.len(),
        checksum: reader.u32()?,
    })
}

fn decode_rows(bytes: &[u8]) -> std::result::Result<Vec<(Key, Entry)>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut rows = Vec::new();
    while !reader.is_empty() {
        let key = Key::new(reader.bytes()?).map_err(|_| Malformed)?;
        let revision = Revision(reader.u64()?);
        let value = Bytes::copy_from_slice(reader.bytes()?);
        rows.push((key, Entry { value, revision }));
    }
    Ok(rows)
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
