//! What must hold of any request that HTTP lets through. For the fuzz targets only.

pub use crate::http::fuzzing::{request_body, request_head};

/// What is taken as a PROXY header is read the same whatever follows.
pub fn proxy_header(data: &[u8]) {
    crate::listener::proxy::fuzz(data);
}
