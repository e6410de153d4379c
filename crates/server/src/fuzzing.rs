//! What must hold of any request that HTTP lets through. For the fuzz targets only.

pub use crate::http::fuzzing::{request_body, request_head};
