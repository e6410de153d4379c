//! Key-value engines: [`V1`] and [`V2`].
//!
//! Paths are logical: `app/database`, without the `data/` that version 2 puts before it.

mod v1;
mod v2;

pub use v1::V1;
pub use v2::{MetadataSettings, V2, VersionChange, WriteOptions};

/// A mount without slashes around it, and a path below it.
fn below(mount: &str, area: &str, path: &str) -> String {
    let mount = mount.trim_matches('/');
    let path = path.trim_start_matches('/');
    match (area.is_empty(), path.is_empty()) {
        (true, _) => format!("{mount}/{path}"),
        (false, true) => format!("{mount}/{area}"),
        (false, false) => format!("{mount}/{area}/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn paths_stand_below_their_mount() {
        assert_eq!(below("secret/", "data", "/a/b"), "secret/data/a/b");
        assert_eq!(below("secret", "metadata", ""), "secret/metadata");
        assert_eq!(below("a/b/", "", "c"), "a/b/c");
    }
}
