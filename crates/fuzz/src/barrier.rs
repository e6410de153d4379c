//! What stands below the barrier, where somebody else may have written.

use futures::FutureExt;
use secretum_barrier::{Barrier, BarrierError, SealConfig};
use secretum_crypto::{Aead, Key256, SecretBytes, TestClock, TestRng};
use secretum_storage::memory::MemoryStorage;
use secretum_storage::{Batch, Key, PageOf, Storage};
use std::future::Future;
use std::sync::Arc;

const CONFIG: &str = "core/seal";
const ROOT: &str = "core/root";
const KEYRING: &str = "core/keyring";

/// Where a secret stands.
const SECRET: &str = "mount/uuid/data/a";

/// Nothing waits over a storage in memory.
fn now<T>(future: impl Future<Output = T>) -> T {
    let Some(done) = future.now_or_never() else {
        unreachable!("a storage in memory waited");
    };
    done
}

fn key(bytes: &[u8]) -> Option<Key> {
    Key::new(bytes).ok()
}

fn put(storage: &dyn Storage, name: &[u8], value: &[u8]) {
    if let Some(key) = key(name) {
        assert!(now(storage.commit(Batch::new().put(key, value.to_vec()))).is_ok());
    }
}

fn barrier(storage: &Arc<dyn Storage>) -> Barrier {
    let (clock, rng) = (TestClock::default(), TestRng::new(2));
    Barrier::new(Arc::clone(storage), Arc::new(clock), Arc::new(rng))
}

/// A vault with one share and one secret.
struct Vault {
    share: Vec<u8>,
    records: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Vault {
    fn make() -> Option<Self> {
        let storage: Arc<dyn Storage> = MemoryStorage::new();
        let barrier = barrier(&storage);
        let contents = |_: &[_]| Ok::<_, BarrierError>(Batch::new());
        let made = now(barrier.initialize(SealConfig::shamir(1, 1).ok()?, contents)).ok()?;
        let share = made.shares.first()?.expose().to_vec();
        now(barrier.unseal(SecretBytes::new(share.clone()))).ok()?;
        put(&barrier, SECRET.as_bytes(), b"value");
        let all = now(storage.page(&key(b"")?, None, 100, PageOf::Entries)).ok()?;
        let records = all.rows.into_iter();
        let records = records.filter_map(|row| {
            let value = row.entry?.value.to_vec();
            Some((row.key.as_bytes().to_vec(), value))
        });
        Some(Self {
            share,
            records: records.collect(),
        })
    }

    fn with<T>(look: impl FnOnce(&Self) -> T) -> T {
        thread_local! {
            static VAULT: Option<Vault> = Vault::make();
        }
        VAULT.with(|vault| match vault {
            Some(vault) => look(vault),
            None => unreachable!("a vault can be made"),
        })
    }

    /// Its storage, with this in the place of one record.
    fn storage(&self, name: &[u8], value: &[u8]) -> Arc<dyn Storage> {
        let storage: Arc<dyn Storage> = MemoryStorage::new();
        for (name, value) in &self.records {
            put(&*storage, name, value);
        }
        put(&*storage, name, value);
        storage
    }

    fn record(&self, name: &str) -> &[u8] {
        let named = self.records.iter().find(|(own, _)| own == name.as_bytes());
        named.map_or(&[], |(_, value)| value)
    }

    fn unseal(&self, barrier: &Barrier) -> bool {
        let _ = now(barrier.seal_status());
        let _ = now(barrier.unseal(SecretBytes::new(self.share.clone())));
        !barrier.is_sealed()
    }

    /// The root key, taken from its record as its form is documented.
    fn root(&self) -> Option<Key256> {
        let share = Key256::from_slice(&self.share).ok()?;
        let (header, rest) = self.record(ROOT).split_first_chunk::<5>()?;
        let (nonce, sealed) = rest.split_first_chunk::<12>()?;
        let aad = [header.as_slice(), ROOT.as_bytes()].concat();
        let root = Aead::aes_256_gcm(&share)
            .ok()?
            .open(*nonce, &aad, sealed)
            .ok()?;
        Key256::from_slice(&root).ok()
    }
}

/// Nothing that stands below the barrier, in the place of any record or beside them, is taken for
/// what the barrier wrote; no bytes but the right ones open it.
pub(crate) fn records(data: &[u8]) {
    Vault::with(|vault| {
        for name in [ROOT, KEYRING] {
            let opened = vault.unseal(&barrier(&vault.storage(name.as_bytes(), data)));
            assert_eq!(opened, data == vault.record(name), "{name}");
        }
        // The description of the seal is no secret and has no tag: it may say another number of
        // shares, and then nothing opens.
        vault.unseal(&barrier(&vault.storage(CONFIG.as_bytes(), data)));

        let secret = vault
            .records
            .iter()
            .find(|(name, _)| name.starts_with(b"mount/"));
        let Some((place, sealed)) = secret else {
            unreachable!("a secret was written");
        };
        read_changed(vault, place, data, data == *sealed);
        read_beside(vault, data);
    });
}

/// A secret whose record was replaced is refused.
fn read_changed(vault: &Vault, place: &[u8], data: &[u8], same: bool) {
    let barrier = barrier(&vault.storage(place, data));
    assert!(vault.unseal(&barrier));
    let Some(secret) = key(SECRET.as_bytes()) else {
        return;
    };
    assert_eq!(now(barrier.get(&secret)).is_ok(), same);
}

/// A key that nobody sealed is told from those that were.
fn read_beside(vault: &Vault, data: &[u8]) {
    let place = [b"mount/uuid/", data].concat();
    let known = vault.records.iter().any(|(name, _)| *name == place);
    if known || key(&place).is_none() || data.is_empty() {
        return;
    }
    let barrier = barrier(&vault.storage(&place, b"anything"));
    assert!(vault.unseal(&barrier));
    let Some(mount) = key(b"mount/uuid/") else {
        return;
    };
    assert!(now(barrier.page(&mount, None, 10, PageOf::Entries)).is_err());
    assert!(now(barrier.page(&mount, None, 10, PageOf::Keys)).is_err());
}

/// A keyring that the root key vouches for is refused, or serves: what it encrypts it decrypts, also
/// after a rotation.
pub(crate) fn keyring(data: &[u8]) {
    Vault::with(|vault| {
        let Some(sealed) = seal(vault, data) else {
            unreachable!("the root key seals");
        };
        let barrier = barrier(&vault.storage(KEYRING.as_bytes(), &sealed));
        if !vault.unseal(&barrier) {
            return;
        }
        let _ = (barrier.key_status(), barrier.rotation_config());
        let Some(place) = key(b"mount/other/a") else {
            return;
        };
        for value in [b"first", b"other"] {
            let batch = Batch::new().put(place.clone(), value.to_vec());
            if now(barrier.commit(batch)).is_ok() {
                let entry = now(barrier.get(&place));
                assert!(
                    entry.is_ok_and(|entry| entry.is_some_and(|e| e.value == value.as_slice()))
                );
            }
            let _ = (now(barrier.rotate_if_due()), now(barrier.rotate()));
        }
    });
}

fn seal(vault: &Vault, text: &[u8]) -> Option<Vec<u8>> {
    let header = [1, 0, 0, 0, 0];
    let nonce = [9; 12];
    let aad = [&header, KEYRING.as_bytes()].concat();
    let sealed = Aead::aes_256_gcm(&vault.root()?)
        .ok()?
        .seal(nonce, &aad, text)
        .ok()?;
    Some([&header, &nonce[..], &sealed].concat())
}
