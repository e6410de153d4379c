//! `kms encrypt` and `kms decrypt`: what fits into one call.

use super::connection::{self, Connection, Context, Opened};
use super::form::{self, Form};
use super::interrupt::guarded;
use super::output::Privacy;
use super::pipe::{self, Input, Output};
use super::shown;
use crate::arguments::flags::Field;
use crate::failure::Failure;
use crate::output::Style;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use secretum_kms::{
    Ciphertext, ENVELOPE_PLAINTEXT_BYTES_MAX, EncryptedEnvelope, EncryptionContext, KeyId,
    KeyVersion, KmsError, PLAINTEXT_BYTES_MAX, SecretBytes, Wrapped,
};
use zeroize::Zeroizing;

/// The most bytes of a ciphertext or an envelope.
pub(super) const INPUT_BYTES_MAX: usize = ENVELOPE_PLAINTEXT_BYTES_MAX + (2 << 20);

/// Encrypts standard input or a file of up to 16 MiB
///
/// The ciphertext is a line of base64; -binary gives its bytes. It says which key opens it. With
/// -native it stands in the key service's own form: of `age` without a context it is an age file,
/// which the age command opens.
///
///   secretum kms encrypt -context=env=prod,service=api -in=password >password.enc
///   secretum kms encrypt -service=$KMS_URL -key=orders -in=note.txt -out=note.enc
///   secretum kms encrypt -backend=age -native -in=note.txt -out=note.age
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Encrypt {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
    /// Key to encrypt under [default: that of the configuration, or of the service]
    #[arg(long, value_name = "NAME", value_parser = connection::key)]
    key: Option<KeyId>,
    #[command(flatten)]
    context: Context,
    /// Write the bytes of the ciphertext, not base64
    #[arg(long, conflicts_with_all = ["native", "field"])]
    binary: bool,
    /// Write the key service's own form
    #[arg(long, conflicts_with = "field")]
    native: bool,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Decrypts what `kms encrypt` made
///
/// It takes base64 and bytes, and envelopes of the library. The context must be the one that it was
/// encrypted with.
///
///   cat password.enc | secretum kms decrypt -context=env=prod,service=api
///   secretum kms decrypt -backend=age -native -in=note.age -out=note.txt
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Decrypt {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
    /// Key that it must be encrypted under; with -native, the key that it is encrypted under
    #[arg(long, value_name = "NAME", value_parser = connection::key)]
    key: Option<KeyId>,
    #[command(flatten)]
    context: Context,
    /// Read the key service's own form: an age file, a text of a transit engine
    #[arg(long)]
    native: bool,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

impl Encrypt {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        guarded(&self.output, self.work()).await
    }

    async fn work(&self) -> Result<(), Failure> {
        let style = self.connection.style_of_bytes(self.field.field.clone());
        self.output.check()?;
        let opened = self.connection.open()?;
        let context = self.context.read()?;
        let instead = "`kms encrypt-file` takes files of any size";
        let plaintext = self.input.read(PLAINTEXT_BYTES_MAX, instead).await?;
        let key = opened.key(self.key.as_ref());
        let made = opened.kms.encrypt(&key, &plaintext, &context).await?;
        let bytes = self.rendered(&made, &style)?;
        let target = self.output.open(Privacy::Public).await?;
        let instead = "leave out -binary, or send it to a file: -out=FILE";
        pipe::check_shown(&target, &bytes, instead)?;
        target.write(&bytes).await
    }

    fn rendered(&self, made: &Ciphertext, style: &Style) -> Result<Vec<u8>, Failure> {
        if self.native {
            let instead = "leave out -native, or what is too much for it";
            return native(made, instead);
        }
        if self.binary {
            return Ok(made.to_bytes());
        }
        let chosen = shown::chosen(&shown::ciphertext(made), style)?;
        Ok(chosen
            .unwrap_or_else(|| made.to_base64() + "\n")
            .into_bytes())
    }
}

/// The key service's own form; `instead` says what to do where it has none.
pub(super) fn native(made: &Ciphertext, instead: &str) -> Result<Vec<u8>, Failure> {
    if made.form() == secretum_kms::Form::Native {
        return Ok(made.wrapped().bytes.clone());
    }
    Err(Failure::local(format!(
        "{} does not hold this in its own form, for it is too long or there is a context; {instead}",
        made.provider()
    )))
}

impl Decrypt {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        guarded(&self.output, self.work()).await
    }

    async fn work(&self) -> Result<(), Failure> {
        let style = self.connection.style_of_bytes(self.field.field.clone());
        self.output.check()?;
        let opened = self.connection.open()?;
        let context = self.context.read()?;
        let instead = "`kms decrypt-file` takes files of any size";
        let bytes = self.input.read(INPUT_BYTES_MAX, instead).await?;
        let (plaintext, origin) = self.open(&opened, &bytes, &context).await?;
        let mut document = secretum_client::Object::new();
        if style.field.is_some() || !style.is_table() {
            document.insert("plaintext", STANDARD.encode(plaintext.expose()));
        }
        for (name, value) in shown::origin(&origin).iter() {
            document.insert(name, value.clone());
        }
        let target = self.output.open(Privacy::Private).await?;
        match shown::chosen(&document, &style)? {
            Some(text) => target.write(Zeroizing::new(text).as_bytes()).await,
            None => {
                pipe::check_shown(&target, plaintext.expose(), "send it to a file: -out=FILE")?;
                target.write(plaintext.expose()).await
            }
        }
    }

    /// The plaintext, and the ciphertext that its key is told by.
    async fn open(
        &self,
        opened: &Opened,
        bytes: &[u8],
        context: &EncryptionContext,
    ) -> Result<(SecretBytes, Ciphertext), Failure> {
        if !self.native && Form::of(bytes) == Some(Form::Envelope) {
            let envelope = EncryptedEnvelope::from_bytes(bytes).map_err(KmsError::from)?;
            check_key(envelope.wrapped_key(), self.key.as_ref())?;
            let plaintext = envelope.open(opened.kms.as_ref(), context).await?;
            return Ok((plaintext, envelope.wrapped_key().clone()));
        }
        let ciphertext = if self.native {
            let wrapped = Wrapped {
                key: opened.key(self.key.as_ref()),
                version: KeyVersion::default(),
                bytes: bytes.to_vec(),
            };
            let backend = opened.backend().await?;
            Ciphertext::native(&backend, wrapped).map_err(KmsError::from)?
        } else {
            form::ciphertext(bytes)?
        };
        check_key(&ciphertext, self.key.as_ref())?;
        let plaintext = opened.kms.decrypt(&ciphertext, context).await?;
        Ok((plaintext, ciphertext))
    }
}

/// Refuses a ciphertext of another key than the one that is named.
pub(super) fn check_key(ciphertext: &Ciphertext, named: Option<&KeyId>) -> Result<(), Failure> {
    match named.filter(|named| *named != ciphertext.key()) {
        None => Ok(()),
        Some(named) => Err(Failure::local(format!(
            "the ciphertext was made with the key `{}`, not with `{named}`; name that one, or none",
            ciphertext.key()
        ))),
    }
}
