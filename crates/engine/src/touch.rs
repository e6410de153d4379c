//! [`Touch`]: what a request does on other paths than its own.

use crate::{Handle, Verb};

/// What a request does on another path of its mount, as a request of its own would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The verb of that request.
    pub verb: Verb,
    /// Its path, relative to the mount.
    pub path: String,
    /// The parameters that it would bring. Nobody looks at their values: where a policy does, it
    /// permits nothing.
    pub fields: &'static [&'static str],
}

/// Tells what a request does on other paths than its own, for rows made by
/// [`crate::Routes::touching`]. The caller needs the right to each, or is refused like one without a
/// right to the path itself.
pub trait Touches<R>: Handle<R> {
    /// What it does there.
    fn touches(request: &R) -> Vec<Touch>;
}
