//! Audit records of what is done from this machine, on the devices that kms.toml names for its service.

use crate::failure::Failure;
use secretum_kms::config::KmsConfigError;
use secretum_kms::{Environment, Observers};
use secretum_kms_audit::{AuditConfig, Visit};
use std::path::Path;

/// How the places begin that records go to: those themselves are the service's alone.
const BESIDE: &str = "command-";

/// The devices of a configuration for commands, where it names some.
pub(super) fn config(
    file: &Path,
    text: &str,
    environment: &Environment,
) -> Result<Option<AuditConfig>, Failure> {
    let read = AuditConfig::read(text, environment);
    let read = read.map_err(|faults| {
        let file = file.to_owned();
        Failure::display(KmsConfigError { file, faults })
    })?;
    match read.as_ref().and_then(AuditConfig::on_stdout) {
        Some(number) => Err(Failure::local(format!(
            "audit device {number} of `{}` writes on the output of its program, where the answer of this \
             command goes; ask the service (-service), or write a configuration for commands",
            file.display()
        ))),
        None => Ok(read.map(|config| config.beside(BESIDE))),
    }
}

/// Who takes the records: those devices, each while a record is written, for commands run side by side.
pub(super) fn observers(audit: Option<&AuditConfig>) -> Result<Observers, Failure> {
    let Some(audit) = audit else {
        return Ok(Observers::default());
    };
    Ok(Observers {
        sinks: Visit::each(audit).map_err(Failure::display)?,
        caller: Some(format!("uid {}", rustix::process::getuid().as_raw())),
        ..Observers::default()
    })
}
