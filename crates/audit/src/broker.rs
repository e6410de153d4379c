//! [`Broker`]: hands every record to every device.

use crate::{AuditError, Device, Record};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use parking_lot::RwLock;
use std::sync::Arc;

/// The enabled devices.
#[derive(Debug, Default)]
pub struct Broker {
    devices: RwLock<Arc<Vec<Arc<Device>>>>,
}

impl Broker {
    /// Adds a device, in the place of one with the same path.
    pub fn add(&self, device: Device) {
        let mut devices = self.devices.write();
        let mut changed: Vec<_> = devices
            .iter()
            .filter(|own| own.path() != device.path())
            .cloned()
            .collect();
        changed.push(Arc::new(device));
        *devices = Arc::new(changed);
    }

    /// Removes a device; whether it was there.
    pub fn remove(&self, path: &str) -> bool {
        let mut devices = self.devices.write();
        let changed: Vec<_> = devices
            .iter()
            .filter(|own| own.path() != path)
            .cloned()
            .collect();
        let found = changed.len() < devices.len();
        *devices = Arc::new(changed);
        found
    }

    /// Removes the devices whose path is not wanted.
    pub fn retain(&self, wanted: impl Fn(&str) -> bool) {
        let mut devices = self.devices.write();
        let kept = devices.iter().filter(|own| wanted(own.path())).cloned();
        *devices = Arc::new(kept.collect());
    }

    /// The device at a path.
    pub fn device(&self, path: &str) -> Option<Arc<Device>> {
        self.devices
            .read()
            .iter()
            .find(|device| device.path() == path)
            .cloned()
    }

    /// Writes a record to every device; `Ok` once one of them took it, or where there is none. The
    /// others are waited for no longer than that.
    ///
    /// **Errors**: [`AuditError::NoDeviceTookIt`]; what each device said is logged.
    pub async fn write(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let devices = Arc::clone(&self.devices.read());
        if let [only] = devices.as_slice() {
            let sent = only.send(record).map_err(refused)?;
            return sent.taken().await.map_err(refused);
        }
        let mut outcome = Ok(());
        // Every device has the record before any is waited for: the first answer ends the waiting.
        let mut pending = FuturesUnordered::new();
        for device in devices.iter() {
            match device.send(record) {
                Ok(sent) => pending.push(sent.taken()),
                Err(error) => outcome = Err(refused(error)),
            }
        }
        while let Some(written) = pending.next().await {
            match written {
                Ok(()) => return Ok(()),
                Err(error) => outcome = Err(refused(error)),
            }
        }
        outcome
    }
}

fn refused(error: AuditError) -> AuditError {
    tracing::error!(%error, "an audit device refused a record");
    AuditError::NoDeviceTookIt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceConfig, FileOptions, Kind, RequestPart};
    use secretum_crypto::{Sha256, Timestamp};
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::mpsc::TryRecvError;

    fn options(path: &Path) -> BTreeMap<String, String> {
        BTreeMap::from([("file_path".to_owned(), path.display().to_string())])
    }

    fn device(name: &str, path: &Path) -> Result<Device, AuditError> {
        let file = FileOptions::read(&options(path), None)?;
        Device::open(DeviceConfig {
            path: name,
            hmac_key: b"key",
            file,
        })
    }

    fn record() -> Record<'static> {
        Record {
            kind: Kind::Request,
            time: Timestamp::from_unix_seconds(0),
            auth: None,
            request: RequestPart {
                id: "id",
                operation: "read",
                path: "secret/a",
                mount_type: "kv",
                mount_point: "secret/",
                remote_address: "127.0.0.1",
                data: None,
                clear_keys: &[],
                wrap_ttl_seconds: 0,
            },
            response: None,
            decision: None,
            error: None,
        }
    }

    #[tokio::test]
    async fn every_line_is_json_and_chained_to_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let broker = Broker::default();
        broker.add(device("file/", &path).unwrap());
        for _ in 0..20 {
            broker.write(&record()).await.unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut head = [0; 32];
        for (number, line) in text.lines().enumerate() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["sequence"], number);
            let mut hash = Sha256::new();
            hash.update(&head);
            hash.update(line.split(",\"chain\"").next().unwrap().as_bytes());
            head = hash.finish();
            let shown: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(value["chain"], shown);
        }
        assert_eq!(text.lines().count(), 20);
    }

    #[tokio::test]
    async fn a_request_goes_on_when_one_device_took_it_and_not_when_none_did() {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::default();
        assert!(broker.write(&record()).await.is_ok());
        // A device on a full disk.
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let options = FileOptions::read(&options(&folder.path().join("x")), None).unwrap();
        let (queue, jobs) = std::sync::mpsc::sync_channel(8);
        std::thread::spawn(move || crate::file::Writer::new(options, full).run(&jobs));
        broker.add(Device::with_queue("full/", queue));
        assert!(broker.write(&record()).await.is_err());
        broker.add(device("file/", &folder.path().join("audit.log")).unwrap());
        assert!(broker.write(&record()).await.is_ok());
        assert!(broker.remove("file/"));
        assert!(broker.write(&record()).await.is_err());
    }

    #[tokio::test]
    async fn every_device_gets_every_record() {
        const RECORDS: usize = 2_000;
        let broker = Broker::default();
        // The first device answers before anybody can wait for it.
        let (queue, jobs) = std::sync::mpsc::sync_channel::<crate::file::Job>(8);
        std::thread::spawn(move || {
            loop {
                match jobs.try_recv() {
                    Ok(job) => drop(job.done.send(Ok(()))),
                    Err(TryRecvError::Empty) => std::hint::spin_loop(),
                    Err(TryRecvError::Disconnected) => return,
                }
            }
        });
        broker.add(Device::with_queue("quick/", queue));
        let (queue, jobs) = std::sync::mpsc::sync_channel(RECORDS);
        broker.add(Device::with_queue("slow/", queue));
        for _ in 0..RECORDS {
            broker.write(&record()).await.unwrap();
        }
        assert_eq!(jobs.try_iter().count(), RECORDS);
    }

    #[test]
    fn foreign_and_executable_files_are_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        assert!(matches!(device("file/", &path), Err(AuditError::Option(_))));
        assert!(matches!(
            device("file/", Path::new("/dev/null")),
            Err(AuditError::Option(_))
        ));
        for (key, value) in [
            ("file_path", "relative"),
            ("file_path", "/a/../b"),
            ("mode", "0755"),
        ] {
            let mut options = options(&path);
            options.insert(key.to_owned(), value.to_owned());
            assert!(FileOptions::read(&options, None).is_err(), "{key}={value}");
        }
        let elsewhere = Some(Path::new("/var/log/audit"));
        assert!(FileOptions::read(&options(&path), elsewhere).is_err());
    }
}
