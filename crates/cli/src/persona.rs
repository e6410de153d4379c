//! [`Persona`]: the name that the binary was called by, and what follows from it.

use secretum_api::VAULT_API_VERSION;
use std::ffi::OsStr;
use std::path::Path;

/// The name that the binary was called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persona {
    /// By its own.
    Secretum,
    /// As Vault's command line.
    Vault,
    /// As OpenBao's command line; it answers as Vault's does.
    Bao,
}

impl Persona {
    /// From the first argument of the process.
    pub(crate) fn of(argv0: Option<&OsStr>) -> Self {
        match argv0
            .and_then(|path| Path::new(path).file_stem())
            .and_then(OsStr::to_str)
        {
            Some("vault") => Self::Vault,
            Some("bao") => Self::Bao,
            _ => Self::Secretum,
        }
    }

    /// The name to show in help and hints.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Secretum => "secretum",
            Self::Vault => "vault",
            Self::Bao => "bao",
        }
    }

    /// The line that `version` prints. Test suites of clients look for `Vault v1.2.3` in it.
    pub(crate) fn version(self) -> String {
        let own = concat!("SecretumVault v", env!("CARGO_PKG_VERSION"));
        match self {
            Self::Secretum => own.to_owned(),
            Self::Vault | Self::Bao => format!("Vault v{VAULT_API_VERSION} ({own})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides() {
        for (path, persona) in [
            ("/usr/bin/vault", Persona::Vault),
            ("bao", Persona::Bao),
            ("./secretum", Persona::Secretum),
            ("anything", Persona::Secretum),
        ] {
            assert_eq!(Persona::of(Some(OsStr::new(path))), persona);
        }
        assert_eq!(Persona::of(None), Persona::Secretum);
    }

    #[test]
    fn as_vault_it_names_a_version_of_vault() {
        let version = Persona::Vault.version();
        let numbers: Vec<&str> = version
            .strip_prefix("Vault v")
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .split('.')
            .collect();
        assert_eq!(numbers.len(), 3, "{version}");
        assert!(
            numbers.iter().all(|number| number.parse::<u32>().is_ok()),
            "{version}"
        );
        assert!(Persona::Secretum.version().starts_with("SecretumVault v"));
    }
}
