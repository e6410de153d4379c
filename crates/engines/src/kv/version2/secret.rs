//! [`Secret`]: a secret's metadata as it was read, and what a change of it commits.

use super::meta::{self, Meta, VersionMeta, value_key};
use super::{Kv2, expiry};
use crate::kv::{KvError, version1};
use bytes::Bytes;
use secretum_api::fields::JsonObject;
use secretum_crypto::Timestamp;
use secretum_engine::{Fault, Record, Writes, expect, unreadable};
use secretum_storage::{Batch, Precondition};
use serde::Serialize;
use std::collections::BTreeMap;

/// A secret's metadata, and where it was read.
#[derive(Debug)]
pub(super) struct Secret {
    path: String,
    pub(super) meta: Meta,
    /// The value of the newest version, where it stands behind the metadata.
    newest: Option<Bytes>,
    /// The record of the two; `None` where there is none yet.
    record: Option<Record>,
    /// When its timer is due, where it has one: the end of a version, in nanoseconds since 1970.
    timer: Option<i64>,
    /// The secret of the time of version 1, which counts as version 1 until it moves.
    old: Option<Record>,
}

/// What a client is told of a version.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct VersionFacts {
    created_time: String,
    custom_metadata: Option<BTreeMap<String, String>>,
    deletion_time: String,
    destroyed: bool,
    /// When the version is destroyed by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_time: Option<String>,
    version: u64,
}

impl Kv2 {
    /// Reads a secret's metadata; `None` where there is no secret.
    pub(super) async fn find(&self, path: &str) -> Result<Option<Secret>, Fault> {
        if let Some(secret) = self.find_history(path).await? {
            return Ok(Some(secret));
        }
        let Some(old) = self.store.get(&version1::key(path)).await? else {
            // It may have moved between the two looks; it does so once.
            return self.find_history(path).await;
        };
        let written = Timestamp::from_unix_seconds(old.json::<version1::Stored>()?.written);
        let mut meta = Meta::new(written);
        meta.add_version(&super::MountSettings::default(), written, None)?;
        Ok(Some(Secret {
            path: path.to_owned(),
            meta,
            newest: None,
            record: None,
            timer: None,
            old: Some(old),
        }))
    }

    async fn find_history(&self, path: &str) -> Result<Option<Secret>, Fault> {
        let Some(record) = self.store.get(&meta::key(path)).await? else {
            return Ok(None);
        };
        let (meta, newest) = meta::decode(&record)?;
        Ok(Some(Secret {
            path: path.to_owned(),
            timer: meta.next_end(),
            meta,
            newest,
            record: Some(record),
            old: None,
        }))
    }

    /// As [`Kv2::find`], or a secret without versions.
    pub(super) async fn find_or_new(&self, path: &str, now: Timestamp) -> Result<Secret, Fault> {
        let new = || Secret {
            path: path.to_owned(),
            meta: Meta::new(now),
            newest: None,
            record: None,
            timer: None,
            old: None,
        };
        Ok(self.find(path).await?.unwrap_or_else(new))
    }

    /// The value of a version; `None` where it is gone since the metadata was read.
    pub(super) async fn value(
        &self,
        secret: &Secret,
        version: u64,
    ) -> Result<Option<JsonObject>, Fault> {
        if let (Some(old), 1) = (&secret.old, version) {
            return Ok(Some(old.json::<version1::Stored>()?.data));
        }
        if let (Some(newest), true) = (&secret.newest, version == secret.meta.current) {
            let value = serde_json::from_slice(newest);
            return value.map(Some).map_err(|error| unreadable("value", &error));
        }
        match self.store.get(&value_key(&secret.path, version)).await? {
            Some(record) => record.json().map(Some),
            None => Ok(None),
        }
    }

    /// A batch that puts a changed secret in the place of the one that was read, and fails where it
    /// is no longer that.
    pub(super) fn put(&self, secret: &Secret) -> Result<Writes, Fault> {
        Ok(Writes {
            batch: self.put_record(secret)?,
            timers: expiry::rearm(&secret.path, secret.timer, secret.meta.next_end())?,
        })
    }

    fn put_record(&self, secret: &Secret) -> Result<Batch, Fault> {
        let place = self.store.key(&meta::key(&secret.path))?;
        let batch = Batch::new().put_if(
            place,
            expect(secret.record.as_ref()),
            meta::encode(&secret.meta, secret.newest.as_ref())?,
        );
        let old_place = || self.store.key(&version1::key(&secret.path));
        let Some(old) = &secret.old else {
            return Ok(match &secret.record {
                Some(_) => batch,
                // A write of version 1 that was under way must not be hidden behind this history.
                None => batch.require(old_place()?, Precondition::Absent),
            });
        };
        let batch = batch.delete_if(old_place()?, Precondition::At(old.revision));
        // Version 1 moves with its metadata, unless this change dropped it.
        if secret
            .meta
            .versions
            .get(&1)
            .is_some_and(|version| !version.destroyed)
        {
            let stored: version1::Stored = old.json()?;
            let place = self.store.key(&value_key(&secret.path, 1))?;
            return Ok(batch.put(place, stored.data.get().to_owned()));
        }
        Ok(batch)
    }

    /// A batch that puts a secret of which the values of these versions are gone.
    pub(super) fn put_without(
        &self,
        secret: &mut Secret,
        versions: &[u64],
    ) -> Result<Writes, Fault> {
        if versions.contains(&secret.meta.current) {
            secret.newest = None;
        }
        let writes = self.put(secret)?;
        Ok(Writes {
            batch: self.drop_values(writes.batch, secret, versions)?,
            ..writes
        })
    }

    /// Adds the removal of the values of versions to a batch.
    fn drop_values(
        &self,
        mut batch: Batch,
        secret: &Secret,
        versions: &[u64],
    ) -> Result<Batch, Fault> {
        for version in versions {
            batch = batch.delete(self.store.key(&value_key(&secret.path, *version))?);
        }
        Ok(batch)
    }

    /// A batch that adds a version with this value, and what a client is told of it.
    pub(super) async fn add_version(
        &self,
        secret: &mut Secret,
        data: &JsonObject,
        (now, expires): (Timestamp, Option<i64>),
    ) -> Result<(Writes, VersionFacts), KvError> {
        let settings = self.settings().await?;
        let (before, value_before) = (secret.meta.current, secret.newest.take());
        let (version, dropped) = secret.meta.add_version(&settings, now, expires)?;
        let value = Bytes::copy_from_slice(data.get().as_bytes());
        let is_beside = meta::is_beside(data.get());
        secret.newest = is_beside.then(|| value.clone());
        let Writes { batch, timers } = self.put(secret)?;
        let mut batch = self.drop_values(batch, secret, &dropped)?;
        let place = |version| self.store.key(&value_key(&secret.path, version));
        if let Some(value) = value_before.filter(|_| !dropped.contains(&before)) {
            batch = batch.put(place(before)?, value);
        }
        if !is_beside {
            batch = batch.put(place(version)?, value);
        }
        let facts = secret.facts(version, now).ok_or(KvError::NotFound)?;
        Ok((Writes { batch, timers }, facts))
    }

    /// A batch that puts a whole secret, with these values of its versions, in the place of what was
    /// found at its path.
    pub(super) fn put_whole(
        &self,
        (path, meta): (&str, &Meta),
        values: &[(u64, JsonObject)],
        found: Option<&Secret>,
    ) -> Result<Writes, Fault> {
        let mut batch = match found {
            Some(found) => self.remove_records(found)?,
            // A write of version 1 that is under way must not be hidden behind this history.
            None => {
                Batch::new().require(self.store.key(&version1::key(path))?, Precondition::Absent)
            }
        };
        let mut newest = None;
        for (version, value) in values {
            let text = Bytes::copy_from_slice(value.get().as_bytes());
            if *version == meta.current && meta::is_beside(value.get()) {
                newest = Some(text);
            } else {
                batch = batch.put(self.store.key(&value_key(path, *version))?, text);
            }
        }
        let record = found.and_then(|found| found.record.as_ref());
        let place = self.store.key(&meta::key(path))?;
        let timer = found.and_then(|found| found.timer);
        Ok(Writes {
            batch: batch.put_if(place, expect(record), meta::encode(meta, newest.as_ref())?),
            timers: expiry::rearm(path, timer, meta.next_end())?,
        })
    }

    /// A batch that fails where a secret is no longer as it was read.
    pub(super) fn require(&self, secret: &Secret) -> Result<Batch, Fault> {
        let place = self.store.key(&meta::key(&secret.path))?;
        let batch = Batch::new().require(place, expect(secret.record.as_ref()));
        let old_place = self.store.key(&version1::key(&secret.path))?;
        Ok(match &secret.old {
            Some(old) => batch.require(old_place, Precondition::At(old.revision)),
            None => batch,
        })
    }

    /// A batch that removes a secret, its history with it.
    pub(super) fn remove(&self, secret: &Secret) -> Result<Writes, Fault> {
        Ok(Writes {
            batch: self.remove_records(secret)?,
            timers: expiry::rearm(&secret.path, secret.timer, None)?,
        })
    }

    fn remove_records(&self, secret: &Secret) -> Result<Batch, Fault> {
        let versions: Vec<u64> = secret.meta.versions.keys().copied().collect();
        let batch = self.drop_values(Batch::new(), secret, &versions)?;
        let batch = match &secret.record {
            Some(record) => batch.delete_if(
                self.store.key(&meta::key(&secret.path))?,
                Precondition::At(record.revision),
            ),
            None => batch,
        };
        match &secret.old {
            Some(old) => Ok(batch.delete_if(
                self.store.key(&version1::key(&secret.path))?,
                Precondition::At(old.revision),
            )),
            None => Ok(batch),
        }
    }
}

impl Secret {
    /// Whether nothing is stored of it.
    pub(super) fn is_new(&self) -> bool {
        self.record.is_none() && self.old.is_none()
    }

    /// The version asked for: the newest where it is 0.
    pub(super) fn version(&self, asked: u64) -> Option<(u64, &VersionMeta)> {
        let version = if asked == 0 { self.meta.current } else { asked };
        self.meta.versions.get(&version).map(|meta| (version, meta))
    }

    /// What a client is told of a version.
    pub(super) fn facts(&self, version: u64, now: Timestamp) -> Option<VersionFacts> {
        let meta = self.meta.versions.get(&version)?;
        Some(VersionFacts {
            created_time: meta::time(meta.created),
            custom_metadata: self.meta.custom(),
            deletion_time: meta.deletion_time(),
            destroyed: meta.is_destroyed(now),
            expire_time: meta.expire_time(),
            version,
        })
    }
}
