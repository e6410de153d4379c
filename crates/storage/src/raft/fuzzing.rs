//! What must hold of any bytes in the data directory. For the fuzz targets only.
//!
//! Each function panics where it does not hold. The checksums of our files let hardly any input
//! through, so what stands behind one is also read without it, and with a checksum that fits.

pub use super::directory::fuzzing::format_file;
pub use super::log::fuzzing::{frame, records, segment_head};
pub use super::state::fuzzing::{snapshot, snapshot_rows};
