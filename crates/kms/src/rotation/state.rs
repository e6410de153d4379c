//! What is written down of a rotation, and what is told of it.

use super::{FAILURES_TOLD_MAX, Rewrapped, RotationError};
use crate::{KeyId, KeyInfo};
use secretum_crypto::Timestamp;
use serde::{Deserialize, Serialize};

/// What a store keeps of the rotations of a key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RotationState {
    /// When the last one ended.
    #[serde(default)]
    pub rotated_at: Option<Timestamp>,
    /// The one that is under way, or stopped.
    #[serde(default)]
    pub under_way: Option<RotationProgress>,
}

/// How far a rotation came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationProgress {
    /// The key that its name stood for when it began, which an alias need not do any longer.
    #[serde(default)]
    pub key: Option<String>,
    /// Whether the key is given no new version: its data keys are wrapped under the newest that is there.
    #[serde(default)]
    pub rewraps_only: bool,
    /// The version when it began.
    pub from: String,
    /// The version that data keys are wrapped under; `None` until the key is rotated.
    pub version: Option<String>,
    /// The last data key that was looked at.
    pub after: Option<String>,
    /// Data keys that were wrapped anew.
    pub rewrapped: u64,
    /// Data keys that needed nothing.
    pub untouched: u64,
    /// Data keys that could not be wrapped anew. They stay as they are.
    pub failed: u64,
    /// The ids of the first [`FAILURES_TOLD_MAX`] of those.
    pub failures: Vec<String>,
    /// Data keys that the service would have wrapped under an older version again. They are visited
    /// once more.
    #[serde(default)]
    pub left: u64,
    /// How many were left the last time.
    #[serde(default)]
    pub waiting: u64,
}

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRotationResult {
    /// The key.
    pub key: KeyId,
    /// The version when it began.
    pub from: String,
    /// The version that data keys are wrapped under now.
    pub version: String,
    /// Data keys that were wrapped anew.
    pub rewrapped: u64,
    /// Data keys that needed nothing.
    pub untouched: u64,
    /// Data keys that could not be wrapped anew, and stay as they are.
    pub failed: u64,
    /// The ids of the first [`FAILURES_TOLD_MAX`] of those.
    pub failures: Vec<String>,
}

impl RotationProgress {
    /// The data keys of older versions than this one are wrapped anew.
    pub(super) fn rewrapping(now: &KeyInfo) -> Self {
        Self {
            rewraps_only: true,
            version: Some(now.version.as_str().to_owned()),
            ..Self::rotating(now)
        }
    }

    /// Whether data keys are wrapped under what is the newest version now.
    pub(super) fn is_about(&self, now: &KeyInfo) -> bool {
        self.key.as_deref() == Some(now.key.as_str())
            && self.version.as_deref() == Some(now.version.as_str())
    }

    /// A rotation of this key that has not begun.
    pub(super) fn rotating(before: &KeyInfo) -> Self {
        Self {
            key: Some(before.key.as_str().to_owned()),
            rewraps_only: false,
            from: before.version.as_str().to_owned(),
            version: None,
            after: None,
            rewrapped: 0,
            untouched: 0,
            failed: 0,
            failures: Vec::new(),
            left: 0,
            waiting: 0,
        }
    }

    /// Every data key is visited once more; what was wrapped anew so far stays counted.
    pub(super) fn begin_again(&mut self) {
        self.after = None;
        self.untouched = 0;
        self.failed = 0;
        self.failures.clear();
        self.waiting = std::mem::take(&mut self.left);
    }

    /// So many data keys wait for the service to encrypt under the new version.
    pub(super) fn pending(&self, key: &KeyId, left: u64) -> RotationError {
        RotationError::NewVersionPending {
            key: key.clone(),
            version: self.version.clone().unwrap_or_default(),
            left,
        }
    }

    /// The key that is rotated, which was asked for by the name `asked`.
    pub(super) fn meant(&self, asked: &KeyId) -> KeyId {
        let key = self.key.as_deref().and_then(|key| KeyId::new(key).ok());
        key.unwrap_or_else(|| asked.clone())
    }

    pub(super) fn count(&mut self, outcome: &Rewrapped, id: &str) {
        match outcome {
            Rewrapped::Done => self.rewrapped += 1,
            Rewrapped::Untouched => self.untouched += 1,
            Rewrapped::Failed => {
                self.failed += 1;
                if self.failures.len() < FAILURES_TOLD_MAX {
                    self.failures.push(id.to_owned());
                }
            }
            Rewrapped::Left => self.left += 1,
        }
    }

    pub(super) fn into_result(self, key: &KeyId) -> KeyRotationResult {
        KeyRotationResult {
            key: key.clone(),
            version: self.version.unwrap_or_default(),
            from: self.from,
            rewrapped: self.rewrapped,
            untouched: self.untouched,
            failed: self.failed,
            failures: self.failures,
        }
    }
}
