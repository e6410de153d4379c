//! What must hold of any bytes in the place of a stored record. For the fuzz targets only.

pub use crate::tokens::fuzzing::token_record;
