//! The file below the database: every page is verified when it is read.
//!
//! The database checks its own pages only after a crash; a bit that flips later in an index page
//! could hide a key. Here each page has a checksum, bound to where it stands, so that a read gives
//! what was written or an error that names the file.
//!
//! Checksums are written when the database syncs. Until then a page and its checksum on disk may
//! disagree; that harms nothing, since the database never overwrites what its durable state refers
//! to, but for its first page, which has two copies (see [`super::layout`]). It relies on two-phase
//! commits: the first page refers to new pages only when they and their checksums are durable.
//!
//! A write that fails stops the node. The database must go on serving reads, so it is not told:
//! what it wants to write from then on stays in memory, and the file as the failure left it, as
//! after a crash. The applier sees [`Failure`] and writes nothing more.

use super::layout::{
    BLOCK, BLOCK_BYTES, GROUP_PAGES, checksums_offset, copy_offset, file_bytes, page_offset, pages,
};
use crate::raft::disk::DiskFile;
use crate::raft::failure::{Failure, corrupt, explain};
use crate::{Result, StorageError};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

const MAGIC: [u8; 8] = *b"SVRSTATE";
const VERSION: u16 = 1;
const HEAD_BYTES: usize = 40;

/// A database file.
#[derive(Debug, Clone)]
pub(super) struct BlockFile {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    failure: Failure,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    pages: u64,
    first: FirstPage,
    groups: HashMap<u64, Group>,
    /// What could not be written; from then on nothing is.
    unwritten: Option<BTreeMap<u64, Box<[u8]>>>,
}

#[derive(Debug)]
struct FirstPage {
    content: Box<[u8]>,
    generation: u64,
    /// The copy that was synced last.
    synced: usize,
    changed: bool,
}

#[derive(Debug)]
struct Group {
    checksums: Box<[u32]>,
    changed: bool,
}

impl BlockFile {
    /// Lays out a new file.
    pub(super) fn create(
        file: Arc<dyn DiskFile>,
        path: &Path,
        (cluster, node): (Uuid, u64),
        failure: Failure,
    ) -> Result<Self> {
        let io = |error| explain(path, error);
        file.set_len(file_bytes(0)).map_err(io)?;
        file.write_at(0, &encode_head(cluster, node)).map_err(io)?;
        let first = FirstPage {
            content: vec![0; BLOCK_BYTES].into(),
            generation: 0,
            synced: 1,
            changed: false,
        };
        Ok(Self::of(file, path, failure, (0, first)))
    }

    /// Opens a file.
    pub(super) fn open(
        file: Arc<dyn DiskFile>,
        path: &Path,
        owner: (Uuid, u64),
        failure: Failure,
    ) -> Result<Self> {
        let io = |error| explain(path, error);
        let length = file.len().map_err(io)?;
        let mut head = [0; HEAD_BYTES];
        file.read_at(0, &mut head).map_err(io)?;
        check_head(path, &head, owner)?;
        // What a crash left in the system's cache becomes durable before more is written: the
        // newer copy of the first page must not be lost with the older one.
        file.sync_all().map_err(io)?;
        let first = read_first(&*file, path)?;
        Ok(Self::of(file, path, failure, (pages(length), first)))
    }

    fn of(
        file: Arc<dyn DiskFile>,
        path: &Path,
        failure: Failure,
        (pages, first): (u64, FirstPage),
    ) -> Self {
        let inner = Inner {
            pages,
            first,
            groups: HashMap::new(),
            unwritten: None,
        };
        let path = path.to_owned();
        Self {
            shared: Arc::new(Shared {
                file,
                path,
                failure,
                inner: Mutex::new(inner),
            }),
        }
    }
}

fn encode_head(cluster: Uuid, node: u64) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&[0, 0]);
    head.extend_from_slice(cluster.as_bytes());
    head.extend_from_slice(&node.to_le_bytes());
    head.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
    head
}

fn check_head(path: &Path, head: &[u8], (cluster, node): (Uuid, u64)) -> Result<()> {
    let Some((covered, sum)) = head.split_last_chunk::<4>() else {
        return Err(corrupt(path, "its head cannot be read"));
    };
    if !head.starts_with(&MAGIC) || crc32fast::hash(covered) != u32::from_le_bytes(*sum) {
        return Err(corrupt(path, "its head cannot be read"));
    }
    let version = covered
        .get(8..10)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u16::from_le_bytes);
    if version != Some(VERSION) {
        let what = "a newer version wrote it: run that version".to_owned();
        return Err(StorageError::Foreign {
            path: path.into(),
            what,
        });
    }
    if head != encode_head(cluster, node) {
        return Err(corrupt(path, "it belongs to another data directory"));
    }
    Ok(())
}

/// A copy of the first page: the page, its generation, and their checksum.
fn encode_copy(content: &[u8], generation: u64) -> Vec<u8> {
    let mut copy = content.to_vec();
    copy.extend_from_slice(&generation.to_le_bytes());
    copy.extend_from_slice(&crc32fast::hash(&copy).to_le_bytes());
    copy
}

const COPY_BYTES: usize = BLOCK_BYTES + 12;

fn read_first(file: &dyn DiskFile, path: &Path) -> Result<FirstPage> {
    let mut newest: Option<FirstPage> = None;
    for copy in 0..2 {
        let mut bytes = vec![0; COPY_BYTES];
        file.read_at(copy_offset(copy), &mut bytes)
            .map_err(|error| explain(path, error))?;
        let Some((covered, sum)) = bytes.split_last_chunk::<4>() else {
            continue;
        };
        let Some((content, generation)) = covered.split_last_chunk::<8>() else {
            continue;
        };
        if crc32fast::hash(covered) != u32::from_le_bytes(*sum) {
            continue;
        }
        let generation = u64::from_le_bytes(*generation);
        if newest
            .as_ref()
            .is_none_or(|newest| newest.generation < generation)
        {
            let content = content.into();
            newest = Some(FirstPage {
                content,
                generation,
                synced: copy,
                changed: false,
            });
        }
    }
    newest.ok_or_else(|| corrupt(path, "its first page cannot be read"))
}

/// The checksum of a page; never 0, which stands for a page that was never written.
fn checksum(page: u64, data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&page.to_le_bytes());
    hasher.update(data);
    hasher.finalize().max(1)
}

/// Splits `count` pages from `page` on where their file offsets do not follow each other.
fn stretches(page: u64, count: u64) -> impl Iterator<Item = (u64, u64)> {
    let mut next = page;
    let end = page + count;
    std::iter::from_fn(move || {
        let start = next;
        next = end.min((start / GROUP_PAGES + 1) * GROUP_PAGES);
        (start < end).then_some((start, next - start))
    })
}

fn misplaced() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the database asks for a part of a page",
    )
}

fn buffer_bytes(pages: u64) -> usize {
    usize::try_from(pages * BLOCK).unwrap_or(usize::MAX)
}

impl Inner {
    /// The checksums that are to be written, by group; they count as written.
    fn changed_checksums(&mut self) -> Vec<(u64, Vec<u8>)> {
        let changed = self.groups.iter_mut().filter(|(_, group)| group.changed);
        changed
            .map(|(number, group)| {
                group.changed = false;
                let checksums = group.checksums.iter();
                (
                    *number,
                    checksums.flat_map(|sum| sum.to_le_bytes()).collect(),
                )
            })
            .collect()
    }
}

impl Shared {
    fn group<'a>(&self, inner: &'a mut Inner, group: u64) -> io::Result<&'a mut Group> {
        match inner.groups.entry(group) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                let mut bytes = vec![0; BLOCK_BYTES];
                let offset = checksums_offset(group);
                if offset + BLOCK <= self.file.len()? {
                    self.file.read_at(offset, &mut bytes)?;
                }
                let (words, _) = bytes.as_chunks::<4>();
                let checksums = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
                Ok(unknown.insert(Group {
                    checksums,
                    changed: false,
                }))
            }
        }
    }

    fn expected(&self, inner: &mut Inner, page: u64, count: u64) -> io::Result<Vec<u32>> {
        let group = self.group(inner, page / GROUP_PAGES)?;
        let start = usize::try_from(page % GROUP_PAGES).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        group
            .checksums
            .get(start..end)
            .map(<[u32]>::to_vec)
            .ok_or_else(misplaced)
    }

    /// Reads pages whose file offsets follow each other, none of them the first.
    fn read_stretch(&self, page: u64, out: &mut [u8]) -> io::Result<()> {
        let count = out.len() as u64 / BLOCK;
        let mut inner = self.inner.lock();
        if inner.unwritten.is_some() {
            return self.read_beside_unwritten(&mut inner, page, out);
        }
        let expected = self.expected(&mut inner, page, count)?;
        drop(inner);
        self.file.read_at(page_offset(page), out)?;
        if first_mismatch(page, out, &expected).is_none() {
            return Ok(());
        }
        // A write of the same page may have come between the two: look again without any.
        let mut inner = self.inner.lock();
        self.read_verified(&mut inner, page, out)
    }

    fn read_verified(&self, inner: &mut Inner, page: u64, out: &mut [u8]) -> io::Result<()> {
        let expected = self.expected(inner, page, out.len() as u64 / BLOCK)?;
        self.file.read_at(page_offset(page), out)?;
        match first_mismatch(page, out, &expected) {
            None => Ok(()),
            Some(page) => {
                let what = format!("the page at {} has a wrong checksum", page_offset(page));
                Err(self.failure.set(corrupt(&self.path, what)))
            }
        }
    }

    fn read_beside_unwritten(
        &self,
        inner: &mut Inner,
        page: u64,
        out: &mut [u8],
    ) -> io::Result<()> {
        for (page, out) in (page..).zip(out.chunks_exact_mut(BLOCK_BYTES)) {
            match inner.unwritten.as_ref().and_then(|pages| pages.get(&page)) {
                Some(data) => out.copy_from_slice(data),
                None => self.read_verified(inner, page, out)?,
            }
        }
        Ok(())
    }

    fn write_pages(&self, inner: &mut Inner, page: u64, data: &[u8]) -> io::Result<()> {
        let count = data.len() as u64 / BLOCK;
        let mut rest = data;
        for (page, count) in stretches(page, count) {
            let (now, later) = rest
                .split_at_checked(buffer_bytes(count))
                .ok_or_else(misplaced)?;
            rest = later;
            let group = self.group(inner, page / GROUP_PAGES)?;
            group.changed = true;
            let start = usize::try_from(page % GROUP_PAGES).unwrap_or(usize::MAX);
            let slots = group.checksums.iter_mut().skip(start);
            for ((page, data), slot) in (page..).zip(now.chunks_exact(BLOCK_BYTES)).zip(slots) {
                *slot = checksum(page, data);
            }
            self.file.write_at(page_offset(page), now)?;
        }
        Ok(())
    }

    fn write_first(&self, inner: &mut Inner, start: usize, data: &[u8]) -> io::Result<()> {
        let first = &mut inner.first;
        let part = first
            .content
            .get_mut(start..start + data.len())
            .ok_or_else(misplaced)?;
        part.copy_from_slice(data);
        first.generation += 1;
        first.changed = true;
        if inner.unwritten.is_some() {
            return Ok(());
        }
        let copy = encode_copy(&first.content, first.generation);
        self.file.write_at(copy_offset(1 - first.synced), &copy)
    }

    /// Makes what was written durable, checksums first. Readers go on meanwhile; the database writes
    /// and syncs from one thread at a time, so nothing is written.
    fn sync(&self) -> io::Result<()> {
        let mut inner = self.inner.lock();
        if inner.unwritten.is_some() {
            return Ok(());
        }
        let checksums = inner.changed_checksums();
        let first_changed = std::mem::take(&mut inner.first.changed);
        drop(inner);
        for (number, bytes) in checksums {
            // The last group may end before its last page; its checksums have a block anyway.
            self.file.write_at(checksums_offset(number), &bytes)?;
        }
        self.file.sync()?;
        if first_changed {
            let first = &mut self.inner.lock().first;
            first.synced = 1 - first.synced;
        }
        Ok(())
    }

    /// Notes that the file cannot be written; from here on nothing is.
    fn give_up(&self, inner: &mut Inner, error: io::Error) {
        let reason = explain(&self.path, error).to_string();
        self.failure.set(StorageError::Stopped { reason });
        inner.unwritten.get_or_insert_default();
    }
}

fn first_mismatch(page: u64, data: &[u8], expected: &[u32]) -> Option<u64> {
    let pages = (page..).zip(data.chunks_exact(BLOCK_BYTES)).zip(expected);
    pages
        .into_iter()
        .find_map(|((page, data), expected)| (checksum(page, data) != *expected).then_some(page))
}

impl redb::StorageBackend for BlockFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.shared.inner.lock().pages * BLOCK)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let shared = &*self.shared;
        let (page, within) = (offset / BLOCK, usize::try_from(offset % BLOCK).unwrap_or(0));
        if page == 0 {
            let (now, later) = out.split_at_mut(out.len().min(BLOCK_BYTES - within));
            let inner = shared.inner.lock();
            let part = inner.first.content.get(within..within + now.len());
            now.copy_from_slice(part.ok_or_else(misplaced)?);
            drop(inner);
            return if later.is_empty() {
                Ok(())
            } else {
                self.read(BLOCK, later)
            };
        }
        if within != 0 || !(out.len() as u64).is_multiple_of(BLOCK) {
            return Err(misplaced());
        }
        let mut rest = out;
        for (page, count) in stretches(page, rest.len() as u64 / BLOCK) {
            let (now, later) = rest.split_at_mut(buffer_bytes(count));
            shared
                .read_stretch(page, now)
                .map_err(|error| match shared.failure.get() {
                    Some(_) => error,
                    None => shared.failure.set(explain(&shared.path, error)),
                })?;
            rest = later;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let shared = &*self.shared;
        let mut inner = shared.inner.lock();
        let pages = len.div_ceil(BLOCK);
        if inner.unwritten.is_none()
            && let Err(error) = shared.file.set_len(file_bytes(pages))
        {
            shared.give_up(&mut inner, error);
        }
        if pages < inner.pages {
            inner.groups.retain(|group, _| group * GROUP_PAGES < pages);
        }
        inner.pages = pages;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Err(error) = self.shared.sync() {
            self.shared.give_up(&mut self.shared.inner.lock(), error);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let shared = &*self.shared;
        let mut inner = shared.inner.lock();
        let (page, within) = (offset / BLOCK, usize::try_from(offset % BLOCK).unwrap_or(0));
        let in_first = if page == 0 {
            data.len().min(BLOCK_BYTES - within)
        } else {
            0
        };
        let (first, others) = data.split_at_checked(in_first).ok_or_else(misplaced)?;
        if page > 0 && within != 0 || !(others.len() as u64).is_multiple_of(BLOCK) {
            return Err(misplaced());
        }
        let page = page.max(1);
        let mut written = Ok(());
        if !first.is_empty() {
            written = shared.write_first(&mut inner, within, first);
        }
        if written.is_ok() && inner.unwritten.is_none() {
            written = shared.write_pages(&mut inner, page, others);
        }
        if let Err(error) = written {
            shared.give_up(&mut inner, error);
        }
        if let Some(unwritten) = &mut inner.unwritten {
            for (page, data) in (page..).zip(others.chunks_exact(BLOCK_BYTES)) {
                unwritten.insert(page, data.into());
            }
        }
        Ok(())
    }
}
