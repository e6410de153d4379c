//! What must hold of any bytes in the place of a snapshot.

use super::{Out, SnapshotFile, SnapshotHead, SnapshotReader, decode_rows, encode_head};
use crate::raft::codec;
use crate::raft::disk::DiskFile;
use crate::raft::types::StoredMembership;
use crate::{Entry, Key, Result};
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file in memory.
#[derive(Debug, Default)]
struct MemoryFile(Mutex<Vec<u8>>);

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock();
        let part = usize::try_from(offset)
            .ok()
            .and_then(|start| bytes.get(start..start.checked_add(buffer.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(part);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.0.lock();
        assert_eq!(offset, bytes.len() as u64, "a snapshot is written in order");
        bytes.extend_from_slice(data);
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

type Rows = Vec<(Key, Entry)>;

fn read(bytes: Vec<u8>) -> Result<(SnapshotHead, Rows)> {
    let source = SnapshotFile {
        file: Arc::new(MemoryFile(Mutex::new(bytes))),
        path: "snapshot".into(),
    };
    let mut reader = SnapshotReader::open(&source)?;
    let mut rows = Vec::new();
    while let Some(part) = reader.part()? {
        rows.extend(part);
    }
    Ok((reader.head.clone(), rows))
}

/// The file of a snapshot with this head and one part.
fn written(head: &SnapshotHead, part: &[u8], rows: u64) -> Result<Vec<u8>> {
    let file = MemoryFile::default();
    let mut out = Out {
        file: &file,
        path: Path::new("snapshot"),
        offset: 0,
        checksum: 0,
    };
    out.put(&encode_head(head))?;
    if !part.is_empty() {
        out.part(part)?;
    }
    out.end(rows)?;
    Ok(file.0.into_inner())
}

/// Any file is read to its end or refused; one that is read has the rows that its parts hold.
pub fn snapshot(data: &[u8]) {
    if let Ok((head, rows)) = read(data.to_vec()) {
        let part = encode_rows(&rows);
        let again = written(&head, &part, rows.len() as u64).and_then(read);
        assert_eq!(again.ok(), Some((head, rows)));
    }
}

/// Rows that are read are written as the same bytes, and a snapshot that holds the bytes gives these
/// rows; bytes that are no rows are refused, whatever checksum they have.
pub fn snapshot_rows(data: &[u8]) {
    let rows = decode_rows(data);
    let count = rows.as_ref().map_or(0, |rows| rows.len() as u64);
    if let Ok(rows) = &rows {
        assert_eq!(encode_rows(rows), data);
    }
    let head = SnapshotHead {
        applied: None,
        membership: StoredMembership::default(),
    };
    let seen = written(&head, data, count).and_then(read);
    assert_eq!(seen.ok(), rows.ok().map(|rows| (head, rows)));
}

fn encode_rows(rows: &Rows) -> Vec<u8> {
    let mut part = Vec::new();
    for (key, entry) in rows {
        codec::put_bytes(&mut part, key.as_bytes());
        codec::put_u64(&mut part, entry.revision.0);
        codec::put_bytes(&mut part, &entry.value);
    }
    part
}
