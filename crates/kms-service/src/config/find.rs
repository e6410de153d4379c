//! Where `kms.toml` is looked for.

use crate::ServiceError;
use secretum_kms::Environment;
use std::path::PathBuf;

const NAME: &str = "kms.toml";

/// The first that is there of `./kms.toml`, `$XDG_CONFIG_HOME/secretum/kms.toml` (`~/.config` where
/// the variable is not set) and `/etc/secretum/kms.toml`.
///
/// **Errors**: [`ServiceError::NoConfig`], with all of them.
pub fn find(environment: &Environment) -> Result<PathBuf, ServiceError> {
    let home = || {
        environment
            .get("HOME")
            .map(|home| PathBuf::from(home).join(".config"))
    };
    let configuration = environment
        .get("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(home);
    let mut looked_for = vec![PathBuf::from(NAME)];
    looked_for.extend(configuration.map(|folder| folder.join("secretum").join(NAME)));
    looked_for.push(PathBuf::from("/etc/secretum").join(NAME));
    match looked_for.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(ServiceError::NoConfig { looked_for }),
    }
}
