//! A service that encrypts under the old version for a while behind a rotation, as Cloud KMS may.

use super::*;
use crate::{Health, KeyInfo, KeyPage, SecretBytes, Traits, Wrapped};
use secretum_crypto::SecretString;
use std::sync::atomic::{AtomicU32, Ordering};

const KEY: &str = "k:1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";

/// The key as it is, and as those see it who have not heard of its rotation.
#[derive(Debug)]
struct Late {
    now: EnvKeyProvider,
    before: EnvKeyProvider,
    /// So many encryptions still go to those.
    late: AtomicU32,
}

#[async_trait]
impl Provider for Late {
    fn traits(&self) -> Traits {
        self.now.traits()
    }

    async fn wrap(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> crate::Result<Wrapped> {
        let one_less = |late: u32| late.checked_sub(1);
        let (set, got) = (Ordering::SeqCst, Ordering::SeqCst);
        match self.late.fetch_update(set, got, one_less) {
            Ok(_) => self.before.wrap(key, plaintext, context).await,
            Err(_) => self.now.wrap(key, plaintext, context).await,
        }
    }

    async fn unwrap(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> crate::Result<SecretBytes> {
        self.now.unwrap(wrapped, context).await
    }

    async fn rotate(&self, key: &KeyId) -> crate::Result<KeyInfo> {
        self.now.rotate(key).await
    }

    async fn describe(&self, key: &KeyId) -> crate::Result<KeyInfo> {
        self.now.describe(key).await
    }

    async fn list(&self, after: Option<&KeyId>, limit: usize) -> crate::Result<KeyPage> {
        self.now.list(after, limit).await
    }

    async fn health(&self) -> crate::Result<Health> {
        self.now.health().await
    }
}

/// Data keys that were all wrapped while nothing was late.
async fn scene() -> (TempDir, Arc<Late>, Arc<Store>) {
    let (folder, path) = key_file(KEY);
    let text = SecretString::new(KEY.to_owned());
    let provider = Arc::new(Late {
        now: EnvKeyProvider::from_file(&path, Arc::new(SystemRng)).unwrap(),
        before: EnvKeyProvider::from_text(&text, Arc::new(SystemRng)).unwrap(),
        late: AtomicU32::new(0),
    });
    let store = Store::of(&provider, &id("k")).await;
    (folder, provider, store)
}

#[tokio::test]
async fn what_is_wrapped_under_the_old_version_again_is_left_and_visited_once_more() {
    let (_folder, provider, store) = scene().await;
    provider.late.store(2, Ordering::SeqCst);
    let before = store.rows.lock()["0"].0.clone();
    let stopped = manager(&provider, &store).rotate(&id("k"), &|_| ()).await;
    let Err(RotationError::NewVersionPending { version, left, .. }) = stopped else {
        panic!("it ended with {stopped:?}");
    };
    assert_eq!((version.as_str(), left), ("2", 2));
    assert_eq!(store.versions(), ["1", "1", "2"]);
    assert_eq!(store.rows.lock()["0"].0, before);
    // It goes on, without a second rotation.
    let done = manager(&provider, &store).rotate(&id("k"), &|_| ()).await;
    let done = done.unwrap();
    assert_eq!((done.version.as_str(), done.rewrapped), ("2", 3));
    assert_eq!(store.versions(), vec!["2"; 3]);
}

/// By one encryption each time: not by all data keys, which may be many, for hours.
#[tokio::test]
async fn a_service_that_is_late_is_asked_once_until_it_is_not() {
    let (_folder, provider, store) = scene().await;
    provider.late.store(5, Ordering::SeqCst);
    for late in [2, 1, 0] {
        let stopped = manager(&provider, &store).rotate(&id("k"), &|_| ()).await;
        let Err(RotationError::NewVersionPending { left, .. }) = stopped else {
            panic!("it ended with {stopped:?}");
        };
        assert_eq!((left, provider.late.load(Ordering::SeqCst)), (3, late));
        assert_eq!(store.versions(), vec!["1"; 3]);
    }
    let done = manager(&provider, &store).rotate(&id("k"), &|_| ()).await;
    assert_eq!(done.unwrap().rewrapped, 3);
    assert_eq!(store.versions(), vec!["2"; 3]);
}

#[tokio::test]
async fn a_rotation_by_somebody_else_meanwhile_holds_up_nothing() {
    let (_folder, provider, store) = scene().await;
    // Behind the first data key.
    store.fuse.set(6, false);
    let stopped = manager(&provider, &store).rotate(&id("k"), &|_| ()).await;
    assert!(stopped.is_err());
    store.fuse.off();
    provider.rotate(&id("k")).await.unwrap();
    let done = manager(&provider, &store).rotate(&id("k"), &|_| ()).await;
    assert_eq!(done.unwrap().failed, 0);
    assert_eq!(store.versions(), ["2", "3", "3"]);
}
