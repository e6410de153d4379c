//! The token that `login` keeps: `~/.vault-token`, the file that Vault's tools share.

use crate::failure::Failure;
use secretum_client::{Environment, SecretString};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The name of the file in the user's home.
const FILE: &str = ".vault-token";

/// The stored token, if there is one.
///
/// **Errors**: where the file is there but cannot be read.
pub(crate) fn read(environment: &Environment) -> Result<Option<SecretString>, Failure> {
    match path(environment) {
        Some(path) => read_at(&path),
        None => Ok(None),
    }
}

/// Stores a token, for its owner's eyes only.
///
/// **Errors**: where the file cannot be written.
pub(crate) fn write(environment: &Environment, token: &SecretString) -> Result<(), Failure> {
    let path = path(environment)
        .ok_or_else(|| Failure::local("cannot store the token: HOME is not set"))?;
    write_at(&path, token)
}

fn path(environment: &Environment) -> Option<PathBuf> {
    environment
        .plain("HOME")
        .map(|home| Path::new(&home).join(FILE))
}

fn read_at(path: &Path) -> Result<Option<SecretString>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let token = text.trim();
            Ok((!token.is_empty()).then(|| SecretString::new(token.to_owned())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::local(format!(
            "cannot read the token in `{}`: {error}",
            path.display()
        ))),
    }
}

/// Writes beside the file and renames, so that no reader finds half a token. The temporary file is
/// its owner's alone from the start.
fn write_at(path: &Path, token: &SecretString) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::local(format!(
            "cannot store the token in `{}`: {error}",
            path.display()
        ))
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(token.expose().as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_stored_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        assert!(read_at(&path).unwrap().is_none());
        std::fs::write(&path, "old and longer").unwrap();
        write_at(&path, &SecretString::new("hvs.x".to_owned())).unwrap();
        assert_eq!(read_at(&path).unwrap().unwrap().expose(), "hvs.x");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn blanks_around_a_token_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, "hvs.x\n").unwrap();
        assert_eq!(read_at(&path).unwrap().unwrap().expose(), "hvs.x");
        std::fs::write(&path, "\n").unwrap();
        assert!(read_at(&path).unwrap().is_none());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let failure = read_at(folder.path()).unwrap_err().to_string();
        assert!(
            failure.contains(&folder.path().display().to_string()),
            "{failure}"
        );
    }
}
