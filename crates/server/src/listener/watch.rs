//! [`Watch`]: ends a connection on which nothing goes on for too long.

use super::connection::{Connection, Phase};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Watches one connection.
///
/// It is asked after each step of the connection, which is when a phase can change. The timer is set
/// anew only where it would ring too late; one that rings too early is set to what is left. So a
/// connection that serves one request after the other does not touch it.
pub(super) struct Watch<'c> {
    connection: &'c Connection,
    phase: Phase,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<'c> Watch<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        let phase = connection.phase();
        Self {
            connection,
            phase,
            since: Instant::now(),
            timer: Box::pin(tokio::time::sleep(limit(connection, phase))),
        }
    }

    /// Ready when a phase has lasted too long: which one.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Phase> {
        let phase = self.connection.phase();
        if phase != self.phase {
            (self.phase, self.since) = (phase, Instant::now());
        }
        loop {
            let deadline = later(self.since, limit(self.connection, phase));
            if self.timer.deadline() > deadline {
                self.timer.as_mut().reset(deadline);
            }
            ready!(self.timer.as_mut().poll(context));
            let now = Instant::now();
            if now < deadline {
                self.timer.as_mut().reset(deadline);
            } else if matches!(phase, Phase::Busy { .. }) {
                // A request has its own limit. This looks whether it ended unseen.
                self.since = now;
            } else {
                return Poll::Ready(phase);
            }
        }
    }
}

fn limit(connection: &Connection, phase: Phase) -> Duration {
    let limits = &connection.limits;
    match phase {
        Phase::Opening | Phase::Head { .. } => limits.head_time,
        Phase::Busy { .. } => limits.time,
        Phase::Blocked { .. } => limits.write_time,
        Phase::Idle { .. } => limits.idle_time,
    }
}

/// A time so far from another; as late as can be counted where it is beyond that.
fn later(from: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    from.checked_add(by).unwrap_or_else(|| from + FAR)
}
