//! Where audit records of this program go: to devices, or to the log.

use crate::ServiceError;
use crate::log::Logging;
use secretum_kms_audit::{AuditConfig, AuditLog};
use std::sync::Arc;

/// How the places begin that a command writes to. It may run beside the service, whose devices are the service's
/// alone, so that their chains are one each.
const COMMAND: &str = "data-keys-";

/// The devices of the service; the log where none are configured.
///
/// **Errors**: [`ServiceError::Audit`], [`ServiceError::System`].
pub(crate) async fn of_service(
    config: Option<&AuditConfig>,
    logging: &Logging,
) -> Result<AuditLog, ServiceError> {
    open(config.cloned().as_slice(), logging).await
}

/// Devices beside those of services with these configurations; the log where none are configured.
///
/// **Errors**: as of [`of_service`].
pub(crate) async fn of_command(
    configs: &[&AuditConfig],
    logging: &Logging,
) -> Result<AuditLog, ServiceError> {
    let configs = configs.iter().map(|config| config.beside(COMMAND));
    open(&configs.collect::<Vec<_>>(), logging).await
}

async fn open(configs: &[AuditConfig], logging: &Logging) -> Result<AuditLog, ServiceError> {
    if configs.is_empty() {
        let records = logging.records().map_err(ServiceError::System)?;
        return Ok(AuditLog::to(Arc::new(records)));
    }
    Ok(AuditLog::open(configs).await?)
}
