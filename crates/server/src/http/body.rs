//! Bodies of requests: within what one may be long, and what all together may take up.
//!
//! A stranger may send [`STRANGER_BYTES_MAX`]. What is longer is read for a caller whom the vault
//! knows, after room for all of it was set aside: so nobody waits for room while holding much of it,
//! and who only announces a large body takes up nothing.
//!
//! Strangers have room of their own. Small bodies of known callers stand there, too, since most are
//! read before anybody asks who sends them; where it is full, a known caller need not wait for it.

use super::Vault;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use secretum_core::Request;
use secretum_engine::Fault;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// The most bytes of a body before its sender is known, and of one that unseals and the like.
pub(crate) const STRANGER_BYTES_MAX: usize = 64 * 1024;

/// The bytes that the bodies of known callers may take up, unless one alone may be larger.
const KNOWN_BYTES_MAX: usize = 256 << 20;

/// The bytes that the bodies of all others may take up, beside those.
const STRANGERS_BYTES_MAX: usize = 64 << 20;

/// How much of a body that is refused is read, so that its sender hears of it.
const DRAIN_BYTES_MAX: usize = 64 << 20;

/// How long its sender may pause meanwhile.
const DRAIN_PAUSE: Duration = Duration::from_millis(250);

/// Why a request is not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// As the vault would refuse it.
    Fault(Fault),
    /// Its body did not come in time.
    Slow,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What bodies of requests may take up.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    known: Room,
    strangers: Room,
}

impl BodyMemory {
    /// Enough for the largest body, with what others hold who wait for the same.
    pub(crate) fn for_bodies_of(largest_bytes: usize) -> Self {
        Self::of(
            KNOWN_BYTES_MAX.max(largest_bytes.saturating_mul(2)),
            STRANGERS_BYTES_MAX,
        )
    }

    pub(crate) fn of(known_bytes: usize, strangers_bytes: usize) -> Self {
        Self {
            known: Room::of(known_bytes),
            strangers: Room::of(strangers_bytes),
        }
    }

    /// How much room strangers have left.
    #[cfg(test)]
    pub(crate) fn strangers_left(&self) -> usize {
        self.strangers.0.available_permits()
    }
}

/// What one body takes up; given back when dropped.
#[derive(Debug, Default)]
pub(super) struct Held {
    known: Option<OwnedSemaphorePermit>,
    strangers: Option<OwnedSemaphorePermit>,
}

/// Room for bodies, counted in bytes. Who waits for it gets it in turn.
#[derive(Debug)]
struct Room(Arc<Semaphore>);

impl Room {
    fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Takes more of it at once, where nobody waits for it; whether it did.
    fn try_take(&self, held: &mut Option<OwnedSemaphorePermit>, more: usize) -> bool {
        let more = u32::try_from(more).ok();
        let room = more.and_then(|more| Arc::clone(&self.0).try_acquire_many_owned(more).ok());
        let taken = room.is_some();
        room.into_iter().for_each(|room| add(held, room));
        taken
    }

    async fn take(
        &self,
        held: &mut Option<OwnedSemaphorePermit>,
        more: usize,
        until: Instant,
    ) -> Result<(), Fault> {
        let full = || {
            Fault::Unavailable("the bodies of other requests take up all memory: try again".into())
        };
        let more = u32::try_from(more).map_err(|_| full())?;
        let room = Arc::clone(&self.0).acquire_many_owned(more);
        let Ok(Ok(room)) = timeout_at(until, room).await else {
            return Err(full());
        };
        add(held, room);
        Ok(())
    }
}

fn add(held: &mut Option<OwnedSemaphorePermit>, room: OwnedSemaphorePermit) {
    match held {
        Some(permit) => permit.merge(room),
        none => *none = Some(room),
    }
}

/// Reads the body of a request, which is whole but for it.
///
/// **Errors**: a body that is too long, comes too slowly, or is no JSON object; a caller unknown to
/// the vault who sends much; no room.
pub(super) async fn read(
    vault: &Arc<Vault>,
    request: &Request,
    body: Incoming,
    waits_for_leave: bool,
) -> Result<(Option<Box<RawValue>>, Held), Refusal> {
    let mut reader = Reader {
        vault,
        body,
        until: Instant::now() + vault.limits.body_time,
        held: Held::default(),
        is_known: false,
    };
    match reader.read(request).await {
        Ok(text) => Ok((text.parse()?, reader.held)),
        Err(refusal) => {
            // A client that waits until it may send its body sends none after a refusal.
            if !waits_for_leave && !reader.body.is_end_stream() {
                let drained = drain(reader.body);
                vault.tasks.spawn(timeout(vault.limits.body_time, drained));
            }
            Err(refusal)
        }
    }
}

struct Reader<'v> {
    vault: &'v Vault,
    body: Incoming,
    until: Instant,
    held: Held,
    /// Whether the vault was asked, and knows who sends it.
    is_known: bool,
}

impl Reader<'_> {
    async fn read(&mut self, request: &Request) -> Result<Text, Refusal> {
        let bytes_max = self.vault.limits.body_bytes;
        let announced = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > bytes_max {
            return Err(too_large(bytes_max).into());
        }
        let mut text = Text::default();
        // How much may come before there is more to be asked.
        let mut allowed = bytes_max.min(STRANGER_BYTES_MAX);
        if announced > allowed {
            self.admit(request, announced).await?;
            allowed = announced;
        }
        while let Some(bytes) = self.next().await? {
            let length = text.length().saturating_add(bytes.len());
            if length > bytes_max {
                return Err(too_large(bytes_max).into());
            }
            if length > allowed {
                self.admit(request, bytes_max.saturating_sub(text.length()))
                    .await?;
                allowed = bytes_max;
            } else if allowed <= STRANGER_BYTES_MAX {
                self.hold_little(request, bytes.len()).await?;
            }
            text.push(bytes, announced);
        }
        Ok(text)
    }

    /// Lets a known caller send more than a stranger may, and sets aside so many bytes for it.
    async fn admit(&mut self, request: &Request, bytes: usize) -> Result<(), Refusal> {
        if request.token.is_none() || request.answers_while_sealed() {
            return Err(too_large(STRANGER_BYTES_MAX).into());
        }
        self.vault.core.admit(request).await?;
        self.is_known = true;
        self.hold(bytes).await
    }

    /// Sets aside what anybody may send.
    async fn hold_little(&mut self, request: &Request, bytes: usize) -> Result<(), Refusal> {
        let strangers = &self.vault.bodies.strangers;
        if !self.is_known && strangers.try_take(&mut self.held.strangers, bytes) {
            return Ok(());
        }
        self.is_known = self.is_known || self.vault.core.knows(request).await;
        if self.is_known {
            return self.hold(bytes).await;
        }
        let taken = strangers.take(&mut self.held.strangers, bytes, self.until);
        Ok(taken.await?)
    }

    /// Sets aside what a known caller sends.
    async fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let known = &self.vault.bodies.known;
        Ok(known.take(&mut self.held.known, bytes, self.until).await?)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let frame = match timeout_at(self.until, self.body.frame()).await {
                Err(_) => return Err(Refusal::Slow),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(Fault::invalid("the body ended early").into()),
                Ok(Some(Ok(frame))) => frame,
            };
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
    }
}

/// Not recorded by audit devices: as with a head that cannot be read, there is no request yet. Who sends
/// too much learns nothing of the vault by it, and records of it would be a way to fill its disk.
fn too_large(bytes_max: usize) -> Fault {
    Fault::TooLarge(format!("the body is over the limit of {bytes_max} bytes").into())
}

/// What came of a body. Most come in one piece, which is not copied.
#[derive(Debug, Default)]
struct Text {
    first: Bytes,
    joined: Vec<u8>,
}

impl Text {
    fn length(&self) -> usize {
        self.first.len().saturating_add(self.joined.len())
    }

    fn push(&mut self, bytes: Bytes, announced: usize) {
        if self.length() == 0 {
            self.first = bytes;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve_exact(announced.max(self.length()));
            self.joined
                .extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&bytes);
    }

    fn parse(self) -> Result<Option<Box<RawValue>>, Fault> {
        let raw = if self.joined.is_empty() {
            let text = std::str::from_utf8(&self.first).map_err(|_| not_utf8())?;
            if text.trim().is_empty() {
                return Ok(None);
            }
            serde_json::from_str(text)
        } else {
            let text = String::from_utf8(self.joined).map_err(|_| not_utf8())?;
            if text.trim().is_empty() {
                return Ok(None);
            }
            RawValue::from_string(text)
        };
        let raw: Box<RawValue> =
            raw.map_err(|error| Fault::invalid(format!("failed to parse JSON input: {error}")))?;
        match raw.get().as_bytes().first() {
            Some(b'{') => Ok(Some(raw)),
            Some(b'n') => Ok(None),
            _ => Err(Fault::invalid(
                "failed to parse JSON input: the body must be a JSON object",
            )),
        }
    }
}

/// What a body of these pieces says.
#[cfg(feature = "fuzzing")]
pub(super) fn parse(pieces: &[&[u8]]) -> Result<Option<Box<RawValue>>, Fault> {
    let mut text = Text::default();
    for piece in pieces {
        text.push(Bytes::copy_from_slice(piece), 0);
    }
    text.parse()
}

fn not_utf8() -> Fault {
    Fault::invalid("failed to parse JSON input: the body is not valid UTF-8")
}

/// Reads on for a while, so that a client that is still sending gets to read why it was refused.
async fn drain(mut body: Incoming) {
    let mut left = DRAIN_BYTES_MAX;
    // Who pauses has read the answer, or waits for it.
    while let Ok(Some(Ok(frame))) = timeout(DRAIN_PAUSE, body.frame()).await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_waited_for() {
        let room = Room::of(100);
        let soon = || Instant::now() + Duration::from_millis(50);
        let far = Instant::now() + Duration::from_secs(20);
        let (mut one, mut other) = (None, None);
        room.take(&mut one, 10, far).await.unwrap();
        room.take(&mut one, 50, far).await.unwrap();
        assert!(!room.try_take(&mut other, 41));
        assert!(room.try_take(&mut other, 40));
        let refused = room.take(&mut other, 1, soon()).await;
        assert!(matches!(refused, Err(Fault::Unavailable(_))), "{refused:?}");
        let waits = room.take(&mut other, 60, far);
        let frees = async { drop(one) };
        tokio::join!(async { waits.await.unwrap() }, frees);
        assert_eq!(room.0.available_permits(), 0);
        drop(other);
        assert_eq!(room.0.available_permits(), 100);
    }

    #[test]
    fn the_largest_body_has_room() {
        let bytes = |room: &Room| room.0.available_permits();
        let known = |largest| bytes(&BodyMemory::for_bodies_of(largest).known);
        assert_eq!(known(32 << 20), KNOWN_BYTES_MAX);
        assert_eq!(known(1 << 30), 2 << 30);
        let strangers = bytes(&BodyMemory::for_bodies_of(1 << 30).strangers);
        assert_eq!(strangers, STRANGERS_BYTES_MAX);
    }
}
