//! [`Queue`]: records on their way to the thread that writes them, handed over in batches.
//!
//! A hand-over between threads costs more than writing a record. So requests leave their records in a
//! buffer, a task hands over all that gathered while the batch before was written, and one answer of
//! the thread serves everybody who waits for the batch.

use crate::AuditError;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};

/// How many records may wait for a device.
pub(crate) const RECORDS_MAX: usize = 4_096;

/// How many bytes of records may wait for a device, beyond a single record.
const BYTES_MAX: usize = 64 << 20;

/// How long a batch may take until the device counts as hanging, and refuses what comes until it
/// answers again.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How often others get their turn before a batch is handed over.
const GATHER_ROUNDS_MAX: usize = 4;

/// A buffer that a batch left empty is kept up to this capacity, in bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// The text of records, one behind the other.
#[derive(Debug, Default)]
pub struct Lines {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    pub(crate) fn push(&mut self, line: &[u8]) {
        self.push_with(|text| text.extend_from_slice(line));
    }

    /// Adds what this writes behind the others.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.ends.push(self.text.len());
    }

    /// All of them, one behind the other.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .filter_map(|(start, end)| self.text.get(start..*end))
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES_MAX);
        self.ends.clear();
    }
}

/// What a record's request is told.
pub type Answer = Result<(), AuditError>;

/// What the thread of a queue does.
pub trait Batches: Send + 'static {
    /// Writes these records, all of them or none that counts.
    ///
    /// **Errors**: [`AuditError`].
    fn write(&mut self, lines: &Lines) -> Answer;

    /// In what time [`Self::tick`] is due where nothing comes; `None` where it is not.
    fn due_in(&self) -> Option<Duration> {
        None
    }

    /// Does what is due.
    fn tick(&mut self) {}

    /// Begins anew with what stands at its place now.
    ///
    /// **Errors**: [`AuditError`].
    fn reopen(&mut self) -> Answer {
        Ok(())
    }

    /// Ends: nothing comes any more.
    fn close(&mut self) {}
}

/// A batch on its way to the thread.
struct Job {
    lines: Lines,
    /// Who asked for the file to be opened anew before.
    reopen: Vec<oneshot::Sender<Answer>>,
    done: oneshot::Sender<(Answer, Lines)>,
}

/// Records that wait, and who waits for them.
#[derive(Default)]
struct Waiting {
    lines: Lines,
    requests: Vec<oneshot::Sender<Answer>>,
    reopen: Vec<oneshot::Sender<Answer>>,
    /// The device refuses records: its thread hangs, or it was removed.
    refuses: Option<AuditError>,
    closed: bool,
}

struct Shared {
    device: String,
    waiting: Mutex<Waiting>,
    filled: Notify,
    /// Closed when the thread has ended, and its writer with it.
    ended: watch::Receiver<()>,
    /// Records that were not taken.
    failures: AtomicU64,
}

/// The queue of a device, or of another log. Its task and its thread end with it.
pub struct Queue(Arc<Shared>);

impl Queue {
    /// Starts the task and the thread that write what is put into the queue.
    ///
    /// **Errors**: the system's, where it gives no thread.
    pub fn start(device: &str, writer: impl Batches) -> std::io::Result<Self> {
        let (to_thread, jobs) = sync_channel(1);
        let (alive, ended) = watch::channel(());
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                write_all(writer, &jobs);
                drop(alive);
            })?;
        let shared = Arc::new(Shared {
            device: device.to_owned(),
            waiting: Mutex::default(),
            filled: Notify::new(),
            ended,
            failures: AtomicU64::new(0),
        });
        tokio::spawn(Arc::clone(&shared).hand_over(to_thread));
        Ok(Self(shared))
    }

    /// How many records were not taken.
    pub(crate) fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Puts a record into the queue; what comes back tells when the system took it.
    ///
    /// **Errors**: [`AuditError::Busy`], [`AuditError::TimedOut`] while the device hangs.
    pub fn put(&self, line: &[u8]) -> Result<oneshot::Receiver<Answer>, AuditError> {
        self.try_put(line).inspect_err(|_| self.0.failed(1))
    }

    fn try_put(&self, line: &[u8]) -> Result<oneshot::Receiver<Answer>, AuditError> {
        let (request, answer) = oneshot::channel();
        let mut waiting = self.0.waiting.lock();
        if let Some(refusal) = &waiting.refuses {
            return Err(refusal.clone());
        }
        if waiting.closed {
            return Err(self.busy());
        }
        let first = waiting.requests.is_empty();
        if waiting.requests.len() >= RECORDS_MAX
            || (!first && waiting.lines.text.len() + line.len() > BYTES_MAX)
        {
            return Err(self.busy());
        }
        waiting.lines.push(line);
        waiting.requests.push(request);
        drop(waiting);
        if first {
            self.0.filled.notify_one();
        }
        Ok(answer)
    }

    /// Has the file opened anew, between two records.
    pub(crate) fn reopen(&self) -> oneshot::Receiver<Answer> {
        let (asked, answer) = oneshot::channel();
        let mut waiting = self.0.waiting.lock();
        if !waiting.closed {
            waiting.reopen.push(asked);
        }
        drop(waiting);
        self.0.filled.notify_one();
        answer
    }

    /// Refuses what comes from here on; what is in the queue is written.
    pub(crate) fn close(&self) {
        self.0.waiting.lock().closed = true;
        self.0.filled.notify_one();
    }

    /// Waits until everything is written and the thread has ended, after the queue was closed.
    pub(crate) async fn ended(&self) {
        let mut ended = self.0.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    /// The device hangs.
    pub(crate) fn hangs(&self) -> AuditError {
        self.0.hangs()
    }

    /// The device does not keep up, or is gone.
    pub fn busy(&self) -> AuditError {
        self.0.gone()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Queue").field(&self.0.device).finish()
    }
}

impl Shared {
    /// Hands batches to the thread until the queue is closed and empty.
    async fn hand_over(self: Arc<Self>, to_thread: SyncSender<Job>) {
        let mut spare = Lines::default();
        loop {
            self.gather().await;
            let Some(batch) = self.take(&mut spare) else {
                return;
            };
            let Waiting {
                lines,
                requests,
                reopen,
                ..
            } = batch;
            if requests.is_empty() && reopen.is_empty() {
                self.filled.notified().await;
                continue;
            }
            let (done, answer) = oneshot::channel();
            let job = Job {
                lines,
                reopen,
                done,
            };
            if to_thread.try_send(job).is_err() {
                return self.refuse(requests, &self.gone());
            }
            spare = match self.settle(requests, answer).await {
                Some(lines) => lines,
                None => return,
            };
        }
    }

    /// Lets requests that are ready to run leave their records first, as long as more come.
    async fn gather(&self) {
        let mut seen = 0;
        for _ in 0..GATHER_ROUNDS_MAX {
            tokio::task::yield_now().await;
            let waiting = self.waiting.lock().requests.len();
            if waiting == seen {
                return;
            }
            seen = waiting;
        }
    }

    /// Takes what waits, `spare` in its place; `None` once the queue is closed and empty.
    fn take(&self, spare: &mut Lines) -> Option<Waiting> {
        let mut waiting = self.waiting.lock();
        if waiting.requests.is_empty() && waiting.reopen.is_empty() {
            return (!waiting.closed).then(Waiting::default);
        }
        spare.clear();
        let requests = Vec::with_capacity(waiting.requests.len());
        Some(Waiting {
            lines: std::mem::replace(&mut waiting.lines, std::mem::take(spare)),
            requests: std::mem::replace(&mut waiting.requests, requests),
            reopen: std::mem::take(&mut waiting.reopen),
            ..Waiting::default()
        })
    }

    /// Tells the requests of a batch what became of it; its buffer comes back, unless the thread is
    /// gone.
    async fn settle(
        &self,
        requests: Vec<oneshot::Sender<Answer>>,
        mut answer: oneshot::Receiver<(Answer, Lines)>,
    ) -> Option<Lines> {
        let answered = match tokio::time::timeout(PATIENCE, &mut answer).await {
            Ok(answered) => answered,
            Err(_) => {
                let hanging = self.hangs();
                tracing::error!(device = self.device, "an audit device hangs");
                self.refuse(requests, &hanging);
                let (_, lines) = answer.await.ok()?;
                self.waiting.lock().refuses = None;
                tracing::info!(device = self.device, "an audit device answers again");
                return Some(lines);
            }
        };
        let Ok((written, lines)) = answered else {
            self.refuse(requests, &self.gone());
            return None;
        };
        if let Err(error) = &written {
            let records = requests.len();
            self.failed(records);
            tracing::error!(device = self.device, records, %error, "an audit device lost records");
        }
        for request in requests {
            // Who no longer waits has given up on its request.
            let _ = request.send(written.clone());
        }
        Some(lines)
    }

    /// Refuses these records, those that wait, and those that come.
    fn refuse(&self, requests: Vec<oneshot::Sender<Answer>>, refusal: &AuditError) {
        let mut waiting = self.waiting.lock();
        waiting.refuses = Some(refusal.clone());
        waiting.lines.clear();
        let also = std::mem::take(&mut waiting.requests);
        drop(waiting);
        let records = requests.len() + also.len();
        self.failed(records);
        tracing::error!(
            device = self.device,
            records,
            "an audit device lost records"
        );
        for request in requests.into_iter().chain(also) {
            let _ = request.send(Err(refusal.clone()));
        }
    }

    fn failed(&self, records: usize) {
        self.failures.fetch_add(records as u64, Ordering::Relaxed);
    }

    fn hangs(&self) -> AuditError {
        AuditError::TimedOut {
            device: self.device.clone(),
        }
    }

    fn gone(&self) -> AuditError {
        AuditError::Busy {
            device: self.device.clone(),
        }
    }
}

/// Serves until the queue is gone.
fn write_all(mut writer: impl Batches, jobs: &Receiver<Job>) {
    loop {
        let job = match writer.due_in() {
            Some(time) => match jobs.recv_timeout(time) {
                Err(RecvTimeoutError::Timeout) => {
                    writer.tick();
                    continue;
                }
                received => received.ok(),
            },
            None => jobs.recv().ok(),
        };
        let Some(job) = job else {
            return writer.close();
        };
        let Job {
            lines,
            reopen,
            done,
        } = job;
        if !reopen.is_empty() {
            let reopened = writer.reopen();
            for asked in reopen {
                let _ = asked.send(reopened.clone());
            }
        }
        let written = writer.write(&lines);
        let _ = done.send((written, lines));
    }
}
