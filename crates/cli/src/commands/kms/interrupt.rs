//! Ends a command at a signal so that nothing half done is left behind.

use super::pipe::Output;
use crate::failure::Failure;
use crate::output::console;
use std::future::Future;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// The exit code of a command that a signal ended.
pub(super) const INTERRUPTED: u8 = 130;

/// Waits for a signal that asks the process to end.
pub(super) async fn asked() {
    let listen = |kind| signal(kind).ok();
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt()),
        listen(SignalKind::terminate()),
    );
    let mut hangup = listen(SignalKind::hangup());
    let heard = async |signal: &mut Option<tokio::signal::unix::Signal>| match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    };
    tokio::select! {
        () = heard(&mut interrupt) => {}
        () = heard(&mut terminate) => {}
        () = heard(&mut hangup) => {}
    }
}

/// Does work until a signal comes; then drops it, and with it the temporary files that it holds.
/// `output` says what is left of it then.
pub(super) async fn guarded(
    output: &Output,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    tokio::select! {
        // The signals are listened for before the work begins.
        biased;
        () = asked() => {
            console::note(if output.is_whole_or_nothing() {
                "interrupted: nothing was written"
            } else {
                "interrupted: what was written so far is not whole; throw it away"
            });
            Err(Failure::Silent(INTERRUPTED))
        }
        outcome = work => outcome,
    }
}

/// Does what blocks in a thread of its own, which the end of the process does not wait for.
pub(super) async fn in_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .spawn(move || sender.send(work()))
        .map_err(|error| Failure::local(format!("cannot start a thread: {error}")))?;
    let gone = |_| Failure::local("the work ended without an outcome");
    receiver.await.map_err(gone)
}
