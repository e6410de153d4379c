//! Key-value secrets, version 1 (a value per path) and version 2 (a history per path).

mod error;
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

/// The part of a listing that a client asks for.
struct Page {
    after: Option<String>,
    /// `None` for the whole listing, sorted.
    limit: Option<usize>,
}

impl Page {
    /// Reads `after` and `limit`; a limit below one is none, as clients expect.
    fn of(after: Option<String>, limit: Option<i64>) -> Self {
        let limit = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0);
        Self {
            after: after.filter(|after| !after.is_empty()),
            limit,
        }
    }

    fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }
}
