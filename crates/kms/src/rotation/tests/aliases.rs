//! A key that is asked for by an alias.

use super::*;
use crate::{Health, KeyInfo, KeyPage, SecretBytes, Traits, Wrapped};

const KEYS: &str = "one:1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n\
                    two:1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDI=\n";

/// Keys, of which one has the alias `alias/k` besides. What is encrypted by an alias names the key.
#[derive(Debug)]
struct Aliased {
    keys: EnvKeyProvider,
    stands_for: Mutex<KeyId>,
}

impl Aliased {
    fn key(&self, named: &KeyId) -> KeyId {
        match named.as_str() {
            "alias/k" => self.stands_for.lock().clone(),
            _ => named.clone(),
        }
    }
}

#[async_trait]
impl Provider for Aliased {
    fn traits(&self) -> Traits {
        self.keys.traits()
    }

    async fn wrap(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> crate::Result<Wrapped> {
        self.keys.wrap(&self.key(key), plaintext, context).await
    }

    async fn unwrap(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> crate::Result<SecretBytes> {
        self.keys.unwrap(wrapped, context).await
    }

    async fn rotate(&self, key: &KeyId) -> crate::Result<KeyInfo> {
        self.keys.rotate(&self.key(key)).await
    }

    async fn describe(&self, key: &KeyId) -> crate::Result<KeyInfo> {
        self.keys.describe(&self.key(key)).await
    }

    async fn list(&self, after: Option<&KeyId>, limit: usize) -> crate::Result<KeyPage> {
        self.keys.list(after, limit).await
    }

    async fn health(&self) -> crate::Result<Health> {
        self.keys.health().await
    }
}

/// Data keys that were wrapped by the alias.
async fn scene() -> (TempDir, Arc<Aliased>, Arc<Store>) {
    let (folder, path) = key_file(KEYS);
    let provider = Arc::new(Aliased {
        keys: EnvKeyProvider::from_file(&path, Arc::new(SystemRng)).unwrap(),
        stands_for: Mutex::new(id("one")),
    });
    let store = Store::of(&provider, &id("alias/k")).await;
    (folder, provider, store)
}

fn keys_and_versions(store: &Store) -> Vec<(String, String)> {
    let rows = store.rows.lock();
    let shown = |wrapped: &Ciphertext| {
        (
            wrapped.key().to_string(),
            wrapped.key_version().as_str().to_owned(),
        )
    };
    rows.values().map(|(wrapped, _)| shown(wrapped)).collect()
}

#[tokio::test]
async fn a_rotation_by_an_alias_wraps_every_data_key_anew() {
    let (_folder, provider, store) = scene().await;
    let alias = id("alias/k");
    let done = manager(&provider, &store).rotate(&alias, &|_| ()).await;
    let done = done.unwrap();
    assert_eq!((done.rewrapped, done.untouched, done.failed), (3, 0, 0));
    let wanted = ("one".to_owned(), "2".to_owned());
    assert_eq!(keys_and_versions(&store), vec![wanted; 3]);
    provider.keys.rotate(&id("one")).await.unwrap();
    let done = manager(&provider, &store).rewrap(&alias, &|_| ()).await;
    assert_eq!(done.unwrap().rewrapped, 3);
}

#[tokio::test]
async fn a_rotation_that_stopped_goes_on_with_the_key_that_the_alias_stood_for() {
    let (_folder, provider, store) = scene().await;
    let alias = id("alias/k");
    // Behind the first data key.
    store.fuse.set(6, false);
    let stopped = manager(&provider, &store).rotate(&alias, &|_| ()).await;
    assert!(stopped.is_err());
    store.fuse.off();
    assert_eq!(store.versions(), ["2", "1", "1"]);
    *provider.stands_for.lock() = id("two");
    let done = manager(&provider, &store).rotate(&alias, &|_| ()).await;
    assert_eq!(done.unwrap().failed, 0);
    let wanted = ("one".to_owned(), "2".to_owned());
    assert_eq!(keys_and_versions(&store), vec![wanted; 3]);
    let two = provider.keys.describe(&id("two")).await.unwrap();
    assert_eq!(two.version.as_str(), "1");
}
