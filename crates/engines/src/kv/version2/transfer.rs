//! `copy/` and `move/`: a secret with all its versions and what is known of it, in one commit.
//!
//! They stand beside Vault's API, whose clients never use these paths. The request's own path is the
//! destination; what is done at the source, and at the destination, is asked of the policies as the
//! requests would be that do the same one by one. So nobody gets at anything in this way that could
//! not be had otherwise.

use super::Kv2;
use super::data::READ_TRIES;
use super::secret::Secret;
use crate::kv::{KvError, SecretPath};
use schemars::JsonSchema;
use secretum_api::fields::{Count, JsonObject};
use secretum_crypto::Timestamp;
use secretum_engine::{Context, Exists, Fault, Handle, Input, Reply, Touch, Touches, Verb, Writes};
use secretum_storage::BATCH_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// What the commit has beside the secret, in bytes: what encryption adds to keys and values, and what
/// the core adds to the batch.
const OVERHEAD_BYTES: usize = 64 * 1024;

/// The largest secret that is copied or moved, in bytes: keys, values and metadata together, and what
/// they replace or remove.
pub(super) const TRANSFER_BYTES_MAX: usize = BATCH_BYTES_MAX - OVERHEAD_BYTES;

/// Copies a secret to this path, with all its versions and what is known of it.
///
/// The caller needs, beside the right to this path, `read` on `data/` and `metadata/` of the source,
/// and `create` or `update` on `data/` and `metadata/` of the destination; to overwrite, `delete` on
/// its `metadata/`, too.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CopySecret {
    /// Path of the destination.
    path: SecretPath,
    /// Path of the secret that is copied.
    source: SecretPath,
    /// The newest version at the destination, which is overwritten with its history; without it
    /// nothing may be there.
    #[serde(default)]
    cas: Option<Count>,
}

/// Moves a secret to this path, with all its versions and what is known of it.
///
/// The caller needs what a copy needs, and `delete` on `metadata/` of the source.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct MoveSecret {
    /// Path of the destination.
    path: SecretPath,
    /// Path of the secret that is moved.
    source: SecretPath,
    /// The newest version at the destination, which is overwritten with its history; without it
    /// nothing may be there.
    #[serde(default)]
    cas: Option<Count>,
}

/// What was copied or moved.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Transferred {
    /// The newest version.
    current_version: u64,
    /// How many versions have a value.
    versions: usize,
}

/// From where to where.
struct Transfer {
    source: SecretPath,
    destination: SecretPath,
    cas: Option<Count>,
    removes_source: bool,
}

impl From<CopySecret> for Transfer {
    fn from(request: CopySecret) -> Self {
        Self {
            source: request.source,
            destination: request.path,
            cas: request.cas,
            removes_source: false,
        }
    }
}

impl From<MoveSecret> for Transfer {
    fn from(request: MoveSecret) -> Self {
        Self {
            source: request.source,
            destination: request.path,
            cas: request.cas,
            removes_source: true,
        }
    }
}

/// Paths that a transfer touches.
fn touches(source: &SecretPath, destination: &SecretPath, cas: Option<Count>) -> Vec<Touch> {
    let touch = |verb, area: &str, path: &SecretPath, fields| Touch {
        verb,
        path: format!("{area}/{}", path.as_str()),
        fields,
    };
    let mut touches = vec![
        // Every version goes along, those that are deleted softly included.
        touch(Verb::Read, "data", source, &["version"]),
        touch(Verb::Write, "undelete", source, &["versions"]),
        touch(Verb::Read, "metadata", source, &[]),
        touch(Verb::Write, "data", destination, DATA_FIELDS),
        touch(Verb::Write, "metadata", destination, METADATA_FIELDS),
    ];
    if cas.is_some() {
        touches.push(touch(Verb::Delete, "metadata", destination, &[]));
    }
    touches
}

/// What a write of `data/` brings.
const DATA_FIELDS: &[&str] = &["data", "options"];

/// What a write of `metadata/` brings.
const METADATA_FIELDS: &[&str] = &[
    "max_versions",
    "cas_required",
    "metadata_cas_required",
    "delete_version_after",
    "custom_metadata",
];

impl Touches<CopySecret> for Kv2 {
    fn touches(request: &CopySecret) -> Vec<Touch> {
        touches(&request.source, &request.path, request.cas)
    }
}

impl Touches<MoveSecret> for Kv2 {
    fn touches(request: &MoveSecret) -> Vec<Touch> {
        let mut touches = touches(&request.source, &request.path, request.cas);
        touches.push(Touch {
            verb: Verb::Delete,
            path: format!("metadata/{}", request.source.as_str()),
            fields: &[],
        });
        touches
    }
}

impl Handle<CopySecret> for Kv2 {
    type Data = Transferred;
    type Error = KvError;

    async fn handle(
        &self,
        request: CopySecret,
        context: &Context,
    ) -> Result<Reply<Transferred>, KvError> {
        self.transfer(&request.into(), context.clock.now()).await
    }
}

impl Exists<CopySecret> for Kv2 {
    async fn exists(&self, input: &Input<'_>, _: &Context) -> Result<bool, KvError> {
        Ok(self.find(input.capture("path")).await?.is_some())
    }
}

impl Handle<MoveSecret> for Kv2 {
    type Data = Transferred;
    type Error = KvError;

    async fn handle(
        &self,
        request: MoveSecret,
        context: &Context,
    ) -> Result<Reply<Transferred>, KvError> {
        self.transfer(&request.into(), context.clock.now()).await
    }
}

impl Exists<MoveSecret> for Kv2 {
    async fn exists(&self, input: &Input<'_>, _: &Context) -> Result<bool, KvError> {
        Ok(self.find(input.capture("path")).await?.is_some())
    }
}

impl Kv2 {
    async fn transfer(
        &self,
        transfer: &Transfer,
        now: Timestamp,
    ) -> Result<Reply<Transferred>, KvError> {
        if transfer.source == transfer.destination {
            return Err(KvError::SamePath);
        }
        let destination = transfer.destination.as_str();
        for _ in 0..READ_TRIES {
            let source = self.find(transfer.source.as_str()).await?;
            let source = source.ok_or(KvError::NoSource)?;
            let found = self.find(destination).await?;
            check_place(found.as_ref(), transfer.cas)?;
            let Some(values) = self.values(&source, now).await? else {
                // Between the reads a writer dropped a version: look again.
                continue;
            };
            let mut meta = source.meta.clone();
            for version in meta.versions.values_mut() {
                version.destroyed = version.is_destroyed(now);
            }
            let arrives = self.put_whole((destination, &meta), &values, found.as_ref())?;
            let leaves = self.leave(&source, transfer.removes_source)?;
            if arrives.batch.bytes() + leaves.batch.bytes() > TRANSFER_BYTES_MAX {
                return Err(KvError::TooLargeToTransfer);
            }
            let told = Transferred {
                current_version: meta.current,
                versions: values.len(),
            };
            return Ok(Reply::data(told).with_writes(arrives).with_writes(leaves));
        }
        Err(Fault::Unavailable("the secret is being changed by others: try again".into()).into())
    }

    /// What becomes of the source: it stays as it was read, or goes.
    fn leave(&self, source: &Secret, removes: bool) -> Result<Writes, Fault> {
        if removes {
            self.remove(source)
        } else {
            Ok(self.require(source)?.into())
        }
    }

    /// The values of all versions that have one; `None` where one went since the metadata was read.
    ///
    /// **Errors**: [`KvError::TooLargeToTransfer`] as soon as they are.
    async fn values(
        &self,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<Option<Vec<(u64, JsonObject)>>, KvError> {
        let (mut values, mut bytes) = (Vec::new(), 0_usize);
        for (version, meta) in &secret.meta.versions {
            if meta.is_destroyed(now) {
                continue;
            }
            let Some(value) = self.value(secret, *version).await? else {
                return Ok(None);
            };
            bytes = bytes.saturating_add(value.get().len());
            if bytes > TRANSFER_BYTES_MAX {
                return Err(KvError::TooLargeToTransfer);
            }
            values.push((*version, value));
        }
        Ok(Some(values))
    }
}

/// Whether a secret may be put where this was found.
fn check_place(found: Option<&Secret>, cas: Option<Count>) -> Result<(), KvError> {
    match (found, cas) {
        (None, None | Some(Count(0))) => Ok(()),
        (Some(_), None) => Err(KvError::Occupied),
        (found, Some(cas)) => match found {
            Some(found) if found.meta.current == cas.0 => Ok(()),
            _ => Err(KvError::CasMismatch),
        },
    }
}
