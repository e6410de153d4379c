//! [`Unread`]: what a request still sends when it is answered already.
//!
//! A refusal before the body was read would end an HTTP/2 stream, or an HTTP/1 connection, under its
//! sender, who then may not see the answer. So a little of it is taken in and thrown away first.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The most that is thrown away, in bytes: who sends more learns of the end of the stream.
const UNREAD_BYTES_MAX: usize = 64 << 10;

/// How long it is waited for.
const UNREAD_WAIT: Duration = Duration::from_secs(1);

/// A body, held by who reads it and by who clears away the rest.
#[derive(Clone)]
pub(super) struct Unread(Arc<Mutex<Body>>);

impl Unread {
    /// Takes a hold on the body of a request.
    pub(super) fn of(request: Request) -> (Self, Request) {
        let (head, body) = request.into_parts();
        let body = Self(Arc::new(Mutex::new(body)));
        (body.clone(), Request::from_parts(head, Body::new(body)))
    }

    /// Takes in what is left, within bounds.
    pub(super) async fn clear_away(mut self) {
        if self.is_end_stream() {
            return;
        }
        let clearing = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = self.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > UNREAD_BYTES_MAX {
                    break;
                }
            }
        };
        // Who is too slow is answered all the same.
        let _ = tokio::time::timeout(UNREAD_WAIT, clearing).await;
    }
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.0.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().size_hint()
    }
}
