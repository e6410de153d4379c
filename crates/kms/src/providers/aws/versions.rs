//! [`Versions`]: which key material encrypts now.
//!
//! The service names it in its description of a key, and with a data key, but not where it encrypts. So
//! it is asked once a minute. Services that are AWS in all but this name none; there the number of
//! rotations is the version.

use super::fault::{CLOUD, Fault};
use super::session::Session;
use super::{NAME, is_alias};
use crate::{KeyId, KeyInfo, KeyVersion, KmsError, Result};
use aws_sdk_kms::types::{KeyMetadata, KeyState};
use lru::LruCache;
use parking_lot::Mutex;
use secretum_crypto::Timestamp;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep, timeout};

/// The most keys whose version is remembered.
const KNOWN_MAX: usize = 1024;

/// How long it is remembered; also, that it may not be asked for.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// How long after a look that failed there is none.
const FAILED_FOR: Duration = Duration::from_secs(5);

/// How long an operation waits for the version.
const LOOK_UP_WAIT: Duration = Duration::from_secs(2);

/// Pages of rotations that are looked at, of 1000 each; a key has far fewer.
const ROTATION_PAGES_MAX: usize = 10;

/// How long a rotation is waited for. The service does it behind its answer.
const ROTATION_WAIT: Duration = Duration::from_secs(8);

/// The shortest time between two looks at it.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(200);

/// A key as it was when it was looked at.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) arn: KeyId,
    pub(super) version: KeyVersion,
}

/// What a look gave, and until when that holds.
#[derive(Debug, Clone)]
struct Seen {
    known: Option<Known>,
    until: Instant,
}

#[derive(Debug)]
pub(super) struct Versions {
    session: Arc<Session>,
    seen: Mutex<LruCache<KeyId, Seen>>,
    /// Held by who looks at a key, while the others wait for what it finds.
    looking: Mutex<LruCache<KeyId, Arc<AsyncMutex<()>>>>,
}

/// What the service tells of the rotations of a key.
#[derive(Debug, Default)]
struct Rotations {
    count: u64,
    newest: Option<i64>,
}

impl Versions {
    pub(super) fn new(session: Arc<Session>) -> Self {
        let most = NonZeroUsize::new(KNOWN_MAX).unwrap_or(NonZeroUsize::MIN);
        Self {
            session,
            seen: Mutex::new(LruCache::new(most)),
            looking: Mutex::new(LruCache::new(most)),
        }
    }

    fn recall(&self, key: &KeyId) -> Option<Seen> {
        let seen = self.seen.lock().get(key).cloned();
        seen.filter(|seen| Instant::now() < seen.until)
    }

    fn note(&self, key: &KeyId, known: Option<Known>, holds: Duration) {
        let until = Instant::now() + holds;
        self.seen.lock().put(key.clone(), Seen { known, until });
    }

    /// What encrypts under this name; `None` where that may not be asked for, or cannot be found out
    /// now. Who may encrypt need not be allowed to describe, and what tells no version encrypts all the
    /// same.
    pub(super) async fn remember(&self, key: &KeyId) -> Option<Known> {
        if let Some(seen) = self.recall(key) {
            return seen.known;
        }
        let turn = {
            let mut looking = self.looking.lock();
            Arc::clone(looking.get_or_insert(key.clone(), Arc::default))
        };
        let _turn = turn.lock().await;
        if let Some(seen) = self.recall(key) {
            return seen.known;
        }
        let holds = match timeout(LOOK_UP_WAIT, self.look_up(key)).await {
            Ok(Ok(known)) => return Some(known),
            Ok(Err(KmsError::AccessDenied { .. })) => KNOWN_FOR,
            _ => FAILED_FOR,
        };
        self.note(key, None, holds);
        None
    }

    /// Asks anew.
    pub(super) async fn look_up(&self, key: &KeyId) -> Result<Known> {
        self.examine(key).await.map(|(known, _)| known)
    }

    async fn examine(&self, key: &KeyId) -> Result<(Known, KeyMetadata)> {
        let metadata = self.metadata(key).await?;
        let arn = arn(&metadata)?;
        let version = match &metadata.current_key_material_id {
            Some(material) => KeyVersion::new(material.as_str()),
            None => {
                let rotations = self.rotations(&arn).await?;
                Some(KeyVersion::from(rotations.count.saturating_add(1)))
            }
        };
        let known = Known {
            arn,
            version: version
                .ok_or_else(|| CLOUD.bad("its key material has no valid identifier"))?,
        };
        self.note(key, Some(known.clone()), KNOWN_FOR);
        Ok((known, metadata))
    }

    /// Whether the key is in use.
    pub(super) async fn is_enabled(&self, key: &KeyId) -> Result<bool> {
        let metadata = self.metadata(key).await?;
        Ok(metadata.key_state == Some(KeyState::Enabled))
    }

    async fn metadata(&self, key: &KeyId) -> Result<KeyMetadata> {
        let client = self.session.client_of(key).await?;
        let found = client.describe_key().key_id(key.as_str()).send().await;
        let found = found.map_err(|error| self.session.fault(error).of_key(key))?;
        let metadata = found.key_metadata;
        metadata.ok_or_else(|| CLOUD.bad("it does not describe the key"))
    }

    /// The rotations of a key; none where it has no such thing, or nobody may ask.
    async fn rotations(&self, arn: &KeyId) -> Result<Rotations> {
        let client = self.session.client().await?;
        let mut found = Rotations::default();
        let mut marker = None;
        for _ in 0..ROTATION_PAGES_MAX {
            let request = client.list_key_rotations().key_id(arn.as_str());
            let page = request.set_marker(marker).send().await;
            let page = match page.map_err(|error| self.session.fault(error)) {
                Ok(page) => page,
                Err(Fault::Other(KmsError::AccessDenied { .. } | KmsError::Refused { .. }))
                | Err(Fault::Disabled) => return Ok(found),
                Err(fault) => return Err(fault.of_key(arn)),
            };
            for rotation in page.rotations() {
                found.count = found.count.saturating_add(1);
                let date = rotation.rotation_date.map(|date| date.secs());
                found.newest = found.newest.max(date);
            }
            marker = page.next_marker.filter(|_| page.truncated);
            if marker.is_none() {
                return Ok(found);
            }
        }
        Err(CLOUD.bad("it lists rotations without end"))
    }

    pub(super) async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        let (known, metadata) = self.examine(key).await?;
        let rotations = self.rotations(&known.arn).await?;
        let created = metadata.creation_date.map(|date| date.secs());
        let made = rotations.newest.or(created);
        Ok(KeyInfo {
            key: if is_alias(key) {
                known.arn
            } else {
                key.clone()
            },
            version: known.version,
            enabled: metadata.key_state == Some(KeyState::Enabled),
            rotated_at: made.map(Timestamp::from_unix_seconds),
        })
    }

    /// Adds key material, and waits until it encrypts.
    pub(super) async fn rotate(&self, key: &KeyId) -> Result<()> {
        let before = self.look_up(key).await?;
        let client = self.session.client().await?;
        // The service takes no alias here.
        let request = client.rotate_key_on_demand().key_id(before.arn.as_str());
        let begun = request.send().await;
        begun.map_err(|error| self.session.fault(error).of_key(key))?;
        let mut pause = LOOK_EVERY_MIN;
        let deadline = Instant::now() + ROTATION_WAIT;
        while self.look_up(key).await?.version == before.version {
            if Instant::now() >= deadline {
                return Err(KmsError::Unavailable {
                    provider: NAME,
                    reason:
                        "the rotation has begun, and is not done yet; look at the key again in \
                             a minute"
                            .to_owned(),
                    source: None,
                });
            }
            sleep(pause).await;
            pause *= 2;
        }
        self.forget(&before);
        Ok(())
    }

    /// Forgets an old version by all the names that it is known by.
    fn forget(&self, old: &Known) {
        let mut seen = self.seen.lock();
        let is_old = |seen: &Seen| {
            let known = seen.known.as_ref();
            known.is_some_and(|known| known.arn == old.arn && known.version == old.version)
        };
        let names = seen.iter().filter(|(_, seen)| is_old(seen));
        let names: Vec<KeyId> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            seen.pop(&name);
        }
    }
}

fn arn(metadata: &KeyMetadata) -> Result<KeyId> {
    let arn = metadata
        .arn()
        .ok_or_else(|| CLOUD.bad("its key has no ARN"))?;
    KeyId::new(arn).map_err(|_| CLOUD.bad("its key has no valid ARN"))
}
