//! Trying again: which failures are worth it, and how long to wait.

use crate::client::Answer;
use crate::{ClientError, Request};
use backon::{ExponentialBuilder, Retryable};
use std::time::Duration;

/// The shortest wait before another try.
const WAIT_MIN: Duration = Duration::from_millis(500);

/// The longest.
const WAIT_MAX: Duration = Duration::from_millis(1500);

/// One try that did not end as it should.
enum Failed {
    /// No answer.
    Sending(ClientError),
    /// An answer that another try may better.
    Answered(Answer),
}

/// Sends by `attempt`, and again, up to `retries_max` times, where the failure may pass and
/// a second request does no harm: the connection was refused, or the server says that it did
/// nothing (412, 429, 503); for reads and deletes also when the connection broke or the server
/// failed (5xx but 501).
pub(crate) async fn send<F, A>(
    request: &Request,
    retries_max: usize,
    attempt: A,
) -> Result<Answer, ClientError>
where
    A: Fn() -> F,
    F: Future<Output = Result<Answer, ClientError>>,
{
    let repeatable = request.is_repeatable();
    let waits = ExponentialBuilder::default()
        .with_min_delay(WAIT_MIN)
        .with_max_delay(WAIT_MAX)
        .with_max_times(retries_max)
        .with_jitter();
    let outcome = (|| async {
        match attempt().await {
            Ok(answer) if is_passing(answer.status, repeatable) => Err(Failed::Answered(answer)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Failed::Sending(error)),
        }
    })
    .retry(waits)
    .sleep(tokio::time::sleep)
    .when(|failed| match failed {
        Failed::Answered(_) => true,
        Failed::Sending(error) => is_transient(error, repeatable),
    })
    .await;
    match outcome {
        Ok(answer) | Err(Failed::Answered(answer)) => Ok(answer),
        Err(Failed::Sending(error)) => Err(error),
    }
}

/// Whether an answer of this status may be another one soon.
fn is_passing(status: u16, repeatable: bool) -> bool {
    matches!(status, 412 | 429 | 503) || (repeatable && status >= 500 && status != 501)
}

fn is_transient(error: &ClientError, repeatable: bool) -> bool {
    match error {
        ClientError::Transport { source, .. } => {
            source.is_connect() || (repeatable && !source.is_timeout())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    async fn tries(request: Request, status: u16, retries_max: usize) -> usize {
        let count = AtomicUsize::new(0);
        let answer = send(&request, retries_max, || {
            count.fetch_add(1, Ordering::Relaxed);
            async move {
                Ok(Answer {
                    status,
                    retry_after: None,
                    body: Vec::new().into(),
                })
            }
        })
        .await;
        assert_eq!(answer.unwrap().status, status);
        count.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_pass_is_tried_again() {
        assert_eq!(tries(Request::get("a"), 200, 2).await, 1);
        assert_eq!(tries(Request::get("a"), 500, 2).await, 3);
        assert_eq!(tries(Request::get("a"), 501, 2).await, 1);
        assert_eq!(tries(Request::get("a"), 403, 2).await, 1);
        assert_eq!(tries(Request::get("a"), 503, 0).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_may_have_been_done_is_not_sent_twice() {
        for request in [Request::put("a"), Request::post("a"), Request::patch("a")] {
            assert_eq!(tries(request.clone(), 500, 2).await, 1);
            assert_eq!(tries(request, 503, 2).await, 3);
        }
    }
}
