//! [`Mover`]: one file from one key service to the other.

use super::tree::TEMPORARY;
use crate::commands::kms::connection::Opened;
use crate::commands::kms::form::{self, Form, MARK_BYTES, TEXT_BYTES_MAX};
use crate::commands::kms::interrupt::in_thread;
use crate::commands::kms::output::{self, Privacy, failed};
use crate::failure::Failure;
use secretum_crypto::sha256;
use secretum_kms::stream::StreamHead;
use secretum_kms::{
    Ciphertext, ENVELOPE_PLAINTEXT_BYTES_MAX, EncryptedEnvelope, EncryptionContext, KeyId,
    KeyManagementService, KmsError, SecretBytes,
};
use std::fs::{File, Metadata};
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tempfile::NamedTempFile;

/// From where to where.
#[derive(Debug)]
pub(super) struct Mover {
    pub(super) from: Opened,
    pub(super) to: Opened,
    /// The names of both, as they stand in ciphertexts.
    pub(super) backends: (String, String),
    /// The key from now on.
    pub(super) key: KeyId,
    pub(super) context: EncryptionContext,
    pub(super) new_context: EncryptionContext,
    /// Whether nothing is to be changed.
    pub(super) is_dry: bool,
    /// Whether the new service is to open what it encrypted.
    pub(super) verifies: bool,
}

/// What became of a file.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It can take its place.
    Ready(Box<Ready>),
    /// It is, or would be, under the new service.
    Moved,
    /// It was under the new service already.
    Already,
    /// It is nothing of this library.
    Foreign,
}

/// A file that can take its place.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) temporary: NamedTempFile,
    /// What tells it from what it was.
    pub(super) mark: String,
    facts: Metadata,
}

/// A file as it was found.
struct Found {
    /// The whole of a ciphertext, or the wrapped data key.
    wrapped: Ciphertext,
    body: Body,
    facts: Metadata,
}

enum Body {
    /// A ciphertext as bytes.
    Bytes,
    /// A ciphertext as text, and what stands behind it.
    Text(&'static str),
    Envelope(Box<EncryptedEnvelope>),
    /// Its head, and the file behind that.
    Stream(Box<StreamHead>, std::io::Chain<Cursor<Vec<u8>>, File>),
}

impl Mover {
    /// Prepares a file; `known` is what the journal says that it will be.
    pub(super) async fn prepare(
        &self,
        path: &Path,
        known: Option<&String>,
    ) -> Result<Outcome, Failure> {
        let Some(found) = find(path)? else {
            return Ok(Outcome::Foreign);
        };
        let (old, new) = &self.backends;
        let provider = found.wrapped.provider();
        if known == Some(&mark(&found.wrapped)) || (old != new && provider == new) {
            return Ok(Outcome::Already);
        }
        let is_data_key = found.is_data_key();
        let from = self.from.kms.as_ref();
        let plaintext = match open(from, &found.wrapped, &self.context, is_data_key).await {
            Ok(plaintext) => plaintext,
            Err(error) => return self.not_opened(&found, error).await,
        };
        if self.is_dry {
            return Ok(Outcome::Moved);
        }
        let made = self.wrap(&plaintext, is_data_key).await?;
        let mark = mark(&made);
        let facts = found.facts.clone();
        let temporary = write(path, found, made).await?;
        Ok(Outcome::Ready(Box::new(Ready {
            temporary,
            mark,
            facts,
        })))
    }

    /// What the old service does not open may be under the new one already: written there by an
    /// application, or by a run whose journal is lost.
    async fn not_opened(&self, found: &Found, error: KmsError) -> Result<Outcome, Failure> {
        if !error.is_service_fault() {
            let to = self.to.kms.as_ref();
            let opened = open(to, &found.wrapped, &self.new_context, found.is_data_key());
            if opened.await.is_ok() {
                return Ok(Outcome::Already);
            }
        }
        Err(error.into())
    }

    async fn wrap(
        &self,
        plaintext: &SecretBytes,
        is_data_key: bool,
    ) -> Result<Ciphertext, KmsError> {
        let to = self.to.kms.as_ref();
        let made = to
            .encrypt(&self.key, plaintext.expose(), &self.new_context)
            .await?;
        if self.verifies {
            let opened = open(to, &made, &self.new_context, is_data_key).await?;
            if opened != *plaintext {
                return Err(KmsError::NotAuthentic {
                    key: made.key().clone(),
                });
            }
        }
        Ok(made)
    }
}

impl Found {
    fn is_data_key(&self) -> bool {
        matches!(self.body, Body::Envelope(_) | Body::Stream(..))
    }
}

impl Ready {
    /// Fails where somebody wrote the file while it was prepared: what they wrote is not lost.
    pub(super) fn check_unchanged(&self, path: &Path) -> Result<(), Failure> {
        let facts = std::fs::symlink_metadata(path);
        let facts = facts.map_err(|error| failed("read", path, &error))?;
        let told = |facts: &Metadata| {
            let changed = (facts.mtime(), facts.mtime_nsec());
            (facts.dev(), facts.ino(), facts.len(), changed)
        };
        if told(&facts) == told(&self.facts) {
            return Ok(());
        }
        Err(Failure::local(
            "it was changed while it was being migrated; run the command again",
        ))
    }

    /// Has all of it on the disk.
    pub(super) fn sync(&self, path: &Path) -> Result<(), Failure> {
        let synced = self.temporary.as_file().sync_all();
        synced.map_err(|error| failed("write", path, &error))
    }
}

/// What tells a file that was migrated from what it was.
fn mark(wrapped: &Ciphertext) -> String {
    hex::encode(sha256(&wrapped.to_bytes()))
}

async fn open(
    kms: &dyn KeyManagementService,
    wrapped: &Ciphertext,
    context: &EncryptionContext,
    is_data_key: bool,
) -> Result<SecretBytes, KmsError> {
    if is_data_key {
        kms.decrypt_data_key(wrapped, context).await
    } else {
        kms.decrypt(wrapped, context).await
    }
}

/// Reads a file as far as its wrapped key; `None` where it is nothing of this library.
fn find(path: &Path) -> Result<Option<Found>, Failure> {
    let unreadable = |error| failed("read", path, &error);
    let file = File::open(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    let bytes_of = |limit: usize| {
        let mut bytes = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let read = (&file).take(limit).read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(unreadable)
    };
    let mut bytes = bytes_of(MARK_BYTES)?;
    let (wrapped, body) = match Form::of(&bytes) {
        None => return Ok(None),
        Some(Form::Bytes) => {
            bytes.extend(bytes_of(TEXT_BYTES_MAX)?);
            (form::ciphertext(&bytes)?, Body::Bytes)
        }
        Some(Form::Text) => {
            bytes.extend(bytes_of(TEXT_BYTES_MAX)?);
            let end = if bytes.ends_with(b"\n") { "\n" } else { "" };
            (form::ciphertext(&bytes)?, Body::Text(end))
        }
        Some(Form::Envelope) => {
            bytes.extend(bytes_of(ENVELOPE_PLAINTEXT_BYTES_MAX + (2 << 20))?);
            let envelope = EncryptedEnvelope::from_bytes(&bytes).map_err(KmsError::from)?;
            let wrapped = envelope.wrapped_key().clone();
            (wrapped, Body::Envelope(Box::new(envelope)))
        }
        Some(Form::Stream) => {
            let mut rest = Cursor::new(bytes).chain(file);
            let head = StreamHead::read(&mut rest)?;
            let wrapped = head.wrapped_key().clone();
            (wrapped, Body::Stream(Box::new(head), rest))
        }
    };
    Ok(Some(Found {
        wrapped,
        body,
        facts,
    }))
}

/// Writes the file as it will be, beside its place and with its rights.
async fn write(path: &Path, found: Found, made: Ciphertext) -> Result<NamedTempFile, Failure> {
    let unwritable = |error| failed("write", path, &error);
    let temporary = output::beside(path, Privacy::Private, TEMPORARY).map_err(unwritable)?;
    let mut file = temporary.as_file().try_clone().map_err(unwritable)?;
    let facts = found.facts;
    let body = found.body;
    let written = in_thread(move || {
        match body {
            Body::Bytes => file.write_all(&made.to_bytes())?,
            Body::Text(end) => file.write_all((made.to_base64() + end).as_bytes())?,
            Body::Envelope(envelope) => {
                file.write_all(&envelope.with_wrapped_key(made).to_bytes())?;
            }
            Body::Stream(head, mut rest) => {
                file.write_all(&head.with_wrapped_key(made).to_bytes())?;
                std::io::copy(&mut rest, &mut file)?;
            }
        }
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (facts.uid(), facts.gid()) {
            std::os::unix::fs::fchown(&file, Some(facts.uid()), Some(facts.gid()))?;
        }
        file.set_permissions(facts.permissions())
    });
    written.await?.map_err(unwritable)?;
    Ok(temporary)
}
