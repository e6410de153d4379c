//! What must hold of any bytes in the place of a token, or of a stored record. For the fuzz targets
//! only.

pub use crate::system::wrapping::fuzzing::wrapped_answer;
pub use crate::tokens::fuzzing::{token_record, token_text};
