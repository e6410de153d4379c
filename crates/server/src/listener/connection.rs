//! [`Connection`]: what goes on on a connection, as far as its end depends on it.

use super::Limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;

/// What goes on on a connection. Lives as long as the connection, and as the requests that it left
/// behind.
///
/// Counters, which cost nothing where they are counted. They are read by [`super::watch`] after
/// each step of the connection, in its own task but for requests of HTTP/2, whose end may be seen a
/// step late.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) limits: Limits,
    pub(super) tasks: TaskTracker,
    begun: AtomicU64,
    ended: AtomicU64,
    written_bytes: AtomicU64,
    is_write_blocked: AtomicBool,
    /// Whether something came that belongs to no request yet.
    has_beginning: AtomicBool,
    /// Whether it speaks HTTP/2, where what comes between requests need not become one.
    is_multiplexed: AtomicBool,
    /// Its place among the connections of its listener.
    _place: OwnedSemaphorePermit,
}

/// What a connection is doing. Two that are equal are the same: nothing went on in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No request has come yet.
    Opening,
    /// A part of a request's head has come.
    Head { begun: u64 },
    /// So many requests were begun, and one at least goes on.
    Busy { begun: u64 },
    /// So many bytes were written, and the peer takes no more.
    Blocked { written_bytes: u64 },
    /// Nothing.
    Idle { begun: u64 },
}

impl Connection {
    pub(super) fn new(
        limits: Limits,
        tasks: TaskTracker,
        place: OwnedSemaphorePermit,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits,
            tasks,
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            is_write_blocked: AtomicBool::new(false),
            has_beginning: AtomicBool::new(false),
            is_multiplexed: AtomicBool::new(false),
            _place: place,
        })
    }

    pub(super) fn phase(&self) -> Phase {
        if self.is_write_blocked.load(Ordering::Relaxed) {
            let written_bytes = self.written_bytes.load(Ordering::Relaxed);
            return Phase::Blocked { written_bytes };
        }
        let begun = self.begun.load(Ordering::Relaxed);
        if begun == 0 {
            Phase::Opening
        } else if begun > self.ended.load(Ordering::Relaxed) {
            Phase::Busy { begun }
        } else if self.has_beginning.load(Ordering::Relaxed)
            && !self.is_multiplexed.load(Ordering::Relaxed)
        {
            Phase::Head { begun }
        } else {
            Phase::Idle { begun }
        }
    }

    /// How many requests are under way, those included whose client has gone.
    pub(super) fn under_way(&self) -> u64 {
        let begun = self.begun.load(Ordering::Relaxed);
        begun.saturating_sub(self.ended.load(Ordering::Relaxed))
    }

    pub(super) fn received(&self) {
        self.has_beginning.store(true, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.written_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
        self.is_write_blocked.store(false, Ordering::Relaxed);
    }

    pub(super) fn write_blocked(&self) {
        self.is_write_blocked.store(true, Ordering::Relaxed);
    }
}

/// A request under way; dropped when its answer is handed over, or when nobody waits for it and it
/// is done.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) connection: Arc<Connection>,
}

impl UnderWay {
    pub(super) fn begin(connection: &Arc<Connection>, version: http::Version) -> Self {
        if version == http::Version::HTTP_2 {
            connection.is_multiplexed.store(true, Ordering::Relaxed);
        }
        connection.begun.fetch_add(1, Ordering::Relaxed);
        Self {
            connection: Arc::clone(connection),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let connection = &self.connection;
        // What came meanwhile was its body. Of a next request that was sent along, the rest has as
        // long as a connection may rest.
        connection.has_beginning.store(false, Ordering::Relaxed);
        connection.ended.fetch_add(1, Ordering::Relaxed);
    }
}
