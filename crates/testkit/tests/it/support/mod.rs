//! What the tests share: a vault in process, a storage with faults, an engine made for tests.

pub(crate) mod faults;
pub(crate) mod lender;
pub(crate) mod probe;
pub(crate) mod vault;

use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How long a condition may take to come true.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(
            start.elapsed() < DEADLINE,
            "still waiting after {DEADLINE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Polls a future once; whether it ended.
pub(crate) async fn poll_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}
