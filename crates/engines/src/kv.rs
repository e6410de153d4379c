//! Key-value secrets, version 1 (a value per path) and version 2 (a history per path).

mod error;
mod listing;
mod merge;
mod path;
mod version1;
mod version2;

pub use error::KvError;
pub use path::{Folder, SecretPath};
pub use version1::Kv1;
pub use version2::Kv2;

use secretum_engine::{EngineKind, RouteError};

/// The kind `kv`; a mount without a version is of version 1.
pub(crate) fn kind() -> Result<EngineKind, RouteError> {
    EngineKind::secret::<Kv1>(Kv1::build)?
        .version::<Kv1>("1", Kv1::build)?
        .version::<Kv2>("2", Kv2::build)
}
