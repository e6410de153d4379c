//! [`Visit`]: a device that is open while a record is written.
//!
//! A device is one program's while it is open, so that its chain is one. Of commands several run at once, in a
//! pipe, and some for hours; so each takes the device for a record, and gives it free again. The chain of
//! a file goes on from one to the next.

use crate::log::{close, open, record, refused};
use crate::{AuditConfig, AuditLogError, key};
use async_trait::async_trait;
use secretum_audit::DeviceOptions;
use secretum_crypto::SecretBytes;
use secretum_kms::{KmsAuditEvent, KmsAuditSink, SinkError};
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Writes records to a device that others write to as well.
pub struct Visit {
    number: usize,
    options: DeviceOptions,
    key: Arc<SecretBytes>,
    /// Who waits here in line does not ask the system for the device again and again.
    turn: Mutex<()>,
}

impl Visit {
    /// A sink for each device of a configuration. None is opened yet.
    ///
    /// **Errors**: [`AuditLogError::Key`].
    pub fn each(config: &AuditConfig) -> Result<Vec<Arc<dyn KmsAuditSink>>, AuditLogError> {
        let key = Arc::new(key::read_or_make(&config.key)?);
        let devices = config.devices.iter().enumerate();
        let visits = devices.map(|(at, options)| {
            Arc::new(Self {
                number: at + 1,
                options: options.clone(),
                key: Arc::clone(&key),
                turn: Mutex::new(()),
            }) as _
        });
        Ok(visits.collect())
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Visit").field(&self.options).finish()
    }
}

#[async_trait]
impl KmsAuditSink for Visit {
    async fn record(&self, event: &KmsAuditEvent) -> Result<(), SinkError> {
        let _turn = self.turn.lock().await;
        let opened = open(self.number, &self.options, &self.key).await;
        let device = opened.map_err(refused)?;
        let taken = record(&device, event).await;
        let ended = close(&device).await;
        taken?;
        match ended {
            true => Ok(()),
            false => Err(SinkError("the audit device does not end".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use secretum_audit::verify::Verifier;
    use secretum_crypto::Timestamp;
    use secretum_kms::{Environment, KmsOperation};
    use std::path::Path;
    use std::time::Duration;

    fn config(folder: &Path) -> AuditConfig {
        let text = "[service.audit]\nkey_path = \"${HERE}/key\"\n[[service.audit.devices]]\n\
                    type = \"file\"\noptions = { file_path = \"${HERE}/log\" }\n";
        let here = folder.to_str().unwrap();
        let read = AuditConfig::read(text, &Environment::of([("HERE", here)]));
        read.unwrap().unwrap()
    }

    fn event(caller: usize) -> KmsAuditEvent {
        KmsAuditEvent {
            timestamp: Timestamp::UNIX_EPOCH,
            caller: Some(caller.to_string()),
            operation: KmsOperation::Encrypt,
            provider: "local",
            key: None,
            context_keys: Vec::new(),
            from: None,
            outcome: "ok",
            duration: Duration::ZERO,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_programs_write_one_chain() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let programs = (0..4).map(|_| Visit::each(&config).unwrap());
        let programs: Vec<_> = programs.collect();
        let records = (0..40).map(|at| {
            let sink = Arc::clone(&programs[at % 4][0]);
            tokio::spawn(async move { sink.record(&event(at)).await })
        });
        for recorded in join_all(records).await {
            recorded.unwrap().unwrap();
        }
        let bytes = std::fs::read(folder.path().join("log")).unwrap();
        let key = hex::decode(config.public_key().unwrap()).unwrap();
        let mut verifier = Verifier::new(vec![key]);
        verifier.read("log", &bytes[..], |_| ()).unwrap();
        let report = verifier.finish();
        assert!(report.told.is_empty() && report.is_closed, "{report:?}");
        let text = String::from_utf8(bytes).unwrap();
        for at in 0..40 {
            let caller = format!("\"caller\":\"{at}\"");
            assert_eq!(text.matches(&caller).count(), 1, "{at}");
        }
    }

    #[tokio::test]
    async fn what_is_held_by_another_for_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let held = crate::AuditLog::open(std::slice::from_ref(&config));
        let held = held.await.unwrap();
        let visits = Visit::each(&config).unwrap();
        let refused = visits[0].record(&event(1)).await.unwrap_err();
        assert!(refused.to_string().contains("log"), "{refused}");
        held.close().await;
        visits[0].record(&event(2)).await.unwrap();
    }
}
