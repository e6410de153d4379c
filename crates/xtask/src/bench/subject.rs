//! [`Subject`]: what is measured, and how it is started.

use super::server::Place;
use crate::failure::Failure;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first part of a configuration that both servers read; they differ in how the audit devices that
/// are made through the API are permitted.
const CONFIGURATION: &str = r#"
storage "raft" {
  path    = "@data@"
  node_id = "bench"
}
listener "tcp" {
  address       = "@address@"
  tls_cert_file = "@certificate@"
  tls_key_file  = "@key@"
}
api_addr      = "https://@address@"
cluster_addr  = "https://@cluster@"
disable_mlock = true
log_level     = "warn"
"#;

/// A server that can be measured.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    binary: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The HTTP stack of this server, answering a constant.
    Floor,
    /// A server with this line in its configuration.
    Vault { audit_line: &'static str },
    /// A key service with keys in a file.
    Kms,
}

impl Subject {
    pub(super) fn floor(binary: PathBuf) -> Self {
        Self {
            name: "floor",
            binary,
            kind: Kind::Floor,
        }
    }

    pub(super) fn secretum(binary: PathBuf) -> Self {
        let kind = Kind::Vault {
            audit_line: "audit_directory = \"@audit@\"",
        };
        Self {
            name: "SecretumVault",
            binary,
            kind,
        }
    }

    /// The program, whose commands belong to the server.
    pub(super) fn binary(&self) -> &Path {
        &self.binary
    }

    pub(super) fn kms_service(binary: PathBuf) -> Self {
        Self {
            name: "kms-service",
            binary,
            kind: Kind::Kms,
        }
    }

    pub(super) fn openbao(binary: PathBuf) -> Self {
        let kind = Kind::Vault {
            audit_line: "unsafe_allow_api_audit_creation = true",
        };
        Self {
            name: "OpenBao",
            binary,
            kind,
        }
    }

    /// The command that starts it in this folder, whose configuration is written.
    pub(super) fn command(
        &self,
        place: &Place,
        folder: &Path,
        address: &str,
    ) -> Result<Command, Failure> {
        // A server ends when the bench does, however that ends. It keeps its process id.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(&self.binary);
        match self.kind {
            Kind::Floor => {
                command.args(["bench-floor", "--listen", address]);
                command.arg("--tls-cert").arg(&place.certificate);
                command.arg("--tls-key").arg(&place.key);
            }
            Kind::Vault { audit_line } => {
                let file = folder.join("server.hcl");
                let text = configuration(audit_line, place, folder, address)?;
                std::fs::write(&file, text).map_err(Failure::file(&file))?;
                command
                    .arg("server")
                    .arg(format!("-config={}", file.display()));
            }
            Kind::Kms => {
                let file = kms_configuration(place, folder, address)?;
                command.arg("--config").arg(file);
            }
        }
        Ok(command)
    }
}

/// A `kms.toml` with TLS and one caller, who may encrypt.
fn kms_configuration(place: &Place, folder: &Path, address: &str) -> Result<PathBuf, Failure> {
    let keys = folder.join("keys.txt");
    super::kms::write_keys(&keys)?;
    let file = folder.join("kms.toml");
    let (keys, certificate, key) = (
        keys.display(),
        place.certificate.display(),
        place.key.display(),
    );
    let text = format!(
        "[kms]\nenvironment = \"dev\"\ndev_backend = \"local\"\n[kms.local]\nkeys_path = \"{keys}\"\n\
         [service]\naddress = \"{address}\"\ntls_cert_path = \"{certificate}\"\n\
         tls_key_path = \"{key}\"\nlog_level = \"warn\"\n"
    );
    std::fs::write(&file, text).map_err(Failure::file(&file))?;
    Ok(file)
}

fn configuration(
    audit_line: &str,
    place: &Place,
    folder: &Path,
    address: &str,
) -> Result<String, Failure> {
    let (data, audit) = (folder.join("data"), folder.join("audit"));
    for new in [&data, &audit] {
        std::fs::create_dir_all(new).map_err(Failure::file(new))?;
    }
    let template = format!("{CONFIGURATION}{audit_line}\n");
    Ok(template
        .replace("@address@", address)
        .replace("@cluster@", &super::server::free_address()?)
        .replace("@data@", &data.to_string_lossy())
        .replace("@audit@", &audit.to_string_lossy())
        .replace("@certificate@", &place.certificate.to_string_lossy())
        .replace("@key@", &place.key.to_string_lossy()))
}

/// The `bao` command of the tests' environment, or of the path.
pub(super) fn find_openbao(root: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(root.join(".venv/bin"))
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join("bao"))
        .find(|binary| binary.is_file())
}
