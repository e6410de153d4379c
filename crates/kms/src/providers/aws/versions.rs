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
use tokio::time::{Instant, sleep};

/// The most keys whose version is remembered.
const KNOWN_MAX: usize = 1024;

/// How long it is remembered.
const KNOWN_FOR: Duration = Duration::from_secs(60);

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
    version: KeyVersion,
    seen: Instant,
}

#[derive(Debug)]
pub(super) struct Versions {
    session: Arc<Session>,
    known: Mutex<LruCache<KeyId, Known>>,
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
            known: Mutex::new(LruCache::new(most)),
        }
    }

    fn recall(&self, key: &KeyId) -> Option<Known> {
        let known = self.known.lock().get(key).cloned();
        known.filter(|known| known.seen.elapsed() < KNOWN_FOR)
    }

    /// Makes sure that the version is known, where that may be asked for.
    pub(super) async fn remember(&self, key: &KeyId) -> Result<()> {
        if self.recall(key).is_some() {
            return Ok(());
        }
        match self.look_up(key).await {
            // Who may encrypt need not be allowed to describe.
            Ok(_) | Err(KmsError::AccessDenied { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The version that was remembered for what `asked` was when it was `arn`; empty where none was.
    pub(super) fn of(&self, asked: &KeyId, arn: &KeyId) -> KeyVersion {
        let known = self.recall(asked).filter(|known| known.arn == *arn);
        known.map(|known| known.version).unwrap_or_default()
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
            seen: Instant::now(),
        };
        self.known.lock().put(key.clone(), known.clone());
        Ok((known, metadata))
    }

    async fn metadata(&self, key: &KeyId) -> Result<KeyMetadata> {
        let client = self.session.client().await?;
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
        let mut known = self.known.lock();
        let is_old = |other: &Known| other.arn == old.arn && other.version == old.version;
        let names = known.iter().filter(|(_, other)| is_old(other));
        let names: Vec<KeyId> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            known.pop(&name);
        }
    }
}

fn arn(metadata: &KeyMetadata) -> Result<KeyId> {
    let arn = metadata
        .arn()
        .ok_or_else(|| CLOUD.bad("its key has no ARN"))?;
    KeyId::new(arn).map_err(|_| CLOUD.bad("its key has no valid ARN"))
}
