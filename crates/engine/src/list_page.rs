//! [`ListPage`]: the part of a listing that a client asks for.

/// The part of a listing that a client asks for.
#[derive(Debug)]
pub struct ListPage {
    after: Option<String>,
    /// `None` for the whole listing, sorted.
    pub limit: Option<usize>,
}

impl ListPage {
    /// Reads `after` and `limit`; a limit below one is none, as clients expect.
    pub fn of(after: Option<String>, limit: Option<i64>) -> Self {
        let limit = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0);
        Self {
            after: after.filter(|after| !after.is_empty()),
            limit,
        }
    }

    /// The name behind which it begins.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }
}
