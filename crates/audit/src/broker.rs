//! [`Broker`]: hands every record to every device.

use crate::device::Sent;
use crate::{AuditError, Device, DeviceOptions, Record, Subject};
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
    /// Adds a device, in the place of one with the same path, which is closed.
    pub fn add(&self, device: Device) {
        let device = Arc::new(device);
        self.change(|own| own.path() != device.path(), Some(&device));
    }

    /// Removes a device and closes it; whether it was there. Nothing is sent to it any more.
    pub fn remove(&self, path: &str) -> bool {
        self.change(|own| own.path() != path, None)
    }

    /// Removes and closes the devices that are not wanted.
    pub fn retain(&self, wanted: impl Fn(&Device) -> bool) {
        self.change(wanted, None);
    }

    /// Keeps devices as said, closes the others, adds one; whether there were others.
    fn change(&self, keeps: impl Fn(&Device) -> bool, added: Option<&Arc<Device>>) -> bool {
        let mut devices = self.devices.write();
        let (mut kept, gone): (Vec<_>, Vec<_>) =
            devices.iter().cloned().partition(|own| keeps(own));
        kept.extend(added.cloned());
        *devices = Arc::new(kept);
        gone.iter().for_each(|device| device.close());
        !gone.is_empty()
    }

    /// Closes every device, and waits until each has written what it accepted, or hangs.
    pub async fn close(&self) {
        let devices = self.devices();
        devices.iter().for_each(|device| device.close());
        let ended = devices.iter().map(|device| async move {
            if !device.ended().await {
                let device = device.path();
                tracing::error!(device, "an audit device did not end in time");
            }
        });
        futures::future::join_all(ended).await;
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

    /// The path of another device than `path` that writes where these options say, and cannot share
    /// that.
    pub fn other_than(&self, path: &str, options: &DeviceOptions) -> Option<String> {
        let devices = self.devices.read();
        let other = devices
            .iter()
            .find(|own| own.path() != path && own.excludes(options));
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
        // INVARIANT: held until every device has the record. Who removes a device waits for that, so a
        // device gets nothing after its removal, and no record is lost to one that was closed.
        let devices = self.broker.devices.read();
        if !Arc::ptr_eq(&devices, &self.devices) {
            self.rendered = render(&self.subject, &devices);
            self.devices = Arc::clone(&devices);
        }
        let lines = devices.iter().zip(&self.rendered);
        let mut sent = lines.map(|(device, subject)| {
            let line = record.render(subject, device.form());
            device.send(&line).map_err(refused)
        });
        match devices.len() {
            0 => Ok(Pending::Nobody),
            1 => sent
                .next()
                .unwrap_or(Err(AuditError::NoDeviceTookIt))
                .map(Pending::One),
            // Every device has the record before any is waited for.
            _ => Ok(Pending::Any(sent.filter_map(Result::ok).collect())),
        }
    }
}

fn render(subject: &Subject<'_>, devices: &[Arc<Device>]) -> Vec<Vec<u8>> {
    let rendered = devices.iter().map(|device| subject.render(device.form()));
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
    use crate::sink::stdout::Stdout;
    use crate::{DeviceConfig, RequestPart};
    use secretum_crypto::Timestamp;
    use std::collections::BTreeMap;
    use std::io::{Read, Write};
    use std::path::Path;
    use std::time::Duration;

    fn options(path: &Path) -> Result<DeviceOptions, AuditError> {
        let options = BTreeMap::from([("file_path".to_owned(), path.display().to_string())]);
        DeviceOptions::read("file", &options, None)
    }

    async fn device(name: &str, path: &Path) -> Result<Device, AuditError> {
        let config = DeviceConfig {
            path: name,
            hmac_key: b"key",
            options: options(path)?,
            clock: std::sync::Arc::new(secretum_crypto::SystemClock),
        };
        Device::open(config).await
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
                headers: &[],
                wrap_ttl_seconds: 0,
            },
        }
    }

    fn record() -> Record<'static> {
        Record {
            time: Timestamp::from_unix_seconds(0),
            response: None,
            decision: None,
            cedar_decision: None,
            error: None,
        }
    }

    async fn write(broker: &Broker) -> Result<(), AuditError> {
        broker.entry(subject()).send(&record())?.taken().await
    }

    fn lines(path: &Path) -> usize {
        let text = std::fs::read_to_string(path).unwrap();
        let is_record = |line: &&str| !line.contains("\"type\":\"head\"");
        text.lines().filter(is_record).count()
    }

    #[tokio::test]
    async fn a_request_goes_on_when_one_device_took_it_and_not_when_none_did() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let broker = Broker::default();
        assert!(write(&broker).await.is_ok());
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        broker.add(Device::on_sink("full/", Stdout::on(full.unwrap())));
        assert!(write(&broker).await.is_err());
        broker.add(device("file/", &path).await.unwrap());
        assert!(write(&broker).await.is_ok());
        assert!(broker.remove("file/"));
        assert!(write(&broker).await.is_err());
        assert_eq!(lines(&path), 1);
    }

    #[tokio::test]
    async fn a_device_that_hangs_refuses_at_once_until_it_answers_again() {
        let (mut reader, mut pipe) = std::io::pipe().unwrap();
        pipe.write_all(&[b'x'; 1 << 16]).unwrap();
        let broker = Broker::default();
        let pipe = std::fs::File::from(std::os::fd::OwnedFd::from(pipe));
        broker.add(Device::on_sink("pipe/", Stdout::on(pipe)));
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
        broker.add(device("a/", &paths[0]).await.unwrap());
        broker.add(device("b/", &paths[1]).await.unwrap());
        let requests: Vec<_> = (0..REQUESTS)
            .map(|_| {
                let broker = Arc::clone(&broker);
                tokio::spawn(async move { write(&broker).await })
            })
            .collect();
        for request in futures::future::join_all(requests).await {
            request.unwrap().unwrap();
        }
        broker.close().await;
        for path in &paths {
            let text = std::fs::read_to_string(path).unwrap();
            for (number, line) in text.lines().enumerate() {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(value["sequence"], number);
            }
            assert_eq!(lines(path), REQUESTS);
        }
    }

    #[tokio::test]
    async fn two_devices_for_one_file_are_noticed_by_any_name_of_it() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("link")).unwrap();
        let broker = Broker::default();
        broker.add(device("a/", &folder.path().join("x")).await.unwrap());
        for (name, file, shared) in [
            ("b/", "x", Some("a/".to_owned())),
            ("b/", "link/x", Some("a/".to_owned())),
            ("b/", "y", None),
            ("a/", "x", None),
        ] {
            let options = options(&folder.path().join(file)).unwrap();
            assert_eq!(
                broker.other_than(name, &options),
                shared,
                "{name} {options:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_file_is_free_when_its_last_writer_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let broker = Broker::default();
        broker.add(device("a/", &path).await.unwrap());
        let mut entry = broker.entry(subject());
        let sent: Vec<_> = (0..100).map(|_| entry.send(&record()).unwrap()).collect();
        // A request that is under way still knows the device. It wrote nothing of it yet.
        let removed = broker.device("a/").unwrap();
        broker.remove("a/");
        broker.add(device("b/", &path).await.unwrap());
        for sent in sent {
            sent.taken().await.unwrap();
        }
        entry.send(&record()).unwrap().taken().await.unwrap();
        assert!(matches!(removed.send(b"x"), Err(AuditError::Busy { .. })));
        broker.close().await;
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["sequence"], number);
        }
        assert_eq!(lines(&path), 101);
    }

    #[tokio::test]
    async fn a_file_that_another_writes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let _first = device("a/", &path).await.unwrap();
        tokio::time::pause();
        let second = device("b/", &path).await;
        assert!(
            matches!(second, Err(AuditError::InUse { .. })),
            "{second:?}"
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_record_is_lost_to_a_device_that_is_removed_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let broker = Arc::new(Broker::default());
        broker.add(device("a/", &folder.path().join("0")).await.unwrap());
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let broker = Arc::clone(&broker);
                tokio::spawn(async move {
                    for _ in 0..500 {
                        write(&broker).await.unwrap();
                    }
                })
            })
            .collect();
        let mut rounds = 0;
        while writers.iter().any(|writer| !writer.is_finished()) {
            rounds += 1;
            let path = folder.path().join(rounds.to_string());
            let names = ["b/", "a/"];
            broker.add(device(names[rounds % 2], &path).await.unwrap());
            broker.remove(names[(rounds + 1) % 2]);
        }
        for writer in writers {
            writer.await.unwrap();
        }
        broker.close().await;
        // While there are two, both get it.
        let files = std::fs::read_dir(folder.path()).unwrap();
        let written: usize = files.map(|file| lines(&file.unwrap().path())).sum();
        assert!(
            written >= 2_000 && rounds > 1,
            "{written} in {rounds} rounds"
        );
    }

    #[tokio::test]
    async fn an_answer_goes_to_the_devices_of_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().join("a.log"), folder.path().join("b.log")];
        let broker = Broker::default();
        broker.add(device("a/", &paths[0]).await.unwrap());
        let mut entry = broker.entry(subject());
        entry.send(&record()).unwrap().taken().await.unwrap();
        broker.add(device("b/", &paths[1]).await.unwrap());
        broker.remove("a/");
        entry.send(&record()).unwrap().taken().await.unwrap();
        assert_eq!((lines(&paths[0]), lines(&paths[1])), (1, 1));
        broker.remove("b/");
        entry.send(&record()).unwrap().taken().await.unwrap();
    }
}
