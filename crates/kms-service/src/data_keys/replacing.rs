//! Replacing a record that stands there, where it is still the one that was read.
//!
//! The clouds do it by conditional requests; whether they really do is tried before the first one. A
//! folder has no such thing, so whoever replaces there holds the lock of a file beside the records.
//! Who creates a record needs no lock: it is written only where there is none.

use super::storage::{Storage, StorageError};
use object_store::path::Path as Name;
use object_store::{ObjectStoreExt, PutMode, PutPayload, UpdateVersion};
use secretum_crypto::{Rng as _, SystemRng};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The record that shows whether the storage replaces only what was read.
const PROBE: &str = "replaced-once";

/// The file whose lock is held while a record of a folder is replaced.
const LOCK: &str = "replacing.lock";

/// How long the lock is waited for, and how often it is tried.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
const LOCK_TRIED_EVERY: Duration = Duration::from_millis(20);

/// How often the storage is tried while others try it, too.
const TRIES_MAX: usize = 20;

impl Storage {
    /// Puts `new` in the place of `old`, where that still stands there; whether it does now. It is safe
    /// when this returns.
    pub(crate) async fn replace(
        self: &Arc<Self>,
        name: &str,
        old: &[u8],
        new: Vec<u8>,
    ) -> Result<bool, StorageError> {
        let (own, name, old) = (Arc::clone(self), name.to_owned(), old.to_vec());
        // It goes on where the caller goes away: the lock is held until the record is written.
        let work = async move {
            match own.folder() {
                Some(folder) => {
                    let _lock = lock(folder).await?;
                    own.overwrite(&name, &old, new).await
                }
                None => {
                    let proof = own.replaces_once();
                    proof.get_or_try_init(|| own.prove_replacing()).await?;
                    own.swap(&name, &old, new).await
                }
            }
        };
        match tokio::spawn(work).await {
            Ok(outcome) => outcome,
            Err(error) => Err(failed(generic(error))),
        }
    }

    /// In a folder, under the lock.
    async fn overwrite(&self, name: &str, old: &[u8], new: Vec<u8>) -> Result<bool, StorageError> {
        if self.read(name).await?.as_deref() != Some(old) {
            return Ok(false);
        }
        let name = Name::from(name);
        let put = self.store().put(&name, PutPayload::from(new)).await;
        put.map(|_| true).map_err(failed)
    }

    /// In a cloud, by the version that was read.
    async fn swap(&self, name: &str, old: &[u8], new: Vec<u8>) -> Result<bool, StorageError> {
        let Some((read, version)) = self.read_version(name).await? else {
            return Ok(false);
        };
        if read != old {
            return Ok(false);
        }
        if self.update(name, version, new.clone()).await? {
            return Ok(true);
        }
        // An answer may have been lost, and the request made a second time.
        Ok(self.read(name).await? == Some(new))
    }

    async fn update(
        &self,
        name: &str,
        version: UpdateVersion,
        new: Vec<u8>,
    ) -> Result<bool, StorageError> {
        let (name, mode) = (Name::from(name), PutMode::Update(version));
        let payload = PutPayload::from(new);
        match self.store().put_opts(&name, payload, mode.into()).await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::Precondition { .. }
                | object_store::Error::AlreadyExists { .. }
                | object_store::Error::NotFound { .. },
            ) => Ok(false),
            Err(object_store::Error::NotImplemented { .. }) => Err(StorageError::ReplacesAnything),
            Err(source) => Err(failed(source)),
        }
    }

    /// Tries whether it replaces only what was read. Others may be trying it as well.
    async fn prove_replacing(&self) -> Result<(), StorageError> {
        let probe = self.prefixed(PROBE);
        for _ in 0..TRIES_MAX {
            self.create(&probe, nonce()?).await?;
            let Some((_, version)) = self.read_version(&probe).await? else {
                continue;
            };
            if !self.update(&probe, version.clone(), nonce()?).await? {
                continue;
            }
            return match self.update(&probe, version, nonce()?).await? {
                false => Ok(()),
                true => Err(StorageError::ReplacesAnything),
            };
        }
        Err(StorageError::ReplacesNothing)
    }
}

/// Text that was never written before: versions of some storages are digests of the contents.
fn nonce() -> Result<Vec<u8>, StorageError> {
    let mut bytes = [0; 16];
    let filled = SystemRng.fill(&mut bytes);
    filled.map_err(|error| failed(generic(error)))?;
    Ok(hex::encode(bytes).into_bytes())
}

async fn lock(folder: &Path) -> Result<File, StorageError> {
    let io = |error: io::Error| failed(generic(error));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(folder.join(LOCK)).map_err(io)?;
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(io(error)),
            Err(TryLockError::WouldBlock) if waited >= LOCK_WAIT_MAX => {
                return Err(io(io::ErrorKind::WouldBlock.into()));
            }
            Err(TryLockError::WouldBlock) => {
                tokio::time::sleep(LOCK_TRIED_EVERY).await;
                waited += LOCK_TRIED_EVERY;
            }
        }
    }
}

fn failed(source: object_store::Error) -> StorageError {
    StorageError::Failed {
        action: "replace a record",
        source,
    }
}

fn generic(source: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic {
        store: "data keys",
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::super::storage::tests::{Careless, in_folder};
    use super::*;
    use object_store::memory::InMemory;

    fn in_memory() -> Arc<Storage> {
        Arc::new(Storage::over(Arc::new(InMemory::new()), "team"))
    }

    async fn replaces_what_was_read(storage: Arc<Storage>) {
        let name = storage.name("id");
        let replace = |old: &'static [u8], new: &'static [u8]| {
            let (storage, name) = (Arc::clone(&storage), name.clone());
            async move { storage.replace(&name, old, new.to_vec()).await.unwrap() }
        };
        assert!(
            !replace(b"one", b"two").await,
            "there is nothing to replace"
        );
        storage.create(&name, b"one".to_vec()).await.unwrap();
        assert!(!replace(b"two", b"three").await);
        assert!(replace(b"one", b"two").await);
        assert_eq!(storage.read(&name).await.unwrap().unwrap(), b"two");
        // Of many who read the same, one is first.
        let tries = (0..20).map(|at: u8| {
            let (storage, name) = (Arc::clone(&storage), name.clone());
            async move { storage.replace(&name, b"two", vec![at; 3]).await.unwrap() }
        });
        let tries = futures::future::join_all(tries.map(tokio::spawn)).await;
        let first: Vec<_> = (0..20u8)
            .zip(tries)
            .filter(|(_, replaced)| *replaced.as_ref().unwrap())
            .collect();
        let [(winner, _)] = &first[..] else {
            panic!("{} were first", first.len());
        };
        assert_eq!(storage.read(&name).await.unwrap().unwrap(), [*winner; 3]);
    }

    #[tokio::test]
    async fn in_a_folder_and_in_a_cloud() {
        let place = tempfile::tempdir().unwrap();
        replaces_what_was_read(Arc::new(in_folder(place.path()))).await;
        replaces_what_was_read(in_memory()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_is_held_on_is_not_waited_for_for_ever() {
        let place = tempfile::tempdir().unwrap();
        let storage = Arc::new(in_folder(place.path()));
        storage.create("a", b"one".to_vec()).await.unwrap();
        let held = lock(place.path()).await.unwrap();
        let refused = storage.replace("a", b"one", b"two".to_vec()).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, StorageError::Failed { .. }));
        assert!(!refused.is_lasting(), "{refused}");
        drop(held);
        assert!(storage.replace("a", b"one", b"two".to_vec()).await.unwrap());
    }

    #[tokio::test]
    async fn a_storage_that_replaces_anything_is_refused_before_it_does() {
        let storage = Arc::new(Storage::over(Arc::new(Careless::of_updates()), ""));
        storage.create("a", b"one".to_vec()).await.unwrap();
        let refused = storage.replace("a", b"one", b"two".to_vec()).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, StorageError::ReplacesAnything));
        assert!(refused.is_lasting());
        let refused = failed(generic(io::Error::from(io::ErrorKind::PermissionDenied)));
        assert!(refused.is_lasting());
        assert_eq!(storage.read("a").await.unwrap().unwrap(), b"one");
    }
}
