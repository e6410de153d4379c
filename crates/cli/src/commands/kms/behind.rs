//! [`Behind`]: a file that is written, and brought to the disk, while the work that makes its bytes goes on.

use std::fs::File;
use std::io::{Error, Result, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::{Builder, JoinHandle, ScopedJoinHandle, scope};
use zeroize::Zeroizing;

/// Bytes that are handed over at once.
const BLOCK_BYTES: usize = 1 << 20;

/// Blocks on their way at once, of which one is being filled.
const BLOCKS: usize = 4;

/// Bytes after which the disk is to have what was written, so that less is waited for at the end.
const SYNC_BYTES: usize = 32 << 20;

type Block = Zeroizing<Vec<u8>>;

fn block() -> Block {
    Zeroizing::new(Vec::with_capacity(BLOCK_BYTES))
}

/// Writes to a file in a thread of its own. What was written counts when [`Self::finish`] says so.
pub(super) struct Behind {
    block: Block,
    full: Sender<Block>,
    empty: Receiver<Block>,
    /// None after it failed.
    thread: Option<JoinHandle<Result<()>>>,
}

impl Behind {
    /// Begins behind what the file has.
    ///
    /// **Errors**: the system's, where it gives no thread.
    pub(super) fn new(file: File) -> Result<Self> {
        let (full, blocks) = channel();
        let (written, empty) = channel();
        for _ in 1..BLOCKS {
            written.send(block()).map_err(Error::other)?;
        }
        let thread = Builder::new().spawn(move || write_all(&file, &blocks, &written))?;
        Ok(Self {
            block: block(),
            full,
            empty,
            thread: Some(thread),
        })
    }

    /// Waits until all of it is written.
    ///
    /// **Errors**: the system's, of any of the writes.
    pub(super) fn finish(self) -> Result<()> {
        // Where the thread has ended, it says why.
        let _ = self.full.send(self.block);
        drop(self.full);
        ended(self.thread)
    }

    /// Gives the block to the thread, and takes one that is written already.
    fn hand_over(&mut self) -> Result<()> {
        if let Ok(next) = self.empty.recv() {
            let full = std::mem::replace(&mut self.block, next);
            if self.full.send(full).is_ok() {
                return Ok(());
            }
        }
        ended(self.thread.take()).and(Err(Error::other("nothing more is written to it")))
    }
}

impl Write for Behind {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let room = BLOCK_BYTES - self.block.len();
        let (taken, _) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.block.extend_from_slice(taken);
        if self.block.len() == BLOCK_BYTES {
            self.hand_over()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.hand_over()
    }
}

fn ended(thread: Option<JoinHandle<Result<()>>>) -> Result<()> {
    let thread = thread.ok_or_else(|| Error::other("its writing failed before"))?;
    thread.join().unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Error {
    Error::other("its writing was broken off")
}

/// Writes all that comes. Another thread brings it to the disk meanwhile.
fn write_all(file: &File, blocks: &Receiver<Block>, written: &Sender<Block>) -> Result<()> {
    // What finds that thread at work is not kept: it is told anew with the next block.
    let (due, dues) = sync_channel(0);
    scope(|scope| {
        let sync = move || dues.iter().try_for_each(|()| file.sync_data());
        let syncing: ScopedJoinHandle<'_, Result<()>> = Builder::new().spawn_scoped(scope, sync)?;
        let outcome = write_blocks(file, blocks, written, &due);
        drop(due);
        // Who asks the system again is not told of an error that this thread was told of.
        outcome.and(syncing.join().unwrap_or_else(|_| Err(panicked())))
    })
}

/// Writes until no more comes, or what was written did not get to the disk.
fn write_blocks(
    mut file: &File,
    blocks: &Receiver<Block>,
    written: &Sender<Block>,
    due: &SyncSender<()>,
) -> Result<()> {
    let mut unsynced = 0;
    for mut block in blocks {
        file.write_all(&block)?;
        unsynced += block.len();
        block.clear();
        // At the end nobody takes it back.
        let _ = written.send(block);
        if unsynced < SYNC_BYTES {
            continue;
        }
        match due.try_send(()) {
            Ok(()) => unsynced = 0,
            Err(TrySendError::Full(())) => {}
            Err(TrySendError::Disconnected(())) => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    #[test]
    fn all_is_written_in_its_order() {
        for bytes in [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * SYNC_BYTES + 7] {
            let wanted: Vec<u8> = (0..=250).cycle().take(bytes).collect();
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut behind = Behind::new(file.reopen().unwrap()).unwrap();
            for part in wanted.chunks(65_552) {
                behind.write_all(part).unwrap();
            }
            behind.flush().unwrap();
            behind.finish().unwrap();
            assert!(std::fs::read(file.path()).unwrap() == wanted, "{bytes}");
        }
    }

    #[test]
    fn a_full_disk_is_told() {
        let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut behind = Behind::new(full()).unwrap();
        behind.write_all(b"a little").unwrap();
        let told = behind.finish().unwrap_err();
        assert_eq!(told.kind(), std::io::ErrorKind::StorageFull);
        let mut behind = Behind::new(full()).unwrap();
        let much = vec![7; (BLOCKS + 2) * BLOCK_BYTES];
        let told = behind.write_all(&much).unwrap_err();
        assert_eq!(told.kind(), std::io::ErrorKind::StorageFull);
        assert!(behind.write_all(&much).is_err() && behind.finish().is_err());
    }

    #[test]
    fn what_does_not_get_to_the_disk_is_told() {
        // A pipe takes bytes, and has no disk to bring them to.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut behind = Behind::new(File::from(std::os::fd::OwnedFd::from(writer))).unwrap();
        let read = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        let block = vec![7; BLOCK_BYTES];
        let all = (0..SYNC_BYTES / BLOCK_BYTES * 4).try_for_each(|_| behind.write_all(&block));
        assert!(all.and(behind.finish()).is_err());
        read.join().unwrap().unwrap();
    }
}
