//! [`DataKeyStore`]: where an application keeps its wrapped data keys.

use super::RotationState;
use crate::{Ciphertext, EncryptionContext, KeyId};
use async_trait::async_trait;
use std::fmt;

/// A wrapped data key of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDataKey {
    /// What finds it again.
    pub id: String,
    /// The data key.
    pub wrapped: Ciphertext,
    /// The context that it was wrapped with.
    pub context: EncryptionContext,
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store of data keys: {0}")]
pub struct StoreError(pub String);

/// Where an application keeps its wrapped data keys, and what is written down of rotations.
#[async_trait]
pub trait DataKeyStore: Send + Sync + fmt::Debug {
    /// Data keys behind `after`, sorted by id, at most `limit` of them; none at the end.
    async fn page(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredDataKey>, StoreError>;

    /// Puts the new form in the place of the old one, where the old one still stands there, in one
    /// step that is on disk when this returns; whether it did.
    async fn replace(
        &self,
        id: &str,
        old: &Ciphertext,
        new: &Ciphertext,
    ) -> Result<bool, StoreError>;

    /// What was written down last of the rotations of this key.
    async fn load(&self, key: &KeyId) -> Result<Option<RotationState>, StoreError>;

    /// Writes it down.
    async fn save(&self, key: &KeyId, state: &RotationState) -> Result<(), StoreError>;
}
