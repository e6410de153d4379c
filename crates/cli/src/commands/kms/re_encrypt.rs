//! `kms re-encrypt`: a ciphertext, an envelope or a file under another key, version or context.

use super::connection::{self, Connection, Context, Opened};
use super::encrypt::INPUT_BYTES_MAX;
use super::form::{self, BEGINNING_BYTES, Form};
use super::interrupt::{guarded, in_thread};
use super::output::{Privacy, Target};
use super::pipe::{self, Input, Output};
use crate::failure::Failure;
use clap::Args;
use secretum_kms::stream::StreamHead;
use secretum_kms::{Ciphertext, EncryptedEnvelope, EncryptionContext, KeyId, KmsError};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};

/// What to do with what a terminal would not show.
const BINARY_INSTEAD: &str = "send it to a file: -out=FILE";

/// Encrypts a ciphertext anew: under the newest version of its key, another key or another context
///
/// It takes what `kms encrypt` made, envelopes, and files of `kms encrypt-file`. Of the last two only
/// the wrapped data key changes. It comes back in the form that it had.
///
///   secretum kms re-encrypt -context=env=prod -in=old.enc -out=new.enc
///   secretum kms re-encrypt -context=env=dev -new-context=env=prod -new-key=orders -in=old >new
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ReEncrypt {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    context: Context,
    /// Key to encrypt under from now on [default: the same key]
    #[arg(long, value_name = "NAME", value_parser = connection::key)]
    new_key: Option<KeyId>,
    /// What it is bound to from now on, as -context [default: the same]
    #[arg(long, value_name = "PAIRS")]
    new_context: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

impl ReEncrypt {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let output = self.output.clone();
        guarded(&output, self.work()).await
    }

    async fn work(self) -> Result<(), Failure> {
        self.output.check()?;
        let context = self.context.read()?;
        let anew = Anew {
            opened: self.connection.open()?,
            new_context: match self.new_context.as_slice() {
                [] => context.clone(),
                texts => connection::context_of(texts)?,
            },
            context,
            new_key: self.new_key,
        };
        let source = self.input.source().await?;
        let (beginning, file) = in_thread(move || read(source.file))
            .await?
            .map_err(unreadable)?;
        if Form::of(&beginning) == Some(Form::Stream) {
            return anew.stream(beginning, file, &self.output).await;
        }
        let made = anew.whole(&beginning).await?;
        let target = self.output.open(Privacy::Public).await?;
        pipe::check_shown(&target, &made, BINARY_INSTEAD)?;
        target.write(&made).await
    }
}

/// The beginning of a stream, or all of anything else; and the file behind that.
fn read(file: File) -> std::io::Result<(Vec<u8>, File)> {
    let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let mut beginning = Vec::new();
    (&file)
        .take(bytes(BEGINNING_BYTES))
        .read_to_end(&mut beginning)?;
    if Form::of(&beginning) != Some(Form::Stream) {
        (&file)
            .take(bytes(INPUT_BYTES_MAX))
            .read_to_end(&mut beginning)?;
    }
    Ok((beginning, file))
}

/// How ciphertexts are encrypted anew.
struct Anew {
    opened: Opened,
    context: EncryptionContext,
    new_key: Option<KeyId>,
    new_context: EncryptionContext,
}

impl Anew {
    async fn ciphertext(&self, old: &Ciphertext) -> Result<Ciphertext, Failure> {
        let new_key = self.new_key.as_ref().unwrap_or(old.key());
        let kms = &self.opened.kms;
        let made = kms.re_encrypt(old, &self.context, new_key, &self.new_context);
        Ok(made.await?)
    }

    /// A ciphertext or an envelope, in the form that it had.
    async fn whole(&self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        if Form::of(bytes) == Some(Form::Envelope) {
            let envelope = EncryptedEnvelope::from_bytes(bytes).map_err(KmsError::from)?;
            let wrapped_key = self.ciphertext(envelope.wrapped_key()).await?;
            return Ok(envelope.with_wrapped_key(wrapped_key).to_bytes());
        }
        let made = self.ciphertext(&form::ciphertext(bytes)?).await?;
        Ok(match Form::of(bytes) {
            Some(Form::Bytes) => made.to_bytes(),
            _ => (made.to_base64() + "\n").into_bytes(),
        })
    }

    /// A new head before the same chunks.
    async fn stream(&self, beginning: Vec<u8>, file: File, output: &Output) -> Result<(), Failure> {
        let read = in_thread(move || {
            let mut rest = std::io::Cursor::new(beginning).chain(file);
            StreamHead::read(&mut rest).map(|head| (head, rest))
        });
        let (head, mut rest) = read.await??;
        let head = head.with_wrapped_key(self.ciphertext(head.wrapped_key()).await?);
        let target = output.open(Privacy::Public).await?;
        // The chunks are no text.
        pipe::check_shown(&target, &[0], BINARY_INSTEAD)?;
        let mut writer = target.writer()?;
        let copied = in_thread(move || {
            writer.write_all(&head.to_bytes())?;
            std::io::copy(&mut rest, &mut writer)
        });
        copied.await?.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe if matches!(target, Target::Stdout) => Failure::ClosedPipe,
            _ => Failure::local(format!("cannot copy the file: {error}")),
        })?;
        target.finish()
    }
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::local(format!("cannot read the input: {error}"))
}
