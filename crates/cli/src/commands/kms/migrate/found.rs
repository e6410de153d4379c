//! [`Found`]: a file as it was found, in memory for which there is [`Room`].

use crate::commands::kms::form::{self, BEGINNING_BYTES, Form, TEXT_BYTES_MAX};
use crate::commands::kms::output::failed;
use crate::failure::Failure;
use secretum_kms::stream::StreamHead;
use secretum_kms::{Ciphertext, ENVELOPE_PLAINTEXT_BYTES_MAX, EncryptedEnvelope, KmsError};
use std::fs::{File, Metadata};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The most bytes of an envelope: of its plaintext, and of what stands around.
const ENVELOPE_BYTES_MAX: usize = ENVELOPE_PLAINTEXT_BYTES_MAX + (2 << 20);

/// What is counted as one.
const UNIT_BYTES: u64 = 1 << 10;

/// The most units of all files in memory: one of the largest envelopes, or many small ones. Each has a copy
/// for a moment.
const UNITS_MAX: u32 = 258 << 10;

const _: () = assert!(ENVELOPE_BYTES_MAX as u64 == UNITS_MAX as u64 * UNIT_BYTES);

/// Room in memory for files.
#[derive(Debug)]
pub(super) struct Room(Semaphore);

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(UNITS_MAX as usize))
    }
}

impl Room {
    /// Waits for room for what a file holds; it is given back with its value.
    pub(super) async fn take(&self, begun: &Begun) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.0.acquire_many(begun.units()).await.ok()
    }
}

/// A file whose beginning was read.
pub(super) struct Begun {
    path: PathBuf,
    file: File,
    facts: Metadata,
    form: Form,
    beginning: Vec<u8>,
}

/// A file as it was found.
pub(super) struct Found {
    /// The whole of a ciphertext, or the wrapped data key.
    pub(super) wrapped: Ciphertext,
    pub(super) body: Body,
    pub(super) facts: Metadata,
}

pub(super) enum Body {
    /// A ciphertext as bytes.
    Bytes,
    /// A ciphertext as text, and what stands before and behind it.
    Text(Vec<u8>, Vec<u8>),
    Envelope(Box<EncryptedEnvelope>),
    /// Its head, and the file behind that.
    Stream(Box<StreamHead>, std::io::Chain<Cursor<Vec<u8>>, File>),
}

impl Begun {
    /// Reads the beginning of a file; `None` where it is nothing of this library.
    pub(super) fn of(path: &Path) -> Result<Option<Self>, Failure> {
        let unreadable = |error| failed("read", path, &error);
        let file = File::open(path).map_err(unreadable)?;
        let facts = file.metadata().map_err(unreadable)?;
        let mut beginning = Vec::new();
        let limit = u64::try_from(BEGINNING_BYTES).unwrap_or(u64::MAX);
        let read = (&file).take(limit).read_to_end(&mut beginning);
        read.map_err(unreadable)?;
        Ok(Form::of(&beginning).map(|form| Self {
            path: path.to_owned(),
            file,
            facts,
            form,
            beginning,
        }))
    }

    /// The most that is read of it.
    fn limit(&self) -> usize {
        match self.form {
            Form::Bytes | Form::Text => TEXT_BYTES_MAX,
            Form::Envelope => ENVELOPE_BYTES_MAX,
            Form::Stream => 0,
        }
    }

    /// The room that it takes.
    fn units(&self) -> u32 {
        let limit = u64::try_from(self.limit()).unwrap_or(u64::MAX);
        let bytes = self.facts.len().min(limit);
        u32::try_from(bytes.div_ceil(UNIT_BYTES)).map_or(UNITS_MAX, |units| units.min(UNITS_MAX))
    }

    /// Reads it as far as it is wanted.
    pub(super) fn read(self) -> Result<Found, Failure> {
        let limit = u64::try_from(self.limit()).unwrap_or(u64::MAX);
        let (file, mut bytes) = (self.file, self.beginning);
        let rest = (&file).take(limit).read_to_end(&mut bytes);
        rest.map_err(|error| failed("read", &self.path, &error))?;
        let (wrapped, body) = match self.form {
            Form::Bytes => (form::ciphertext(&bytes)?, Body::Bytes),
            Form::Text => {
                if u64::try_from(bytes.len()).unwrap_or(u64::MAX) < self.facts.len() {
                    return Err(Failure::local("it is longer than any ciphertext"));
                }
                let (before, after) = form::around(&bytes);
                let body = Body::Text(before.to_vec(), after.to_vec());
                (form::ciphertext(&bytes)?, body)
            }
            Form::Envelope => {
                let envelope = EncryptedEnvelope::from_bytes(&bytes).map_err(KmsError::from)?;
                let wrapped = envelope.wrapped_key().clone();
                (wrapped, Body::Envelope(Box::new(envelope)))
            }
            Form::Stream => {
                let mut rest = Cursor::new(bytes).chain(file);
                let head = StreamHead::read(&mut rest)?;
                let wrapped = head.wrapped_key().clone();
                (wrapped, Body::Stream(Box::new(head), rest))
            }
        };
        Ok(Found {
            wrapped,
            body,
            facts: self.facts,
        })
    }
}

impl Found {
    pub(super) fn is_data_key(&self) -> bool {
        matches!(self.body, Body::Envelope(_) | Body::Stream(..))
    }
}
