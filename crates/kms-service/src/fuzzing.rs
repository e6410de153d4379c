//! What the fuzz targets call of what is private.

pub use crate::api::fuzzing::body;
pub use crate::config::fuzzing::faults;
