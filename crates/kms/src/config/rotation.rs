//! `[kms.rotation]`: keys that are rotated by schedule.

use super::Stage;
use super::section::{Reader, Section};
use crate::KeyId;
use std::path::PathBuf;
use std::time::Duration;

/// The most keys of a schedule.
const KEYS_MAX: usize = 100;

/// The shortest life of a version in production.
const EVERY_MIN: Duration = Duration::from_secs(3600);

/// Which keys are rotated, and how often. It is for who runs on: `kms-service`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationSchedule {
    /// The line of its table, from 1.
    pub line: usize,
    /// How old a version becomes.
    pub every: Duration,
    /// The keys; the one that serves where it is empty.
    pub keys: Vec<KeyId>,
    /// The folder where it is written down when a key was rotated, where no storage of data keys holds it.
    pub state_path: Option<PathBuf>,
}

pub(super) fn rotation(
    reader: &mut Reader<'_>,
    kms: Section<'_>,
    stage: Stage,
) -> Option<RotationSchedule> {
    let section = kms.below(reader, "rotation", "kms.rotation");
    section.only(reader, &["every", "keys", "state_path"], &[]);
    section.table?;
    if !section.has("every") {
        reader.fault(
            section.at,
            "[kms.rotation] does not say how often; write every = \"90d\"",
        );
        return None;
    }
    let every = section.duration(reader, "every");
    if stage == Stage::Production && every.is_some_and(|every| every < EVERY_MIN) {
        reader.fault(
            section.find("every").map(|found| found.at),
            "`every` is less than an hour, and versions of keys are not taken back; write \"1h\" or more, as \"90d\"",
        );
        return None;
    }
    let keys = keys(reader, section);
    let state_path = match section.has("state_path") {
        true => Some(section.path(reader, "state_path")?),
        false => None,
    };
    Some(RotationSchedule {
        line: reader.line(section.at.unwrap_or_default()),
        every: every?,
        keys: keys?,
        state_path,
    })
}

fn keys(reader: &mut Reader<'_>, section: Section<'_>) -> Option<Vec<KeyId>> {
    let mut keys = Vec::new();
    for found in section.texts(reader, "keys")? {
        match KeyId::new(found.value) {
            Ok(key) if !keys.contains(&key) => keys.push(key),
            Ok(_) => reader.fault(Some(found.at), "`keys` names this key twice"),
            Err(_) => reader.fault(
                Some(found.at),
                "`keys` holds what is not the identifier of a key; write names without control characters",
            ),
        }
    }
    if keys.len() > KEYS_MAX {
        let message = format!("`keys` names more than {KEYS_MAX} keys");
        reader.fault(section.at, message);
        return None;
    }
    Some(keys)
}
