//! `kms generate-key` and `kms decrypt-key`: data keys.

use super::connection::{self, Connection, Context};
use super::encrypt::check_key;
use super::form::{self, TEXT_BYTES_MAX};
use super::interrupt::{guarded, in_thread};
use super::output::{Privacy, Target};
use super::pipe::{Input, Output};
use super::shown;
use crate::arguments::flags::Field;
use crate::failure::Failure;
use crate::output::console;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use secretum_client::{Json, Object};
use secretum_kms::{DataKeySpec, KeyId};
use zeroize::Zeroizing;

/// Makes a data key: the key itself, and wrapped, to be kept beside what it encrypted
///
/// On a terminal the key itself is shown only if that is asked for. -out=FILE takes its bytes, and
/// only the wrapped key then goes to standard output.
///
///   secretum kms generate-key -format=json | my-program
///   secretum kms generate-key -out=data.key -field=ciphertext >data.key.wrapped
///   secretum kms generate-key -without-plaintext -key-spec=AES_128
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct GenerateKey {
    /// Kind of the data key: AES_128, AES_256, or a number of bytes up to 1024
    #[arg(long, value_name = "KIND", default_value = "AES_256", value_parser = spec)]
    key_spec: DataKeySpec,
    /// Key to wrap it under [default: that of the configuration, or of the service]
    #[arg(long, value_name = "NAME", value_parser = connection::key)]
    key: Option<KeyId>,
    #[command(flatten)]
    context: Context,
    /// Make the wrapped key only, for who may decrypt to use later
    #[arg(long, conflicts_with = "output")]
    without_plaintext: bool,
    /// Show the key on a terminal, too
    #[arg(long)]
    show_plaintext: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Opens a wrapped data key
///
/// The bytes of the key go to a pipe or a file; -format=json has them in base64. On a terminal they are
/// shown, in base64, only if that is asked for.
///
///   secretum kms decrypt-key -in=data.key.wrapped -out=data.key
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DecryptKey {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
    /// Key that it must be wrapped under
    #[arg(long, value_name = "NAME", value_parser = connection::key)]
    key: Option<KeyId>,
    #[command(flatten)]
    context: Context,
    /// Show the key on a terminal, too
    #[arg(long)]
    show_plaintext: bool,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

fn spec(text: &str) -> Result<DataKeySpec, String> {
    text.parse()
        .map_err(|error: secretum_kms::KmsError| error.to_string())
}

impl GenerateKey {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        guarded(&self.output, self.work()).await
    }

    async fn work(&self) -> Result<(), Failure> {
        let style = self.connection.style(self.field.field.clone())?;
        let shows_key = !self.without_plaintext && !self.output.is_file();
        let is_asked = style
            .field
            .as_deref()
            .is_none_or(|field| field == "plaintext");
        if shows_key && is_asked && !self.show_plaintext {
            check_terminal("-without-plaintext makes the wrapped key only")?;
        }
        self.output.check()?;
        let opened = self.connection.open()?;
        let context = self.context.read()?;
        let (kms, key) = (&opened.kms, opened.key(self.key.as_ref()));
        let (plaintext, wrapped) = if self.without_plaintext {
            let made = kms.generate_data_key_without_plaintext(&key, self.key_spec, &context);
            (None, made.await?)
        } else {
            let made = kms.generate_data_key(&key, self.key_spec, &context).await?;
            (Some(made.plaintext), made.wrapped)
        };
        let is_file = self.output.is_file();
        let mut document = Object::new();
        if let Some(plaintext) = plaintext.as_ref().filter(|_| !is_file) {
            document.insert("plaintext", STANDARD.encode(plaintext.expose()));
        }
        for (name, value) in shown::ciphertext(&wrapped).iter() {
            document.insert(name, value.clone());
        }
        document.insert("key_spec", self.key_spec.to_string());
        let text = Zeroizing::new(shown::whole(&document, &style)?);
        let target = match plaintext.as_ref().filter(|_| is_file) {
            Some(plaintext) => {
                let target = self.output.open(Privacy::Private).await?;
                if !self.show_plaintext {
                    check_target(&target)?;
                }
                target.fill(plaintext.expose()).await?;
                Some(target)
            }
            None => None,
        };
        // A key whose wrapped form nobody has is of no use: its file comes last.
        in_thread(move || console::out(&text)).await??;
        target.map_or(Ok(()), Target::finish)
    }
}

impl DecryptKey {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        guarded(&self.output, self.work()).await
    }

    async fn work(&self) -> Result<(), Failure> {
        let style = self.connection.style_of_bytes(self.field.field.clone());
        let shows_key = !self.output.is_file();
        let is_asked = style
            .field
            .as_deref()
            .is_none_or(|field| field == "plaintext");
        if shows_key && is_asked && !self.show_plaintext {
            check_terminal("-out=FILE writes it to a file")?;
        }
        self.output.check()?;
        let opened = self.connection.open()?;
        let context = self.context.read()?;
        let bytes = self.input.read(TEXT_BYTES_MAX, "that is no data key");
        let bytes = bytes.await?;
        let wrapped = form::ciphertext(&bytes)?;
        check_key(&wrapped, self.key.as_ref())?;
        let plaintext = opened.kms.decrypt_data_key(&wrapped, &context).await?;
        let mut document = Object::new();
        let text = Zeroizing::new(STANDARD.encode(plaintext.expose()));
        document.insert("plaintext", Json::from(text.as_str()));
        for (name, value) in shown::origin(&wrapped).iter() {
            document.insert(name, value.clone());
        }
        let target = self.output.open(Privacy::Private).await?;
        if is_asked && !self.show_plaintext {
            check_target(&target)?;
        }
        let text = match shown::chosen(&document, &style)? {
            Some(text) => Zeroizing::new(text),
            None if target.is_terminal() => Zeroizing::new(format!("{}\n", text.as_str())),
            None => return target.write(plaintext.expose()).await,
        };
        target.write(text.as_bytes()).await
    }
}

/// The same of a place that is named, which may be a terminal too.
fn check_target(target: &Target) -> Result<(), Failure> {
    if !target.is_terminal() {
        return Ok(());
    }
    Err(Failure::local(
        "the key itself would stand on the terminal; name a file, or send it to a pipe; \
         -show-plaintext shows it",
    ))
}

/// Refuses to show a key to whoever looks at the screen, or scrolls up later.
fn check_terminal(instead: &str) -> Result<(), Failure> {
    if !console::stdout_is_terminal() {
        return Ok(());
    }
    Err(Failure::local(format!(
        "the key itself would stand on the terminal; send it to a pipe; {instead}; -show-plaintext \
         shows it"
    )))
}
