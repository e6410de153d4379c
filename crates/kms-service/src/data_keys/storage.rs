//! [`Storage`]: wrapped data keys, each made once.
//!
//! A record is created where there is none: of two that write the same identifier at once, from whichever
//! server, one is told that the other was first. Each storage does that by itself: a folder by links, the
//! clouds by conditional requests. That it really does is tried before the first record is written, since
//! a storage that ignores the condition would overwrite a key. What stands there is changed only by
//! `replacing`, which wraps the same data key anew.

use super::place::Place;
use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};
use secretum_crypto::sha256;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
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
    /// It replaces a record that somebody else replaced meanwhile, or does not say whether it does.
    #[error(
        "the storage of data keys replaces a record whatever stands there, so that data keys could be lost by wrapping them anew; use one with conditional writes (If-Match)"
    )]
    ReplacesAnything,
    /// It replaces nothing.
    #[error("the storage of data keys replaces no record; see what it permits")]
    ReplacesNothing,
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

impl StorageError {
    /// Whether it would be the same the next time.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::ReplacesAnything | Self::ReplacesNothing => true,
            Self::Failed { source, .. } => is_refusal(source),
            _ => false,
        }
    }
}

/// Whether the storage may not be written.
fn is_refusal(error: &object_store::Error) -> bool {
    let is_refused = |error: &(dyn std::error::Error + 'static)| {
        let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(
            io,
            Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
        ) || matches!(
            error.downcast_ref::<object_store::Error>(),
            Some(
                object_store::Error::PermissionDenied { .. }
                    | object_store::Error::Unauthenticated { .. }
            )
        )
    };
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
    causes.any(is_refused)
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
    /// Where it is a folder.
    folder: Option<PathBuf>,
    writes_once: OnceCell<()>,
    replaces_once: OnceCell<()>,
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
        match place.kind() {
            "file" => Self::in_folder(Path::new(place.value("path").unwrap_or_default())),
            #[cfg(feature = "storage-aws")]
            "aws" => Self::in_cloud(place, super::cloud::aws(place)),
            #[cfg(feature = "storage-azure")]
            "azure" => Self::in_cloud(place, super::cloud::azure(place)),
            #[cfg(feature = "storage-gcp")]
            "gcp" => Self::in_cloud(place, super::cloud::gcp(place)),
            kind => Err(StorageError::NotInProgram { kind }),
        }
    }

    #[cfg(any(
        feature = "storage-aws",
        feature = "storage-azure",
        feature = "storage-gcp"
    ))]
    fn in_cloud(
        place: &Place,
        opened: object_store::Result<Arc<dyn ObjectStore>>,
    ) -> Result<Self, StorageError> {
        let prefix = place.value("prefix").unwrap_or_default();
        let opened = opened.map_err(StorageError::Unusable);
        opened.map(|store| Self::over(store, prefix))
    }

    /// A folder, made where it is not there, for its owner alone.
    ///
    /// **Errors**: [`StorageError::Unusable`].
    pub(crate) fn in_folder(path: &Path) -> Result<Self, StorageError> {
        Ok(Self {
            folder: Some(path.to_owned()),
            ..Self::over(folder(path)?, "")
        })
    }

    pub(super) fn over(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self {
            store,
            prefix: prefix.trim_matches('/').to_owned(),
            folder: None,
            writes_once: OnceCell::new(),
            replaces_once: OnceCell::new(),
        }
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        self.store.as_ref()
    }

    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    pub(super) fn replaces_once(&self) -> &OnceCell<()> {
        &self.replaces_once
    }

    /// The name of the record of an identifier, which may be any text.
    pub(crate) fn name(&self, id: &str) -> String {
        self.prefixed(&digest(id))
    }

    /// The digests of identifiers behind `after`, sorted: the first `limit` of those that have records.
    pub(crate) async fn digests(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        // As it stands in the storage, which is not as it is written where it holds more than ASCII.
        let prefix = Name::from(self.prefix.as_str());
        let below = Some(&prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let mut listed = match after {
            Some(after) => {
                let after = Name::from(self.prefixed(after));
                self.store.list_with_offset(below, &after)
            }
            None => self.store.list(below),
        };
        let mut digests = BTreeSet::new();
        while let Some(found) = listed
            .try_next()
            .await
            .map_err(|source| StorageError::Failed {
                action: "list its records",
                source,
            })?
        {
            let mut parts = found.location.prefix_match(&prefix).into_iter().flatten();
            let (Some(name), None) = (parts.next(), parts.next()) else {
                continue;
            };
            let name = name.as_ref();
            if is_digest(name) && after.is_none_or(|after| name > after) {
                digests.insert(name.to_owned());
            }
            if digests.len() > limit {
                digests.pop_last();
            }
        }
        Ok(digests.into_iter().collect())
    }

    pub(crate) fn prefixed(&self, name: &str) -> String {
        match self.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        }
    }

    /// A record, where there is one.
    pub(crate) async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let found = self.read_version(name).await?;
        Ok(found.map(|(bytes, _)| bytes))
    }

    /// A record, and which one of those that stood there one after the other.
    pub(super) async fn read_version(
        &self,
        name: &str,
    ) -> Result<Option<(Vec<u8>, UpdateVersion)>, StorageError> {
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
        let version = UpdateVersion {
            e_tag: found.meta.e_tag.clone(),
            version: found.meta.version.clone(),
        };
        let bytes = found.bytes().await.map_err(failed)?;
        Ok(Some((bytes.to_vec(), version)))
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

/// What a record is named after.
pub(crate) fn digest(id: &str) -> String {
    hex::encode(sha256(id.as_bytes()))
}

fn is_digest(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.len() == 64 && name.bytes().all(is_digit)
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
pub(super) mod tests {
    use super::*;
    use crate::data_keys::place::STORAGE;
    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
        PutMultipartOptions, PutOptions, PutResult, Result,
    };

    pub(in super::super) fn in_folder(path: &Path) -> Storage {
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

    /// Takes every write, whatever its condition; or every one that replaces.
    #[derive(Debug)]
    pub(in super::super) struct Careless {
        store: InMemory,
        creates_once: bool,
    }

    impl Careless {
        pub(in super::super) fn of_updates() -> Self {
            Self {
                store: InMemory::new(),
                creates_once: true,
            }
        }
    }

    impl std::fmt::Display for Careless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("careless")
        }
    }

    #[async_trait]
    impl ObjectStore for Careless {
        async fn put_opts(
            &self,
            to: &Name,
            bytes: PutPayload,
            options: PutOptions,
        ) -> Result<PutResult> {
            let options = match options.mode {
                PutMode::Create if self.creates_once => options,
                _ => PutOptions::default(),
            };
            self.store.put_opts(to, bytes, options).await
        }
        async fn put_multipart_opts(
            &self,
            to: &Name,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.store.put_multipart_opts(to, options).await
        }
        async fn get_opts(&self, from: &Name, options: GetOptions) -> Result<GetResult> {
            self.store.get_opts(from, options).await
        }
        fn delete_stream(
            &self,
            names: BoxStream<'static, Result<Name>>,
        ) -> BoxStream<'static, Result<Name>> {
            self.store.delete_stream(names)
        }
        fn list(&self, prefix: Option<&Name>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.store.list(prefix)
        }
        async fn list_with_delimiter(&self, prefix: Option<&Name>) -> Result<ListResult> {
            self.store.list_with_delimiter(prefix).await
        }
        async fn copy_opts(&self, from: &Name, to: &Name, options: CopyOptions) -> Result<()> {
            self.store.copy_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn records_are_listed_by_the_digests_of_their_identifiers() {
        let place = tempfile::tempdir().unwrap();
        let cloud = Arc::new(InMemory::new());
        // What belongs to another prefix, or is no record, is not told.
        let other = Storage::over(cloud.clone(), "teams");
        other.create(&other.name("x"), vec![1]).await.unwrap();
        let prefixes = [
            "team",
            "schlüssel",
            "~team/[a] b",
            "a//b",
            "100%",
            "deep/er",
        ];
        let clouds = prefixes.map(|prefix| Storage::over(cloud.clone(), prefix));
        for storage in std::iter::once(in_folder(place.path())).chain(clouds) {
            let mut wanted = Vec::new();
            for number in 0..7 {
                let id = format!("volume-{number}");
                storage.create(&storage.name(&id), vec![1]).await.unwrap();
                wanted.push(digest(&id));
            }
            let below = storage.prefixed("rotation/state");
            storage.create(&below, vec![1]).await.unwrap();
            wanted.sort();
            let mut found: Vec<String> = Vec::new();
            loop {
                let after = found.last().cloned();
                let page = storage.digests(after.as_deref(), 3).await.unwrap();
                if page.is_empty() {
                    break;
                }
                assert!(page.len() <= 3);
                found.extend(page);
            }
            assert_eq!(found, wanted);
        }
    }

    #[tokio::test]
    async fn a_storage_that_overwrites_is_refused_before_the_first_key() {
        let storage = Storage::over(
            Arc::new(Careless {
                store: InMemory::new(),
                creates_once: false,
            }),
            "",
        );
        let refused = storage.create("a", b"x".to_vec()).await.unwrap_err();
        assert!(matches!(refused, StorageError::Overwrites), "{refused}");
        assert_eq!(storage.read("a").await.unwrap(), None);
    }
}
