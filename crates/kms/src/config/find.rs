//! Where `kms.toml` is looked for.

use super::Environment;
use std::path::PathBuf;

const NAME: &str = "kms.toml";

/// There is no configuration where one is looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no configuration: looked for {}; write one there, or name it: --config kms.toml",
    looked_for.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
)]
pub struct ConfigNotFound {
    /// Where it was looked for.
    pub looked_for: Vec<PathBuf>,
}

/// The first that is there of `./kms.toml`, `$XDG_CONFIG_HOME/secretum/kms.toml` (`~/.config` where
/// the variable is not set) and `/etc/secretum/kms.toml`.
///
/// **Errors**: [`ConfigNotFound`], with all of them.
pub fn find(environment: &Environment) -> Result<PathBuf, ConfigNotFound> {
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
        None => Err(ConfigNotFound { looked_for }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_the_user_comes_before_that_of_the_system() {
        let home = tempfile::tempdir().unwrap();
        let shown = home.path().display().to_string();
        let by_home = Environment::of([("HOME", shown.as_str())]);
        let refused = find(&by_home).unwrap_err();
        let file = home.path().join(".config/secretum/kms.toml");
        assert_eq!(refused.looked_for.get(1), Some(&file));
        assert!(refused.to_string().contains("/etc/secretum/kms.toml"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "").unwrap();
        assert_eq!(find(&by_home).unwrap(), file);
        let folder = home.path().join(".config").display().to_string();
        let by_xdg = Environment::of([("XDG_CONFIG_HOME", folder.as_str()), ("HOME", "/nowhere")]);
        assert_eq!(find(&by_xdg).unwrap(), file);
    }
}
