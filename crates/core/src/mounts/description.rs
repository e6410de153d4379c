//! OpenAPI of what is mounted, made once for each change of the table and each set of mounts that a
//! caller may know of. Anybody may ask for it, so neither its making nor its size may grow with use.

use super::{Mount, Mounts};
use parking_lot::Mutex;
use secretum_engine::openapi::Document;
use secretum_engine::{Class, Fault};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::VecDeque;
use std::sync::Arc;

/// How many mounts one document describes, beside those that every vault has.
const DESCRIBED_MAX: usize = 32;

/// How many documents are kept, beside that for everybody.
const KEPT_MAX: usize = 4;

/// The documents of the table as it is.
#[derive(Debug, Default)]
pub(super) struct Descriptions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The table that they describe.
    version: u64,
    for_everybody: Option<Arc<RawValue>>,
    /// Oldest first.
    kept: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// The mounts that it describes.
    uuids: Vec<String>,
    left_out: usize,
    document: Arc<RawValue>,
}

impl Mounts {
    /// Describes the mounts that every vault has: that they are there is no secret.
    pub(crate) fn describe_for_everybody(&self) -> Result<Arc<RawValue>, Fault> {
        let mut known = self.known_descriptions();
        if let Some(document) = &known.for_everybody {
            return Ok(Arc::clone(document));
        }
        let mounts = self.visible(|mount| mount.record.is_system());
        let document = describe(&mounts, 0)?;
        known.for_everybody = Some(Arc::clone(&document));
        Ok(document)
    }

    /// Describes the mounts that a caller sees: those that every vault has, and the first
    /// [`DESCRIBED_MAX`] of the others.
    pub(crate) fn describe(&self, sees: impl Fn(&Mount) -> bool) -> Result<Arc<RawValue>, Fault> {
        // INVARIANT: the version is older than the mounts, so that what is kept is never newer in
        // name than in what it says.
        let version = self.table.read().version;
        let mut mounts = self.visible(sees);
        let every = mounts.partition_point(|mount| mount.record.is_system());
        let left_out = mounts.len().saturating_sub(every + DESCRIBED_MAX);
        mounts.truncate(every + DESCRIBED_MAX);
        let uuids: Vec<String> = (mounts.iter())
            .map(|mount| mount.record.uuid.clone())
            .collect();
        let mut known = self.known_descriptions();
        let same = |kept: &&Kept| kept.uuids == uuids && kept.left_out == left_out;
        if let Some(kept) = known.kept.iter().find(same) {
            return Ok(Arc::clone(&kept.document));
        }
        let document = describe(&mounts, left_out)?;
        if known.version == version {
            known.kept.push_back(Kept {
                uuids,
                left_out,
                document: Arc::clone(&document),
            });
            if known.kept.len() > KEPT_MAX {
                known.kept.pop_front();
            }
        }
        Ok(document)
    }

    /// What is known of the table as it is. Whoever holds it makes what is missing, once for all who
    /// wait.
    fn known_descriptions(&self) -> parking_lot::MutexGuard<'_, Known> {
        let mut known = self.descriptions.0.lock();
        let version = self.table.read().version;
        if known.version != version {
            *known = Known {
                version,
                ..Known::default()
            };
        }
        known
    }

    /// Mounts in the order in which they are described: first those that every vault has.
    fn visible(&self, sees: impl Fn(&Mount) -> bool) -> Vec<Arc<Mount>> {
        let all = [Class::Secret, Class::Auth].map(|class| self.all(class));
        let mut visible: Vec<_> = (all.into_iter().flatten())
            .filter(|mount| sees(mount))
            .collect();
        visible.sort_by_key(|mount| !mount.record.is_system());
        visible
    }
}

fn describe(mounts: &[Arc<Mount>], left_out: usize) -> Result<Arc<RawValue>, Fault> {
    let mut document = Document::default();
    for mount in mounts {
        let prefix = format!("/{}", mount.path);
        mount.engine.describe(&mut document, &prefix, None);
    }
    if left_out > 0 {
        document.note(&format!(
            "{left_out} more mounts are not described: ask for their help."
        ));
    }
    let document = document.finish(env!("CARGO_PKG_VERSION"));
    to_raw_value(&document)
        .map(Arc::from)
        .map_err(Fault::internal)
}
