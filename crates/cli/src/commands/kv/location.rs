//! Where a key-value secret is: its mount, the mount's version, and the path below it.

use crate::arguments::flags;
use crate::failure::Failure;
use crate::session::Session;
use clap::Args;
use secretum_client::ClientError;

/// Where the secret is.
#[derive(Clone, Args)]
#[group(skip)]
pub(crate) struct Place {
    /// Path of the secret: below -mount, or with the mount before it
    #[arg(required_unless_present = "mount")]
    path: Option<String>,
    /// Where the engine is mounted; the path is then below it
    #[arg(long, value_name = "PATH")]
    mount: Option<String>,
}

/// Where the secret is, as the server says.
#[derive(Debug)]
pub(crate) struct Location {
    /// Where the engine is mounted, without a slash at its end.
    pub(crate) mount: String,
    /// The path below.
    pub(crate) path: String,
    /// The engine's version.
    pub(crate) version: u8,
}

impl Place {
    /// A path below a mount, or with the mount before it.
    pub(crate) fn new(path: String, mount: Option<String>) -> Self {
        Self {
            path: Some(path),
            mount,
        }
    }

    /// Asks the server what is mounted there.
    ///
    /// **Errors**: where the server refuses, or no path is named.
    pub(crate) async fn find(&self, session: &Session) -> Result<Location, Failure> {
        let location = self.find_any(session).await?;
        if location.path.is_empty() {
            return Err(Failure::local("the path names an engine, not a secret"));
        }
        Ok(location)
    }

    /// As [`Self::find`], for a path that may be the mount itself.
    ///
    /// **Errors**: where the server refuses.
    pub(crate) async fn find_any(&self, session: &Session) -> Result<Location, Failure> {
        let path = self
            .path
            .as_deref()
            .unwrap_or_default()
            .trim()
            .trim_matches('/');
        let asked = match &self.mount {
            Some(mount) => flags::path(mount)?,
            None => flags::path(path)?,
        };
        let found = match session.scout().sys().mount_of(&asked).await {
            Ok(found) => found,
            // Servers that know nothing of this question know nothing of version 2.
            Err(error) if error.status() == Some(404) => {
                return Ok(Location::unknown(self.mount.as_deref(), path));
            }
            // An engine that tells no version is one of version 1.
            Err(ClientError::Empty { .. }) => {
                return Ok(Location::unknown(self.mount.as_deref(), path));
            }
            Err(error) => return Err(error.into()),
        };
        let mount = found.path.trim_matches('/').to_owned();
        let path = match &self.mount {
            Some(_) => path,
            None => path
                .strip_prefix(mount.as_str())
                .unwrap_or(path)
                .trim_start_matches('/'),
        };
        Ok(Location {
            path: path.to_owned(),
            version: found.kv_version(),
            mount,
        })
    }
}

impl Location {
    /// Another path of the same mount.
    pub(crate) fn at(&self, path: &str) -> Self {
        Self {
            mount: self.mount.clone(),
            path: path.to_owned(),
            version: self.version,
        }
    }

    fn unknown(mount: Option<&str>, path: &str) -> Self {
        let (mount, path) = match mount {
            Some(mount) => (mount.trim_matches('/'), path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        Self {
            mount: mount.to_owned(),
            path: path.to_owned(),
            version: 1,
        }
    }

    /// The API's path: of version 2 with an area (`data`, `metadata`, …) after the mount.
    pub(crate) fn api_path(&self, area: &str) -> String {
        let parts = match self.version {
            2 => vec![self.mount.as_str(), area, self.path.as_str()],
            _ => vec![self.mount.as_str(), self.path.as_str()],
        };
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/")
    }

    /// Fails where the engine is of version 1.
    ///
    /// **Errors**: that it is.
    pub(crate) fn needs_version_2(&self, what: &str) -> Result<(), Failure> {
        if self.version == 2 {
            return Ok(());
        }
        Err(Failure::local(format!(
            "{what}: the engine must be version 2, and `{}/` is version 1; `kv enable-versioning {}` \
             upgrades it",
            self.mount, self.mount
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_puts_an_area_after_the_mount() {
        let location = |version, path: &str| Location {
            mount: "team/kv".to_owned(),
            path: path.to_owned(),
            version,
        };
        assert_eq!(location(2, "a/b").api_path("data"), "team/kv/data/a/b");
        assert_eq!(location(2, "").api_path("metadata"), "team/kv/metadata");
        assert_eq!(location(1, "a").api_path("data"), "team/kv/a");
    }

    #[test]
    fn without_an_answer_the_first_word_is_the_mount() {
        let location = Location::unknown(None, "secret/a/b");
        assert_eq!(
            (location.mount.as_str(), location.path.as_str()),
            ("secret", "a/b")
        );
        let location = Location::unknown(Some("team/kv/"), "a");
        assert_eq!(location.api_path("data"), "team/kv/a");
    }
}
