//! [`CachedKms`]: data keys that were opened, for a while.

use crate::flights::Flights;
use crate::{
    Capabilities, Ciphertext, DataEncryptionKey, DataKeySpec, EncryptionContext, Health, KeyId,
    KeyInfo, KeyManagementService, KeyPage, Result,
};
use async_trait::async_trait;
use futures::FutureExt;
use lru::LruCache;
use parking_lot::Mutex;
use secretum_crypto::{SecretBytes, Sha256};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How many expired entries are removed before others get at the cache.
const EXPIRED_AT_ONCE: usize = 256;

/// What is asked for: a whole SHA-256.
type FlightKey = [u8; 32];

/// How much is kept, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsCacheConfig {
    /// The most data keys that are kept; the one that was not used for longest makes room. At least
    /// 1. Default: 1,000.
    pub entries_max: usize,
    /// How long one is kept. A key that is disabled goes on opening for so long. Default: 300 s.
    pub ttl: Duration,
    /// How often a data key that was made is given out, for the same key, kind and context. Above 1
    /// several messages share a data key; each has its own nonce or salt. Default: 1.
    pub generated_uses_max: u32,
}

impl Default for KmsCacheConfig {
    fn default() -> Self {
        Self {
            entries_max: 1000,
            ttl: Duration::from_secs(300),
            generated_uses_max: 1,
        }
    }
}

/// What the cache did since the start, and holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Calls that it answered.
    pub hits: u64,
    /// Calls that went through.
    pub misses: u64,
    /// Calls that waited for one that had gone through already.
    pub joined: u64,
    /// Data keys that made room for others.
    pub evictions: u64,
    /// Data keys whose time was over.
    pub expirations: u64,
    /// Data keys that are kept now.
    pub entries: usize,
}

/// Keeps data keys that were opened or made, zeroed when they go.
///
/// A thousand callers who want the same one at once cause one call. Only data keys are kept, never a
/// decrypted message.
#[derive(Debug)]
pub struct CachedKms {
    inner: Arc<dyn KeyManagementService>,
    shelf: Arc<Shelf>,
    opening: Flights<FlightKey, Arc<SecretBytes>>,
    making: Flights<FlightKey, Arc<DataEncryptionKey>>,
}

/// What is kept, shared with the calls under way.
#[derive(Debug)]
struct Shelf {
    config: KmsCacheConfig,
    store: Mutex<Store>,
}

#[derive(Debug)]
struct Store {
    entries: LruCache<FlightKey, Entry>,
    /// When each of them expires.
    times: BTreeSet<(Instant, FlightKey)>,
    stats: CacheStats,
    /// Whether a task waits to remove what expires.
    swept: bool,
}

#[derive(Debug)]
struct Entry {
    expires: Instant,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Opened(Arc<SecretBytes>),
    Made {
        data_key: Arc<DataEncryptionKey>,
        uses: u32,
    },
}

impl Store {
    /// Removes what expired, but no more than [`EXPIRED_AT_ONCE`]; gives when the next one does, or did.
    fn expire(&mut self, now: Instant) -> Option<Instant> {
        for _ in 0..EXPIRED_AT_ONCE {
            let (expires, key) = *self.times.first()?;
            if expires > now {
                break;
            }
            self.remove(&key);
            self.stats.expirations += 1;
        }
        self.times.first().map(|(expires, _)| *expires)
    }

    /// Keeps it in the place of what is there by that key; the one that was not used for longest makes room.
    fn put(&mut self, key: FlightKey, entry: Entry) {
        self.times.insert((entry.expires, key));
        if let Some((gone, old)) = self.entries.push(key, entry) {
            // The same moment in the place of itself.
            let is_same = gone == key
                && self
                    .entries
                    .peek(&key)
                    .is_some_and(|new| new.expires == old.expires);
            if !is_same {
                self.times.remove(&(old.expires, gone));
            }
            self.stats.evictions += u64::from(gone != key);
        }
    }

    fn remove(&mut self, key: &FlightKey) {
        if let Some(entry) = self.entries.pop(key) {
            self.times.remove(&(entry.expires, *key));
        }
    }

    fn opened(&mut self, key: &FlightKey, now: Instant) -> Option<Arc<SecretBytes>> {
        let entry = self.entries.get(key).filter(|entry| entry.expires > now);
        match entry.map(|entry| &entry.kept) {
            Some(Kept::Opened(plaintext)) => {
                self.stats.hits += 1;
                Some(Arc::clone(plaintext))
            }
            _ => None,
        }
    }

    /// A data key that may be given out once more.
    fn made(
        &mut self,
        key: &FlightKey,
        uses_max: u32,
        now: Instant,
    ) -> Option<Arc<DataEncryptionKey>> {
        let entry = self.entries.get_mut(key);
        match entry.filter(|entry| entry.expires > now)?.kept {
            Kept::Made {
                ref data_key,
                ref mut uses,
                ..
            } if *uses < uses_max => {
                *uses += 1;
                self.stats.hits += 1;
                Some(Arc::clone(data_key))
            }
            _ => None,
        }
    }
}

impl CachedKms {
    /// Data keys of this service are kept.
    pub fn new(inner: Arc<dyn KeyManagementService>, config: KmsCacheConfig) -> Self {
        let entries_max = NonZeroUsize::new(config.entries_max).unwrap_or(NonZeroUsize::MIN);
        let store = Store {
            entries: LruCache::new(entries_max),
            times: BTreeSet::new(),
            stats: CacheStats::default(),
            swept: false,
        };
        Self {
            inner,
            shelf: Arc::new(Shelf {
                config,
                store: Mutex::new(store),
            }),
            opening: Flights::new(),
            making: Flights::new(),
        }
    }

    /// What it did, and holds.
    pub fn stats(&self) -> CacheStats {
        let store = self.shelf.store.lock();
        CacheStats {
            entries: store.entries.len(),
            ..store.stats
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut store = self.shelf.store.lock();
        store.entries.clear();
        store.times.clear();
    }

    /// What is kept, without keeping it any longer.
    #[cfg(all(test, feature = "local"))]
    pub(super) fn kept(&self) -> Vec<Weak<dyn std::any::Any>> {
        let store = self.shelf.store.lock();
        let kept = store.entries.iter().map(|(_, entry)| &entry.kept);
        kept.map(|kept| match kept {
            Kept::Opened(plaintext) => Arc::downgrade(plaintext) as _,
            Kept::Made { data_key, .. } => Arc::downgrade(data_key) as _,
        })
        .collect()
    }

    async fn open(
        &self,
        wrapped: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<Arc<SecretBytes>> {
        let id = opened_id(wrapped, context);
        if let Some(kept) = self.shelf.opened(&id) {
            return Ok(kept);
        }
        let call = || {
            let (inner, shelf) = (Arc::clone(&self.inner), Arc::clone(&self.shelf));
            let (wrapped, context) = (wrapped.clone(), context.clone());
            let opened = async move {
                // Another call may have ended since the caller looked.
                if let Some(kept) = shelf.opened(&id) {
                    return Ok(kept);
                }
                shelf.store.lock().stats.misses += 1;
                let plaintext = Arc::new(inner.decrypt_data_key(&wrapped, &context).await?);
                shelf.keep(id, Kept::Opened(Arc::clone(&plaintext)));
                Ok(plaintext)
            };
            opened.boxed()
        };
        let (outcome, joined) = self.opening.run(id, call).await;
        self.shelf.store.lock().stats.joined += u64::from(joined);
        outcome
    }

    async fn make(
        &self,
        key: &KeyId,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<DataEncryptionKey> {
        let id = made_id(key, spec, context);
        loop {
            if let Some(kept) = self.shelf.made(&id) {
                return Ok(copy(&kept));
            }
            let call = || {
                let (inner, shelf) = (Arc::clone(&self.inner), Arc::clone(&self.shelf));
                let (key, context) = (key.clone(), context.clone());
                let made = async move {
                    if let Some(kept) = shelf.made(&id) {
                        return Ok(kept);
                    }
                    shelf.store.lock().stats.misses += 1;
                    let made = inner.generate_data_key(&key, spec, &context).await?;
                    let data_key = Arc::new(made);
                    let kept = Kept::Made {
                        data_key: Arc::clone(&data_key),
                        uses: 1,
                    };
                    shelf.keep(id, kept);
                    Ok(data_key)
                };
                made.boxed()
            };
            let (outcome, joined) = self.making.run(id, call).await;
            let data_key = outcome?;
            if !joined {
                return Ok(copy(&data_key));
            }
            // Uses are counted: who joined takes one from what is kept, like everybody.
            self.shelf.store.lock().stats.joined += 1;
        }
    }
}

impl Shelf {
    /// What was opened, unless its time is over.
    fn opened(&self, id: &FlightKey) -> Option<Arc<SecretBytes>> {
        self.store.lock().opened(id, Instant::now())
    }

    /// What was made, where it may be given out once more.
    fn made(&self, id: &FlightKey) -> Option<Arc<DataEncryptionKey>> {
        let uses_max = self.config.generated_uses_max;
        self.store.lock().made(id, uses_max, Instant::now())
    }

    fn keep(self: &Arc<Self>, id: FlightKey, kept: Kept) {
        let expires = Instant::now() + self.config.ttl;
        let mut store = self.store.lock();
        store.put(id, Entry { expires, kept });
        if !store.swept {
            store.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self), expires));
        }
    }

    /// Forgets what was made to be given out. A key may have several names, by which it is asked for here and
    /// rotated there; so that of all keys goes.
    fn forget_made(&self) {
        let mut store = self.store.lock();
        let is_made = |entry: &Entry| matches!(&entry.kept, Kept::Made { .. });
        let made: Vec<FlightKey> = store
            .entries
            .iter()
            .filter(|(_, entry)| is_made(entry))
            .map(|(key, _)| *key)
            .collect();
        for key in made {
            store.remove(&key);
        }
    }
}

/// Removes what expires, until there is nothing left or the cache is gone: a plaintext is not kept
/// beyond its time because nobody calls.
async fn sweep(shelf: Weak<Shelf>, mut next: Instant) {
    loop {
        sleep_until(next).await;
        let Some(shelf) = shelf.upgrade() else {
            return;
        };
        let mut store = shelf.store.lock();
        match store.expire(Instant::now()) {
            Some(later) => next = later,
            None => {
                store.swept = false;
                return;
            }
        }
    }
}

fn copy(data_key: &DataEncryptionKey) -> DataEncryptionKey {
    DataEncryptionKey {
        plaintext: data_key.plaintext.duplicate(),
        wrapped: data_key.wrapped.clone(),
    }
}

/// A whole SHA-256 over parts, each behind its length.
fn id(parts: &[&[u8]]) -> FlightKey {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(&part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finish()
}

fn opened_id(wrapped: &Ciphertext, context: &EncryptionContext) -> FlightKey {
    id(&[b"opened", &wrapped.to_bytes(), &context.canonical_bytes()])
}

fn made_id(key: &KeyId, spec: DataKeySpec, context: &EncryptionContext) -> FlightKey {
    let spec = spec.len().to_be_bytes();
    let context = context.canonical_bytes();
    id(&[b"made", key.as_str().as_bytes(), &spec, &context])
}

#[async_trait]
impl KeyManagementService for CachedKms {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn encrypt(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        self.inner.encrypt(key, plaintext, context).await
    }

    async fn decrypt(
        &self,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        self.inner.decrypt(ciphertext, context).await
    }

    async fn generate_data_key(
        &self,
        key: &KeyId,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<DataEncryptionKey> {
        let made = if self.shelf.config.generated_uses_max > 1 {
            self.make(key, spec, context).await?
        } else {
            self.inner.generate_data_key(key, spec, context).await?
        };
        // Who made it will open it soon.
        let opened = Kept::Opened(Arc::new(made.plaintext.duplicate()));
        self.shelf.keep(opened_id(&made.wrapped, context), opened);
        Ok(made)
    }

    async fn generate_data_key_without_plaintext(
        &self,
        key: &KeyId,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        self.inner
            .generate_data_key_without_plaintext(key, spec, context)
            .await
    }

    async fn decrypt_data_key(
        &self,
        wrapped: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        let opened = self.open(wrapped, context).await?;
        Ok(opened.duplicate())
    }

    async fn re_encrypt(
        &self,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
        new_key: &KeyId,
        new_context: &EncryptionContext,
    ) -> Result<Ciphertext> {
        self.inner
            .re_encrypt(ciphertext, context, new_key, new_context)
            .await
    }

    async fn rotate_key(&self, key: &KeyId) -> Result<KeyInfo> {
        let rotated = self.inner.rotate_key(key).await?;
        // From now on data keys are wrapped under the new version.
        self.shelf.forget_made();
        Ok(rotated)
    }

    async fn key_info(&self, key: &KeyId) -> Result<KeyInfo> {
        self.inner.key_info(key).await
    }

    async fn list_keys(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        self.inner.list_keys(after, limit).await
    }

    async fn health_check(&self) -> Result<Health> {
        self.inner.health_check().await
    }
}
