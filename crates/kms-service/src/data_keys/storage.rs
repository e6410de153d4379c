//! [`Storage`]: wrapped data keys, each written once.
//!
//! A record is created where there is none, and never changed: of two that write the same identifier at
//! once, from whichever server, one is told that the other was first. Each storage does that by itself:
//! a folder by links, the clouds by conditional requests. That it really does is tried before the first
//! record is written, since a storage that ignores the condition would overwrite a key.

use super::place::Place;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use secretum_crypto::sha256;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The most bytes of a record: a wrapped data key, with all that any key service puts around it.
pub(crate) const RECORD_BYTES_MAX: u64 = 64 << 10;

/// The record that shows whether the storage refuses to write one twice.
const PROBE: &str = "written-once";

/// Why a storage does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// What holds it is not in this program.
    #[error(
        "the storage `{kind}` is not in this program; build it with the feature `storage-{kind}`"
    )]
    NotInProgram {
        /// The storage.
        kind: &'static str,
    },
    /// It cannot be used as it is configured.
    #[error("the storage of data keys cannot be used: {0}")]
    Unusable(#[source] object_store::Error),
    /// Reading or writing failed.
    #[error("the storage of data keys did not {action}: {source}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: object_store::Error,
    },
    /// It overwrites what is there.
    #[error(
        "the storage of data keys writes a record twice when asked to write it once, so that keys could be lost; use one with conditional writes"
    )]
    Overwrites,
    /// A record that is no wrapped data key.
    #[error("the record `{name}` of the storage has {bytes} bytes, more than any data key")]
    TooLarge {
        /// The record.
        name: String,
        /// Its bytes.
        bytes: u64,
    },
    /// A record that was there a moment ago.
    #[error("the record `{name}` of the storage was taken away while it was read")]
    Gone {
        /// The record.
        name: String,
    },
}

/// What came of writing a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is this one.
    First,
    /// Another was there before.
    Second,
}

/// A storage of records.
#[derive(Debug)]
pub(crate) struct Storage {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    writes_once: OnceCell<()>,
}

impl Storage {
    /// Whether a storage can be opened. Nothing is made.
    ///
    /// **Errors**: as of [`Self::open`].
    pub(crate) fn check(place: &Place) -> Result<(), StorageError> {
        if place.kind() != "file" {
            return Self::open(place).map(drop);
        }
        match std::fs::metadata(place.value("path").unwrap_or_default()) {
            Ok(found) if !found.is_dir() => Err(unusable(io::ErrorKind::NotADirectory.into())),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(error)),
            _ => Ok(()),
        }
    }

    /// Opens a storage; a folder is made where it is not there. Nothing is read of it yet.
    ///
    /// **Errors**: [`StorageError::NotInProgram`], [`StorageError::Unusable`].
    pub(crate) fn open(place: &Place) -> Result<Self, StorageError> {
        let store = match place.kind() {
            "file" => folder(Path::new(place.value("path").unwrap_or_default()))?,
            #[cfg(feature = "storage-aws")]
            "aws" => super::cloud::aws(place).map_err(StorageError::Unusable)?,
            #[cfg(feature = "storage-azure")]
            "azure" => super::cloud::azure(place).map_err(StorageError::Unusable)?,
            #[cfg(feature = "storage-gcp")]
            "gcp" => super::cloud::gcp(place).map_err(StorageError::Unusable)?,
            kind => return Err(StorageError::NotInProgram { kind }),
        };
        let prefix = place.value("prefix").unwrap_or_default();
        Ok(Self::over(store, prefix))
    }

    fn over(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self {
            store,
            prefix: prefix.trim_matches('/').to_owned(),
            writes_once: OnceCell::new(),
        }
    }

    /// The name of the record of an identifier, which may be any text.
    pub(crate) fn name(&self, id: &str) -> String {
        let name: String = sha256(id.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.prefixed(&name)
    }

    fn prefixed(&self, name: &str) -> String {
        match self.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        }
    }

    /// A record, where there is one.
    pub(crate) async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let failed = |source| StorageError::Failed {
            action: "read a record",
            source,
        };
        let found = match self.store.get(&Name::from(name)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        if found.meta.size > RECORD_BYTES_MAX {
            return Err(StorageError::TooLarge {
                name: name.to_owned(),
                bytes: found.meta.size,
            });
        }
        let bytes = found.bytes().await.map_err(failed)?;
        Ok(Some(bytes.to_vec()))
    }

    /// Writes a record where there is none. It is safe when this returns.
    pub(crate) async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<Written, StorageError> {
        self.writes_once.get_or_try_init(|| self.prove()).await?;
        self.put(name, bytes).await
    }

    /// Tries whether it writes once.
    async fn prove(&self) -> Result<(), StorageError> {
        let probe = self.prefixed(PROBE);
        self.put(&probe, PROBE.into()).await?;
        match self.put(&probe, PROBE.into()).await? {
            Written::Second => Ok(()),
            Written::First => Err(StorageError::Overwrites),
        }
    }

    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<Written, StorageError> {
        let payload = PutPayload::from(bytes);
        let name = Name::from(name);
        let put = self.store.put_opts(&name, payload, PutMode::Create.into());
        match put.await {
            Ok(_) => Ok(Written::First),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Written::Second),
            Err(source) => Err(StorageError::Failed {
                action: "write a record",
                source,
            }),
        }
    }
}

/// A folder, made where it is not there, for its owner alone. What is written is on the disk when it is
/// told to be.
fn folder(path: &Path) -> Result<Arc<dyn ObjectStore>, StorageError> {
    make(path).map_err(unusable)?;
    let store = LocalFileSystem::new_with_prefix(path).map_err(StorageError::Unusable)?;
    Ok(Arc::new(store.with_fsync(true)))
}

fn make(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let missing = path.ancestors().filter(|ancestor| !ancestor.exists());
    let parents: Vec<_> = missing.filter_map(Path::parent).collect();
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&path)?;
    // A folder that is gone after a crash takes its records with it.
    for parent in parents {
        std::fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn unusable(source: io::Error) -> StorageError {
    StorageError::Unusable(object_store::Error::Generic {
        store: "LocalFileSystem",
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_keys::place::STORAGE;
    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
        PutMultipartOptions, PutOptions, PutResult, Result,
    };

    fn in_folder(path: &Path) -> Storage {
        let uri = format!("storage://file?path={}", path.display());
        Storage::open(&Place::of_uri(&STORAGE, &uri).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_record_is_written_once() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("deep/er");
        let storage = in_folder(&folder);
        let name = storage.name("../any/ id\u{1f511}");
        assert_eq!(storage.read(&name).await.unwrap(), None);
        let write = |text: &str| storage.create(&name, text.as_bytes().to_vec());
        assert_eq!(write("one").await.unwrap(), Written::First);
        assert_eq!(write("two").await.unwrap(), Written::Second);
        // And for a storage that is opened anew.
        let again = in_folder(&folder);
        assert_eq!(again.read(&name).await.unwrap().unwrap(), b"one");
        assert_eq!(
            again.create(&name, b"3".to_vec()).await.unwrap(),
            Written::Second
        );
    }

    #[test]
    fn what_is_looked_at_is_not_made() {
        let place = tempfile::tempdir().unwrap();
        let of = |path: &Path| {
            let uri = format!("storage://file?path={}", path.display());
            Place::of_uri(&STORAGE, &uri).unwrap()
        };
        let folder = place.path().join("a/b");
        Storage::check(&of(&folder)).unwrap();
        assert!(!folder.exists());
        Storage::open(&of(&folder)).unwrap();
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&folder.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        let file = place.path().join("file");
        std::fs::write(&file, "").unwrap();
        for wrong in [
            Storage::check(&of(&file)),
            Storage::open(&of(&file)).map(drop),
        ] {
            assert!(matches!(wrong, Err(StorageError::Unusable(_))));
        }
    }

    #[tokio::test]
    async fn a_record_has_a_size_that_is_not_exceeded() {
        let storage = Storage::over(Arc::new(InMemory::new()), "/team/");
        let most = usize::try_from(RECORD_BYTES_MAX).unwrap();
        for (id, bytes, fits) in [("a", most, true), ("b", most + 1, false)] {
            let name = storage.name(id);
            assert!(name.starts_with("team/"), "{name}");
            storage.create(&name, vec![0; bytes]).await.unwrap();
            assert_eq!(storage.read(&name).await.is_ok(), fits);
        }
    }

    /// Takes every write, whatever its condition.
    #[derive(Debug)]
    struct Careless(InMemory);

    impl std::fmt::Display for Careless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("careless")
        }
    }

    #[async_trait]
    impl ObjectStore for Careless {
        async fn put_opts(&self, to: &Name, bytes: PutPayload, _: PutOptions) -> Result<PutResult> {
            self.0.put_opts(to, bytes, PutOptions::default()).await
        }
        async fn put_multipart_opts(
            &self,
            to: &Name,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(to, options).await
        }
        async fn get_opts(&self, from: &Name, options: GetOptions) -> Result<GetResult> {
            self.0.get_opts(from, options).await
        }
        fn delete_stream(
            &self,
            names: BoxStream<'static, Result<Name>>,
        ) -> BoxStream<'static, Result<Name>> {
            self.0.delete_stream(names)
        }
        fn list(&self, prefix: Option<&Name>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.0.list(prefix)
        }
        async fn list_with_delimiter(&self, prefix: Option<&Name>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }
        async fn copy_opts(&self, from: &Name, to: &Name, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn a_storage_that_overwrites_is_refused_before_the_first_key() {
        let storage = Storage::over(Arc::new(Careless(InMemory::new())), "");
        let refused = storage.create("a", b"x".to_vec()).await.unwrap_err();
        assert!(matches!(refused, StorageError::Overwrites), "{refused}");
        assert_eq!(storage.read("a").await.unwrap(), None);
    }
}
