//! [`AnswerBody`]: the body of an answer, in pieces that the client asks for one by one.

use super::connection::UnderWay;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The most bytes that are handed to a stream of HTTP/2 whose client wants to read one more.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// The body of an answer. Its request is under way until the last piece is handed over.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    rest: Bytes,
    _under_way: Option<UnderWay>,
}

impl AnswerBody {
    pub(super) fn new(bytes: Bytes, under_way: Option<UnderWay>) -> Self {
        Self {
            rest: bytes,
            _under_way: under_way,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let bytes = self.rest.len().min(PIECE_BYTES_MAX);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
