use super::*;
use crate::test_keys::{context, id};
use crate::{
    Call, Ciphertext, DataKeySpec, EncryptionContext, EnvKeyProvider, Provider, ProviderKms,
    Wrapper,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use secretum_crypto::{SystemRng, TestClock};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

mod aliases;
mod late;
mod lying;
mod moving;
mod taken_over;

/// Counts down to the call that fails: before it did anything, or after.
#[derive(Debug, Default)]
pub(crate) struct Fuse(Mutex<Option<(u32, bool)>>);

impl Fuse {
    fn set(&self, calls: u32, after: bool) {
        *self.0.lock() = Some((calls, after));
    }

    fn off(&self) {
        *self.0.lock() = None;
    }

    /// Whether this call fails, and whether it does its work before that.
    fn burn(&self) -> Option<bool> {
        let mut fuse = self.0.lock();
        let (calls, after) = fuse.as_mut()?;
        *calls = calls.checked_sub(1)?;
        (*calls == 0).then_some(*after)
    }
}

#[derive(Debug)]
struct Service {
    inner: ProviderKms,
    fuse: Arc<Fuse>,
}

impl Wrapper for Service {
    fn inner(&self) -> &dyn KeyManagementService {
        &self.inner
    }

    async fn around<'a, T, A>(&self, _: Call<'_>, attempt: A) -> crate::Result<T>
    where
        T: Send + 'a,
        A: Fn() -> futures::future::BoxFuture<'a, crate::Result<T>> + Send + Sync,
    {
        let failure = Err(KmsError::Unavailable {
            provider: "local",
            reason: "the wire was cut".to_owned(),
            source: None,
        });
        match self.fuse.burn() {
            None => attempt().await,
            Some(false) => failure,
            Some(true) => {
                attempt().await?;
                failure
            }
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    rows: Mutex<BTreeMap<String, (Ciphertext, EncryptionContext)>>,
    states: Mutex<BTreeMap<KeyId, String>>,
    fuse: Arc<Fuse>,
}

impl Store {
    /// Three data keys under the name `key`.
    pub(crate) async fn of<P: Provider + 'static>(provider: &Arc<P>, key: &KeyId) -> Arc<Self> {
        let store = Arc::new(Self::default());
        let kms = ProviderKms::new(Arc::clone(provider) as _);
        for number in 0..3 {
            let context = context(&format!("row={number}"));
            let spec = DataKeySpec::AES_256;
            let made = kms.generate_data_key(key, spec, &context).await;
            let entry = (made.unwrap().wrapped, context);
            store.rows.lock().insert(number.to_string(), entry);
        }
        store
    }

    pub(crate) fn versions(&self) -> Vec<String> {
        let rows = self.rows.lock();
        let version = |wrapped: &Ciphertext| wrapped.key_version().as_str().to_owned();
        rows.values().map(|(wrapped, _)| version(wrapped)).collect()
    }

    fn step<T>(&self, work: impl FnOnce() -> T) -> Result<T, StoreError> {
        let failure = Err(StoreError("the disk is gone".to_owned()));
        match self.fuse.burn() {
            None => Ok(work()),
            Some(false) => failure,
            Some(true) => {
                work();
                failure
            }
        }
    }
}

#[async_trait]
impl DataKeyStore for Store {
    async fn page(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredDataKey>, StoreError> {
        self.step(|| {
            let rows = self.rows.lock();
            let behind = rows
                .iter()
                .filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
            let stored = |(id, (wrapped, context)): (&String, &(Ciphertext, _))| StoredDataKey {
                id: id.clone(),
                wrapped: wrapped.clone(),
                context: EncryptionContext::clone(context),
            };
            behind.take(limit).map(stored).collect()
        })
    }

    async fn replace(
        &self,
        id: &str,
        old: &Ciphertext,
        new: &Ciphertext,
    ) -> Result<bool, StoreError> {
        self.step(|| match self.rows.lock().get_mut(id) {
            Some((wrapped, _)) if wrapped == old => {
                *wrapped = new.clone();
                true
            }
            _ => false,
        })
    }

    async fn load(&self, key: &KeyId) -> Result<Option<RotationState>, StoreError> {
        self.step(|| {
            let states = self.states.lock();
            states
                .get(key)
                .map(|text| serde_json::from_str(text).unwrap())
        })
    }

    async fn save(&self, key: &KeyId, state: &RotationState) -> Result<(), StoreError> {
        let text = serde_json::to_string(state).unwrap();
        self.step(|| drop(self.states.lock().insert(key.clone(), text)))
    }
}

/// Who rotates keys of a provider, two data keys at a time.
pub(crate) fn manager<P: Provider + 'static>(
    provider: &Arc<P>,
    store: &Arc<Store>,
) -> KeyRotationManager {
    let kms = ProviderKms::new(Arc::clone(provider) as _);
    let clock = Arc::new(TestClock::default());
    KeyRotationManager::new(Arc::new(kms), Arc::clone(store) as _, clock).with_batch(2)
}

/// A file with keys, in a folder that goes with it.
fn key_file(keys: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, keys).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, mode).unwrap();
    (folder, path)
}

/// A service with a key in a file, and a store with data keys of it.
struct Scene {
    _folder: TempDir,
    kms: ProviderKms,
    store: Arc<Store>,
    fuse: Arc<Fuse>,
    clock: Arc<TestClock>,
    plaintexts: BTreeMap<String, crate::SecretBytes>,
}

impl Scene {
    async fn new(data_keys: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let provider = EnvKeyProvider::create_file(&path, &id("k"), Arc::new(SystemRng));
        let fuse = Arc::new(Fuse::default());
        let mut scene = Self {
            _folder: folder,
            kms: ProviderKms::new(Arc::new(provider.unwrap())),
            store: Arc::new(Store {
                fuse: Arc::clone(&fuse),
                ..Store::default()
            }),
            fuse,
            clock: Arc::new(TestClock::default()),
            plaintexts: BTreeMap::new(),
        };
        for number in 0..data_keys {
            scene.add(&format!("row-{number:03}")).await;
        }
        scene
    }

    async fn add(&mut self, row: &str) {
        let context = context(&format!("row={row}"));
        let spec = DataKeySpec::AES_256;
        let made = self.kms.generate_data_key(&id("k"), spec, &context).await;
        let made = made.unwrap();
        self.plaintexts.insert(row.to_owned(), made.plaintext);
        let entry = (made.wrapped, context);
        self.store.rows.lock().insert(row.to_owned(), entry);
    }

    fn manager(&self) -> KeyRotationManager {
        let kms = Service {
            inner: self.kms.clone(),
            fuse: Arc::clone(&self.fuse),
        };
        let store = Arc::clone(&self.store) as _;
        KeyRotationManager::new(Arc::new(kms), store, Arc::clone(&self.clock) as _).with_batch(2)
    }

    /// Every data key opens to what it was; gives the versions they are under.
    async fn check(&self) -> Vec<String> {
        let rows = self.store.rows.lock().clone();
        let mut versions = Vec::new();
        for (row, plaintext) in &self.plaintexts {
            let (wrapped, context) = &rows[row];
            let opened = self.kms.decrypt_data_key(wrapped, context).await.unwrap();
            assert!(opened == *plaintext, "{row}");
            versions.push(wrapped.key_version().as_str().to_owned());
        }
        versions
    }

    async fn version(&self) -> String {
        let info = self.kms.key_info(&id("k")).await.unwrap();
        info.version.as_str().to_owned()
    }
}

#[tokio::test]
async fn every_data_key_is_wrapped_anew() {
    let scene = Scene::new(5).await;
    let told = Mutex::new(Vec::new());
    let progress = |progress: &RotationProgress| told.lock().push(progress.rewrapped);
    let result = scene.manager().rotate(&id("k"), &progress).await.unwrap();
    assert_eq!((result.from.as_str(), result.version.as_str()), ("1", "2"));
    assert_eq!((result.rewrapped, result.failed), (5, 0));
    assert_eq!(*told.lock(), [2, 4, 5]);
    assert_eq!(scene.check().await, vec!["2"; 5]);
    // Without a rotation there is nothing left to do.
    let again = scene.manager().rewrap(&id("k"), &|_| ()).await.unwrap();
    assert_eq!((again.rewrapped, again.untouched), (0, 5));
    assert_eq!(scene.version().await, "2");
    // What somebody else rotated is brought up.
    scene.kms.rotate_key(&id("k")).await.unwrap();
    let again = scene.manager().rewrap(&id("k"), &|_| ()).await.unwrap();
    assert_eq!((again.rewrapped, again.version.as_str()), (5, "3"));
}

#[tokio::test]
async fn stopped_anywhere_it_goes_on_and_loses_nothing() {
    let mut ended = 0;
    for stop in 1..200 {
        for after in [false, true] {
            let scene = Scene::new(5).await;
            scene.fuse.set(stop, after);
            let first = scene.manager().rotate(&id("k"), &|_| ()).await;
            scene.fuse.off();
            scene.check().await;
            if first.is_err() {
                let result = scene.manager().rotate(&id("k"), &|_| ()).await.unwrap();
                assert_eq!(result.failed, 0);
            } else {
                ended += 1;
            }
            // It was rotated once, whenever it was stopped; only where it stopped behind its very last
            // step was it asked for a second rotation.
            let version = scene.version().await;
            let states = scene.store.states.lock().clone();
            assert!(states[&id("k")].contains("\"under_way\":null"));
            assert_eq!(scene.check().await, vec![version.clone(); 5]);
            assert!(
                version == "2" || (version == "3" && after),
                "{stop}: {version}"
            );
        }
        if ended == 2 {
            assert!(stop > 30, "it ended after {stop} steps");
            return;
        }
        ended = 0;
    }
    panic!("it never ended");
}

#[tokio::test]
async fn one_that_does_not_open_is_told_and_left_alone() {
    let mut scene = Scene::new(4).await;
    let spoilt = {
        let mut rows = scene.store.rows.lock();
        let row = rows.get_mut("row-001").unwrap();
        row.1 = context("row=another");
        row.0.clone()
    };
    scene.plaintexts.remove("row-001");
    let result = scene.manager().rotate(&id("k"), &|_| ()).await.unwrap();
    assert_eq!((result.rewrapped, result.failed), (3, 1));
    assert_eq!(result.failures, ["row-001"]);
    assert_eq!(scene.store.rows.lock()["row-001"].0, spoilt);
    assert_eq!(scene.check().await, vec!["2"; 3]);
}

#[test]
fn a_report_names_a_bounded_number_of_failures() {
    let mut progress = RotationProgress::rotating(&crate::KeyInfo {
        key: id("k"),
        version: KeyVersion::from(1),
        enabled: true,
        rotated_at: None,
    });
    for number in 0..=FAILURES_TOLD_MAX {
        progress.count(&Rewrapped::Failed, &number.to_string());
    }
    assert_eq!(progress.failed, 101);
    assert_eq!(progress.failures.len(), FAILURES_TOLD_MAX);
}

#[tokio::test]
async fn what_was_replaced_meanwhile_is_not_overwritten() {
    /// Replaces a row while it is being wrapped anew.
    #[derive(Debug)]
    struct Busy(Arc<Store>, Ciphertext);

    #[async_trait]
    impl DataKeyStore for Busy {
        async fn page(
            &self,
            after: Option<&str>,
            limit: usize,
        ) -> Result<Vec<StoredDataKey>, StoreError> {
            let page = self.0.page(after, limit).await;
            if let Some(row) = self.0.rows.lock().get_mut("row-000") {
                row.0 = self.1.clone();
            }
            page
        }

        async fn replace(
            &self,
            id: &str,
            old: &Ciphertext,
            new: &Ciphertext,
        ) -> Result<bool, StoreError> {
            self.0.replace(id, old, new).await
        }

        async fn load(&self, key: &KeyId) -> Result<Option<RotationState>, StoreError> {
            self.0.load(key).await
        }

        async fn save(&self, key: &KeyId, state: &RotationState) -> Result<(), StoreError> {
            self.0.save(key, state).await
        }
    }
    let scene = Scene::new(1).await;
    let spec = DataKeySpec::AES_256;
    let theirs = scene
        .kms
        .generate_data_key(&id("k"), spec, &context("row=row-000"))
        .await
        .unwrap();
    let store = Arc::new(Busy(Arc::clone(&scene.store), theirs.wrapped.clone()));
    let clock = Arc::clone(&scene.clock) as _;
    let manager = KeyRotationManager::new(Arc::new(scene.kms.clone()), store, clock);
    let result = manager.rotate(&id("k"), &|_| ()).await.unwrap();
    assert_eq!((result.rewrapped, result.untouched), (0, 1));
    assert_eq!(scene.store.rows.lock()["row-000"].0, theirs.wrapped);
}

#[tokio::test]
async fn a_schedule_rotates_what_is_old_and_goes_on_with_what_stopped() {
    let scene = Scene::new(3).await;
    let manager = scene.manager();
    let (key, day) = (id("k"), Duration::from_secs(24 * 3600));
    let due = || async { manager.rotate_if_due(&key, day, &|_| ()).await };
    // Seen for the first time, it begins to age.
    assert_eq!(due().await.unwrap(), None);
    scene.clock.advance(day - Duration::from_secs(1));
    assert_eq!(due().await.unwrap(), None);
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(due().await.unwrap().unwrap().rewrapped, 3);
    assert_eq!(due().await.unwrap(), None);
    // One that stopped is due at once.
    scene.clock.advance(day);
    scene.fuse.set(12, false);
    assert!(due().await.is_err());
    scene.fuse.off();
    assert!(due().await.unwrap().is_some());
    assert_eq!(scene.version().await, "3");
}

#[tokio::test]
async fn a_rotation_is_one_where_a_rewrapping_stopped() {
    let scene = Scene::new(3).await;
    let manager = scene.manager();
    scene.kms.rotate_key(&id("k")).await.unwrap();
    scene.fuse.set(6, false);
    assert!(manager.rewrap(&id("k"), &|_| ()).await.is_err());
    scene.fuse.off();
    let result = manager.rotate(&id("k"), &|_| ()).await.unwrap();
    assert_eq!((&*result.from, &*result.version), ("2", "3"));
    assert_eq!(scene.check().await, ["3", "3", "3"]);
    // And goes on as what it was where it is asked for again.
    scene.kms.rotate_key(&id("k")).await.unwrap();
    scene.fuse.set(6, false);
    assert!(manager.rewrap(&id("k"), &|_| ()).await.is_err());
    scene.fuse.off();
    let result = manager.rewrap(&id("k"), &|_| ()).await.unwrap();
    assert_eq!((&*result.from, &*result.version), ("4", "4"));
    assert_eq!(scene.check().await, ["4", "4", "4"]);
    // Where the key has a newer version by then, all of them are wrapped under that.
    scene.kms.rotate_key(&id("k")).await.unwrap();
    scene.fuse.set(12, false);
    assert!(manager.rewrap(&id("k"), &|_| ()).await.is_err());
    scene.fuse.off();
    scene.kms.rotate_key(&id("k")).await.unwrap();
    manager.rewrap(&id("k"), &|_| ()).await.unwrap();
    assert_eq!(scene.check().await, ["6", "6", "6"]);
}

#[tokio::test]
async fn a_rewrapping_does_not_put_off_what_is_due() {
    let scene = Scene::new(1).await;
    let manager = scene.manager();
    let (key, day) = (id("k"), Duration::from_secs(24 * 3600));
    let due = || async { manager.rotate_if_due(&key, day, &|_| ()).await };
    assert_eq!(due().await.unwrap(), None);
    scene.clock.advance(day / 2);
    manager.rewrap(&key, &|_| ()).await.unwrap();
    scene.clock.advance(day / 2);
    assert!(due().await.unwrap().is_some());
    assert_eq!(scene.version().await, "2");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_runs_until_it_is_stopped() {
    let scene = Scene::new(1).await;
    let manager = scene.manager();
    let day = Duration::from_secs(24 * 3600);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let keys = [id("k")];
    let run = manager.run(&keys, day, async { drop(stopped.await) });
    let drive = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.clock.advance(day);
        // By then the key has its version for a while.
        while scene.check().await != ["2"] {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        stop.send(()).unwrap();
    };
    let both = futures::future::join(run, drive);
    let ran = tokio::time::timeout(Duration::from_secs(600), both).await;
    ran.unwrap().0.unwrap();
    assert_eq!(scene.version().await, "2");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_without_a_time_between_is_refused() {
    let scene = Scene::new(1).await;
    let manager = scene.manager();
    let keys = [id("k")];
    let run = manager.run(&keys, Duration::ZERO, std::future::pending());
    let ran = tokio::time::timeout(Duration::from_secs(1), run).await;
    assert!(matches!(ran, Ok(Err(RotationError::NoTimeBetween))));
    assert_eq!(scene.version().await, "1");
}
