//! [`RequestPath`]: the path of a request, parsed once.

/// The longest request path, in bytes.
pub const PATH_BYTES_MAX: usize = 4_096;

/// The logical path of a request (`secret/data/app`), without the `/v1/` before it.
///
/// INVARIANT: no empty, `.` or `..` segment, no control character, no leading slash. A trailing
/// slash is kept: it marks a folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestPath(String);

/// Why a text is no request path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// A segment is `.` or `..`.
    #[error("path cannot hold relative path segments (`.` or `..`)")]
    Relative,
    /// Two slashes follow each other, or the path starts with one.
    #[error("path cannot hold empty segments (`//`)")]
    EmptySegment,
    /// A control character.
    #[error("path cannot hold control characters")]
    Control,
    /// Longer than [`PATH_BYTES_MAX`].
    #[error("a path of {0} bytes is over the limit of {PATH_BYTES_MAX} bytes")]
    TooLong(usize),
}

impl RequestPath {
    /// Checks a decoded path.
    ///
    /// **Errors**: a [`PathError`] that names the first rule it breaks.
    pub fn parse(text: impl Into<String>) -> Result<Self, PathError> {
        let text = text.into();
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        let body = text.strip_suffix('/').unwrap_or(&text);
        for segment in body.split('/') {
            match segment {
                "" if !text.is_empty() => return Err(PathError::EmptySegment),
                "." | ".." => return Err(PathError::Relative),
                _ => {}
            }
        }
        Ok(Self(text))
    }

    /// The path with a slash at its end, as a listing names its folder.
    #[must_use]
    pub fn into_folder(mut self) -> Self {
        if !self.0.is_empty() && !self.0.ends_with('/') {
            self.0.push('/');
        }
        self
    }

    /// The text of the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for RequestPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_pass() {
        for text in ["", "secret/data/a", "secret/metadata/", "a..b/c.", "ü/€ x"] {
            assert_eq!(RequestPath::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn each_rule_is_named() {
        for (text, error) in [
            ("secret/../sys", PathError::Relative),
            ("./a", PathError::Relative),
            ("a/..", PathError::Relative),
            ("a//b", PathError::EmptySegment),
            ("/a", PathError::EmptySegment),
            ("a//", PathError::EmptySegment),
            ("/", PathError::EmptySegment),
            ("a\0b", PathError::Control),
            ("a\nb", PathError::Control),
        ] {
            assert_eq!(RequestPath::parse(text), Err(error), "{text:?}");
        }
        assert!(RequestPath::parse("x".repeat(PATH_BYTES_MAX)).is_ok());
        assert_eq!(
            RequestPath::parse("x".repeat(PATH_BYTES_MAX + 1)),
            Err(PathError::TooLong(PATH_BYTES_MAX + 1))
        );
    }
}
