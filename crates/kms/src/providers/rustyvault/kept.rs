//! [`KeptKeys`]: keys that stand in a key-value engine of version 1, each version a record of its own.
//!
//! That engine has no check-and-set: who writes last wins. So no record is written twice. A version is
//! written to a path that nobody else writes to, read back, and only then used; which versions there are
//! is what the listing says. Services that make a key or rotate it at the same time all keep theirs, and
//! agree on the newest once they list again. What was encrypted under any of them names it, and opens.
//!
//! What was read is remembered, up to a limit and for a while, in secret types.

use super::record::{self, Material, NewRecord, Record, VersionId};
use super::{NAME, Names, Session};
use crate::{KeyId, KeyInfo, KmsError, Result};
use lru::LruCache;
use parking_lot::Mutex;
use secretum_client::Request;
use secretum_crypto::{ClockRef, Key256, RngRef, constant_time_eq};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

/// The most versions of one key.
pub(super) const VERSIONS_MAX: usize = 1000;

/// The most keys whose newest version is remembered.
const KNOWN_KEYS_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The most versions that are remembered.
const KNOWN_VERSIONS_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// How long it is remembered that a version is not there. Who sends ciphertexts of made-up versions is not
/// to make a request of each.
const MISSING_FOR: Duration = Duration::from_secs(5);

/// The most bytes of a name, which becomes that of a file where RustyVault keeps files.
const NAME_BYTES_MAX: usize = 128;

/// A version, and its material.
pub(super) type Version = (VersionId, Arc<Material>);

/// Keys in a key-value engine.
#[derive(Debug)]
pub(super) struct KeptKeys {
    session: Arc<Session>,
    /// Where they are: mount and path.
    place: String,
    fresh_for: Duration,
    rng: RngRef,
    clock: ClockRef,
    remembered: Mutex<Remembered>,
    /// Held while something of a key is fetched, so that many who find nothing cause one request. Others
    /// than this key do not wait for it.
    fetching: Mutex<LruCache<KeyId, Arc<AsyncMutex<()>>>>,
}

struct Remembered {
    newest: LruCache<KeyId, (VersionId, Instant)>,
    material: LruCache<(KeyId, VersionId), (Arc<Material>, Instant)>,
    /// Versions that were not there, and when.
    missing: LruCache<(KeyId, VersionId), Instant>,
}

impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remembered")
            .field("keys", &self.newest.len())
            .field("versions", &self.material.len())
            .finish()
    }
}

impl KeptKeys {
    pub(super) fn new(
        session: Arc<Session>,
        place: String,
        fresh_for: Duration,
        rng: RngRef,
        clock: ClockRef,
    ) -> Self {
        let remembered = Remembered {
            newest: LruCache::new(KNOWN_KEYS_MAX),
            material: LruCache::new(KNOWN_VERSIONS_MAX),
            missing: LruCache::new(KNOWN_VERSIONS_MAX),
        };
        Self {
            session,
            place,
            fresh_for,
            rng,
            clock,
            remembered: Mutex::new(remembered),
            fetching: Mutex::new(LruCache::new(KNOWN_KEYS_MAX)),
        }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Does this when nobody else fetches anything of the key. To wait for that and to do it end together,
    /// so that many who ask a server that hangs do not wait for each other's end.
    async fn in_turn<T>(&self, key: &KeyId, fetch: impl Future<Output = Result<T>>) -> Result<T> {
        let turn = {
            let mut fetching = self.fetching.lock();
            Arc::clone(fetching.get_or_insert(key.clone(), Arc::default))
        };
        let fetched = async move {
            let _turn = turn.lock().await;
            fetch.await
        };
        self.session.within(fetched).await
    }

    fn folder(&self, key: &KeyId) -> Result<String> {
        if !is_name(key.as_str()) {
            return Err(not_found(key));
        }
        Ok(format!("{}/{key}", self.place))
    }

    /// The version that encrypts.
    pub(super) async fn newest(&self, key: &KeyId) -> Result<Version> {
        if let Some(found) = self.remembered_newest(key) {
            return Ok(found);
        }
        let fetched = async {
            match self.remembered_newest(key) {
                Some(found) => Ok(found),
                None => self.fetch_newest(key).await,
            }
        };
        self.in_turn(key, fetched).await
    }

    async fn fetch_newest(&self, key: &KeyId) -> Result<Version> {
        let versions = self.versions(key).await?;
        let newest = versions.into_iter().max().ok_or_else(|| not_found(key))?;
        let material = match self.remembered_material(key, newest) {
            Some(material) => material,
            None => self.fetch(key, newest).await?,
        };
        let mut remembered = self.remembered.lock();
        remembered.newest.put(key.clone(), (newest, Instant::now()));
        Ok((newest, material))
    }

    /// The material of a version that a ciphertext names.
    pub(super) async fn material(&self, key: &KeyId, version: VersionId) -> Result<Arc<Material>> {
        if let Some(found) = self.remembered(key, version) {
            return found;
        }
        let fetched = async {
            if let Some(found) = self.remembered(key, version) {
                return found;
            }
            let fetched = self.fetch(key, version).await;
            if let Err(KmsError::KeyVersionNotFound { .. }) = fetched {
                let place = (key.clone(), version);
                self.remembered.lock().missing.put(place, Instant::now());
            }
            fetched
        };
        self.in_turn(key, fetched).await
    }

    /// What is known of a version: its material, or that it is not there.
    fn remembered(&self, key: &KeyId, version: VersionId) -> Option<Result<Arc<Material>>> {
        if let Some(material) = self.remembered_material(key, version) {
            return Some(Ok(material));
        }
        let place = (key.clone(), version);
        let at = *self.remembered.lock().missing.get(&place)?;
        (at.elapsed() < MISSING_FOR).then(|| Err(missing(key, version)))
    }

    fn remembered_newest(&self, key: &KeyId) -> Option<Version> {
        let (version, at) = *self.remembered.lock().newest.get(key)?;
        let material = self.remembered_material(key, version)?;
        (at.elapsed() < self.fresh_for).then_some((version, material))
    }

    fn remembered_material(&self, key: &KeyId, version: VersionId) -> Option<Arc<Material>> {
        let mut remembered = self.remembered.lock();
        let place = (key.clone(), version);
        let (material, at) = remembered.material.get(&place)?;
        if at.elapsed() < self.fresh_for {
            return Some(Arc::clone(material));
        }
        remembered.material.pop(&place);
        None
    }

    /// Reads a version.
    async fn fetch(&self, key: &KeyId, version: VersionId) -> Result<Arc<Material>> {
        let material = Arc::new(self.read(key, version).await?);
        self.remember(key, version, &material);
        Ok(material)
    }

    fn remember(&self, key: &KeyId, version: VersionId, material: &Arc<Material>) {
        let entry = (Arc::clone(material), Instant::now());
        let mut remembered = self.remembered.lock();
        remembered.material.put((key.clone(), version), entry);
    }

    async fn read(&self, key: &KeyId, version: VersionId) -> Result<Material> {
        let path = format!("{}/{version}", self.folder(key)?);
        let found: Option<Record> = self.session.find(Request::get(path)).await?;
        let found = found.ok_or_else(|| missing(key, version))?;
        found
            .material(key, version)
            .map_err(|reason| KmsError::KeyRecord {
                provider: NAME,
                key: key.clone(),
                version: version.key_version(),
                reason,
            })
    }

    /// The versions that there are.
    async fn versions(&self, key: &KeyId) -> Result<Vec<VersionId>> {
        let names = self.names(self.folder(key)?).await?;
        let versions = names.iter().filter_map(|name| VersionId::parse(name));
        Ok(versions.collect())
    }

    /// Whether there is a key. Where this may not be seen, it keeps none for us.
    pub(super) async fn has(&self, key: &KeyId) -> Result<bool> {
        match self.versions(key).await {
            Ok(versions) => Ok(!versions.is_empty()),
            Err(KmsError::KeyNotFound { .. } | KmsError::AccessDenied { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What is below a path; nothing where there is no such path.
    async fn names(&self, path: String) -> Result<Vec<String>> {
        let request = self.session.dialect().list(format!("{path}/"));
        let found: Option<Names> = self.session.find(request).await?;
        Ok(found.map(|found| found.keys).unwrap_or_default())
    }

    /// The names of the keys.
    pub(super) async fn keys(&self) -> Result<Vec<KeyId>> {
        let names = self.names(self.place.clone()).await?;
        let folders = names.iter().filter_map(|name| name.strip_suffix('/'));
        let names = folders.filter(|name| is_name(name));
        Ok(names.filter_map(|name| KeyId::new(name).ok()).collect())
    }

    /// Makes the first version of a key.
    ///
    /// **Errors**: [`KmsError::KeyExists`]; [`KmsError::Refused`] where the name cannot be one.
    pub(super) async fn create(&self, key: &KeyId) -> Result<KeyInfo> {
        if !is_name(key.as_str()) {
            let reason = format!(
                "`{key}` is no name for a key that is kept there; take at most {NAME_BYTES_MAX} letters, \
                 digits, `_`, `-` and single `.`, a letter or digit first"
            );
            let provider = NAME;
            return Err(KmsError::Refused { provider, reason });
        }
        let versions = self.versions(key).await?;
        if !versions.is_empty() {
            return Err(KmsError::key_exists(NAME, key));
        }
        self.add(key, &versions).await
    }

    /// Adds a version to a key.
    pub(super) async fn rotate(&self, key: &KeyId) -> Result<KeyInfo> {
        let versions = self.versions(key).await?;
        if versions.is_empty() {
            return Err(not_found(key));
        }
        self.add(key, &versions).await
    }

    async fn add(&self, key: &KeyId, versions: &[VersionId]) -> Result<KeyInfo> {
        let next = VersionId::behind(versions.iter().copied(), self.rng.as_ref())?;
        let next = next.filter(|_| versions.len() < VERSIONS_MAX);
        let version = next.ok_or_else(|| KmsError::Refused {
            provider: NAME,
            reason: format!(
                "the key `{key}` has {} versions, and takes no more; re-encrypt to a new key",
                versions.len()
            ),
        })?;
        self.write(key, version).await?;
        // Others may have added one in the meantime.
        let (version, material) = self.in_turn(key, self.fetch_newest(key)).await?;
        Ok(info(key, version, &material))
    }

    /// Writes a new version and reads it back: what was not kept must not encrypt.
    async fn write(&self, key: &KeyId, version: VersionId) -> Result<()> {
        let material = Material {
            key: Key256::random(self.rng.as_ref())?,
            made: Some(self.clock.now()),
        };
        let text = record::text(&material);
        let record = NewRecord::new(key, version, &material, &text);
        let path = format!("{}/{version}", self.folder(key)?);
        if !self.session.give(Request::post(path), &record).await? {
            let reason = format!(
                "nothing takes keys at `{}`; enable a key-value engine of version 1, or correct kv_mount",
                self.place
            );
            let provider = NAME;
            return Err(KmsError::Refused { provider, reason });
        }
        let back = self.read(key, version).await?;
        if !constant_time_eq(back.key.expose(), material.key.expose()) {
            return Err(KmsError::KeyRecord {
                provider: NAME,
                key: key.clone(),
                version: version.key_version(),
                reason: "another key came back than was written",
            });
        }
        Ok(())
    }

    pub(super) async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        let (version, material) = self.in_turn(key, self.fetch_newest(key)).await?;
        Ok(info(key, version, &material))
    }
}

/// Whether this can be the name of a key: what is one part of a path, of a file, and no way out of it.
fn is_name(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= NAME_BYTES_MAX
        && name.chars().all(known)
        && !name.contains("..")
}

fn info(key: &KeyId, version: VersionId, material: &Material) -> KeyInfo {
    KeyInfo {
        key: key.clone(),
        version: version.key_version(),
        enabled: true,
        rotated_at: material.made,
    }
}

fn missing(key: &KeyId, version: VersionId) -> KmsError {
    KmsError::KeyVersionNotFound {
        provider: NAME,
        key: key.clone(),
        version: version.key_version(),
    }
}

fn not_found(key: &KeyId) -> KmsError {
    KmsError::KeyNotFound {
        provider: NAME,
        key: key.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::vault::{self, Dialect, VaultAuth};
    use crate::test_answers::{counted, http};
    use futures::future::join_all;
    use secretum_client::ClientConfig;
    use secretum_crypto::{SecretString, SystemClock, SystemRng, TestRng};
    use std::sync::atomic::Ordering;

    fn nobody() -> KeptKeys {
        at("http://127.0.0.1:1")
    }

    fn at(address: &str) -> KeptKeys {
        within(address, Duration::from_secs(60))
    }

    fn within(address: &str, timeout: Duration) -> KeptKeys {
        let mut config = ClientConfig::new(address.parse().unwrap());
        config.timeout = timeout;
        let token = Arc::new(SecretString::new("t".to_owned()));
        let session = vault::session(config, Dialect::RustyVault, VaultAuth::Token(token));
        let refresh = Duration::from_secs(60);
        let (rng, clock) = (Arc::new(SystemRng), Arc::new(SystemClock));
        KeptKeys::new(session.unwrap(), "kv/p".to_owned(), refresh, rng, clock)
    }

    #[test]
    fn what_is_remembered_has_its_limit() {
        let (kept, rng) = (nobody(), TestRng::new(3));
        let key = KeyId::new("k").unwrap();
        let mut versions = Vec::new();
        for _ in 0..=KNOWN_VERSIONS_MAX.get() {
            let version = VersionId::behind(versions.last().copied().into_iter(), &rng);
            versions.push(version.unwrap().unwrap());
            let material = Arc::new(Material {
                key: Key256::random(&rng).unwrap(),
                made: None,
            });
            kept.remember(&key, *versions.last().unwrap(), &material);
        }
        let held = kept.remembered.lock().material.len();
        assert_eq!(held, KNOWN_VERSIONS_MAX.get());
        assert!(kept.remembered_material(&key, versions[0]).is_none());
        assert!(kept.remembered_material(&key, versions[1]).is_some());
        let shown = format!("{kept:?}");
        assert!(shown.contains("versions: 4096"), "{shown}");
    }

    fn some_version() -> VersionId {
        let version = VersionId::behind(std::iter::empty(), &TestRng::new(5));
        version.unwrap().unwrap()
    }

    /// What looks at the token, and finds nothing else.
    fn token_and_nothing() -> [Option<String>; 2] {
        let token = r#"{"data":{"ttl":0,"renewable":false}}"#;
        let none = r#"{"errors":[]}"#;
        [http("200 OK", "", token), http("404 Not Found", "", none)]
    }

    #[tokio::test]
    async fn a_version_that_is_not_there_is_asked_for_once_in_a_while() {
        let (address, count) = counted(token_and_nothing().into());
        let kept = at(&address);
        let (key, version) = (KeyId::new("k").unwrap(), some_version());
        let (no_time, long) = (Duration::ZERO, MISSING_FOR + Duration::from_millis(1));
        for (asked, later) in [
            (2, no_time),
            (2, no_time),
            (2, long),
            (3, no_time),
            (3, no_time),
        ] {
            let missing = kept.material(&key, version).await.unwrap_err();
            assert_eq!(missing.kind(), "key_version_not_found", "{missing}");
            assert_eq!(count.load(Ordering::SeqCst), asked);
            tokio::time::pause();
            tokio::time::advance(later).await;
            tokio::time::resume();
        }
    }

    #[tokio::test]
    async fn many_who_ask_for_one_key_of_a_server_that_hangs_are_told_so_at_once() {
        let [token, _] = token_and_nothing();
        let (address, _) = counted(vec![token, None]);
        let kept = within(&address, Duration::from_millis(500));
        let (key, version) = (KeyId::new("k").unwrap(), some_version());
        let asked = join_all((0..20).map(|_| async {
            let newest = kept.newest(&key).await.map(drop);
            [newest, kept.material(&key, version).await.map(drop)]
        }));
        // Longer than two requests may take, and much shorter than forty.
        let answers = tokio::time::timeout(Duration::from_secs(5), asked).await;
        let answers = answers.expect("they wait one behind the other");
        for refused in answers.into_iter().flatten() {
            assert_eq!(refused.unwrap_err().kind(), "timeout");
        }
    }

    #[tokio::test]
    async fn keys_do_not_wait_for_one_another() {
        let [token, none] = token_and_nothing();
        // Behind the first key one hangs.
        let answers = vec![token, none.clone(), None, none];
        let (address, count) = counted(answers);
        let kept = Arc::new(at(&address));
        let ask = |name: &str| {
            let (kept, key) = (Arc::clone(&kept), KeyId::new(name).unwrap());
            async move {
                kept.material(&key, some_version())
                    .await
                    .unwrap_err()
                    .kind()
            }
        };
        assert_eq!(ask("first").await, "key_version_not_found");
        let slow = tokio::spawn(ask("slow"));
        let hangs = async {
            while count.load(Ordering::SeqCst) < 3 {
                tokio::task::yield_now().await;
            }
        };
        let hangs = tokio::time::timeout(Duration::from_secs(60), hangs).await;
        hangs.expect("the slow one is never asked for");
        let other = tokio::time::timeout(Duration::from_secs(5), ask("other"));
        let other = other.await.expect("it waits for another key");
        assert_eq!(other, "key_version_not_found");
        slow.abort();
    }

    #[test]
    fn names_stay_below_their_path() {
        let longest = "a".repeat(NAME_BYTES_MAX);
        for name in ["app", "App-1_b.c", longest.as_str()] {
            assert!(is_name(name), "{name}");
        }
        let longer = "a".repeat(NAME_BYTES_MAX + 1);
        for name in [
            "",
            "../a",
            "a/b",
            "a..b",
            ".a",
            "-a",
            "a b",
            "ä",
            longer.as_str(),
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
