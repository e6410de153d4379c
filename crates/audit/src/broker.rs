//! [`Broker`]: hands every record to every device.

use crate::device::Sent;
use crate::{AuditError, Device, Record, Subject};
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

    /// All devices.
    pub fn devices(&self) -> Arc<Vec<Arc<Device>>> {
        Arc::clone(&self.devices.read())
    }

    /// The path of another device that writes to the same file.
    pub fn shares_file(&self, device: &Device) -> Option<String> {
        let devices = self.devices.read();
        let other = devices
            .iter()
            .find(|own| own.path() != device.path() && own.shares_file(device));
        other.map(|other| other.path().to_owned())
    }

    /// Begins the records of a subject.
    pub fn entry<'a>(&'a self, subject: Subject<'a>) -> Entry<'a> {
        let devices = Arc::clone(&self.devices.read());
        Entry {
            broker: self,
            rendered: render(&subject, &devices),
            subject,
            devices,
        }
    }
}

/// The records of one subject. Each device's words for the subject are made once.
#[derive(Debug)]
pub struct Entry<'a> {
    broker: &'a Broker,
    subject: Subject<'a>,
    devices: Arc<Vec<Arc<Device>>>,
    /// For each device.
    rendered: Vec<Vec<u8>>,
}

impl Entry<'_> {
    /// Hands a record to every device. What comes back tells when one of them took it. Records of one
    /// entry reach a device in the order in which they are handed over.
    ///
    /// **Errors**: [`AuditError::NoDeviceTookIt`]; what each device said is logged.
    pub fn send(&mut self, record: &Record<'_>) -> Result<Pending, AuditError> {
        self.follow_changes();
        let lines = self.devices.iter().zip(&self.rendered);
        let mut sent = lines.map(|(device, subject)| {
            let line = record.render(subject, &device.key().key);
            device.send(&line).map_err(refused)
        });
        match self.devices.len() {
            0 => Ok(Pending::Nobody),
            1 => sent
                .next()
                .unwrap_or(Err(AuditError::NoDeviceTookIt))
                .map(Pending::One),
            // Every device has the record before any is waited for.
            _ => Ok(Pending::Any(sent.filter_map(Result::ok).collect())),
        }
    }

    /// A device that was added or removed since the record before changes who is told.
    fn follow_changes(&mut self) {
        let devices = self.broker.devices.read();
        if !Arc::ptr_eq(&devices, &self.devices) {
            self.devices = Arc::clone(&devices);
            drop(devices);
            self.rendered = render(&self.subject, &self.devices);
        }
    }
}

fn render(subject: &Subject<'_>, devices: &[Arc<Device>]) -> Vec<Vec<u8>> {
    let rendered = devices.iter().map(|device| subject.render(device.key()));
    rendered.collect()
}

/// A record on its way to the devices.
#[derive(Debug)]
pub enum Pending {
    /// There is no device.
    Nobody,
    /// There is one.
    One(Sent),
    /// There are several; the first to take it ends the waiting.
    Any(FuturesUnordered<Sent>),
}

impl Pending {
    /// Waits until a device took the record; no longer for the others.
    ///
    /// **Errors**: [`AuditError::NoDeviceTookIt`]; what each device said is logged.
    pub async fn taken(self) -> Result<(), AuditError> {
        match self {
            Self::Nobody => Ok(()),
            Self::One(sent) => sent.await.map_err(refused),
            Self::Any(mut all) => {
                while let Some(written) = all.next().await {
                    if written.map_err(refused).is_ok() {
                        return Ok(());
                    }
                }
                Err(AuditError::NoDeviceTookIt)
            }
        }
    }
}

fn refused(error: AuditError) -> AuditError {
    tracing::error!(%error, "an audit device refused a record");
    AuditError::NoDeviceTookIt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Queue;
    use crate::writer::Writer;
    use crate::{DeviceConfig, FileOptions, RequestPart};
    use secretum_crypto::Timestamp;
    use std::collections::BTreeMap;
    use std::io::{Read, Write};
    use std::path::Path;
    use std::time::Duration;

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

    fn subject() -> Subject<'static> {
        Subject {
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
        }
    }

    fn record() -> Record<'static> {
        Record {
            time: Timestamp::from_unix_seconds(0),
            response: None,
            decision: None,
            error: None,
        }
    }

    async fn write(broker: &Broker) -> Result<(), AuditError> {
        broker.entry(subject()).send(&record())?.taken().await
    }

    fn lines(path: &Path) -> usize {
        std::fs::read_to_string(path).unwrap().lines().count()
    }

    #[tokio::test]
    async fn a_request_goes_on_when_one_device_took_it_and_not_when_none_did() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let broker = Broker::default();
        assert!(write(&broker).await.is_ok());
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        broker.add(Device::with_queue("full/", on(full.unwrap())));
        assert!(write(&broker).await.is_err());
        broker.add(device("file/", &path).unwrap());
        assert!(write(&broker).await.is_ok());
        assert!(broker.remove("file/"));
        assert!(write(&broker).await.is_err());
        assert_eq!(lines(&path), 1);
    }

    fn on(file: std::fs::File) -> Queue {
        let options = FileOptions::read(&options(Path::new("/x")), None).unwrap();
        Queue::start("odd/", Writer::on(options, file)).unwrap()
    }

    #[tokio::test]
    async fn a_device_that_hangs_refuses_at_once_until_it_answers_again() {
        let (mut reader, mut pipe) = std::io::pipe().unwrap();
        pipe.write_all(&[b'x'; 1 << 16]).unwrap();
        let broker = Broker::default();
        let pipe = std::fs::File::from(std::os::fd::OwnedFd::from(pipe));
        broker.add(Device::with_queue("pipe/", on(pipe)));
        // The clock jumps to the end of the patience.
        tokio::time::pause();
        assert!(write(&broker).await.is_err());
        let hanging = broker.device("pipe/").unwrap();
        assert!(matches!(
            hanging.send(b"x").err(),
            Some(AuditError::TimedOut { .. })
        ));
        tokio::time::resume();
        reader.read_exact(&mut [0; 1 << 16]).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while write(&broker).await.is_err() {
            assert!(std::time::Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn many_at_once_are_all_written_to_every_device_in_one_chain() {
        const REQUESTS: usize = 500;
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().join("a.log"), folder.path().join("b.log")];
        let broker = Arc::new(Broker::default());
        broker.add(device("a/", &paths[0]).unwrap());
        broker.add(device("b/", &paths[1]).unwrap());
        let requests: Vec<_> = (0..REQUESTS)
            .map(|_| {
                let broker = Arc::clone(&broker);
                tokio::spawn(async move { write(&broker).await })
            })
            .collect();
        for request in futures::future::join_all(requests).await {
            request.unwrap().unwrap();
        }
        // A device writes what it has before it ends.
        broker.retain(|_| false);
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        for path in &paths {
            while lines(path) < REQUESTS && std::time::Instant::now() < deadline {
                tokio::task::yield_now().await;
            }
            let text = std::fs::read_to_string(path).unwrap();
            for (number, line) in text.lines().enumerate() {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(value["sequence"], number);
            }
            assert_eq!(text.lines().count(), REQUESTS);
        }
    }

    #[tokio::test]
    async fn two_devices_for_one_file_are_noticed_by_any_name_of_it() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("link")).unwrap();
        let broker = Broker::default();
        broker.add(device("a/", &folder.path().join("x")).unwrap());
        for (name, file, shared) in [
            ("b/", "x", Some("a/".to_owned())),
            ("b/", "link/x", Some("a/".to_owned())),
            ("b/", "y", None),
            ("a/", "x", None),
        ] {
            let device = device(name, &folder.path().join(file)).unwrap();
            assert_eq!(broker.shares_file(&device), shared, "{name} {file}");
        }
    }

    #[tokio::test]
    async fn an_answer_goes_to_the_devices_of_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().join("a.log"), folder.path().join("b.log")];
        let broker = Broker::default();
        broker.add(device("a/", &paths[0]).unwrap());
        let mut entry = broker.entry(subject());
        entry.send(&record()).unwrap().taken().await.unwrap();
        broker.add(device("b/", &paths[1]).unwrap());
        broker.remove("a/");
        entry.send(&record()).unwrap().taken().await.unwrap();
        assert_eq!((lines(&paths[0]), lines(&paths[1])), (1, 1));
        broker.remove("b/");
        entry.send(&record()).unwrap().taken().await.unwrap();
    }
}
