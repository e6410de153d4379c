//! `kms export`: a ciphertext as programs read it that do not know this one.

use super::encrypt::{INPUT_BYTES_MAX, native};
use super::form;
use super::interrupt::guarded;
use super::output::Privacy;
use super::pipe::{self, Input, Output};
use crate::failure::Failure;
use clap::Args;

/// Writes a ciphertext as the key service itself made it
///
/// What `kms encrypt` or a kms-service made without -native holds that behind a head that says which key
/// opens it. Without the head, what `age` made without a context is an age file, which the age command
/// opens, and that of a transit engine its text. No key is needed, and no configuration.
///
///   secretum kms export -native -in=note.enc -out=note.age
///   age -d -i private.txt note.age
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Export {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
    /// Write the key service's own form, which is the one that there is
    #[arg(long, required = true)]
    native: bool,
}

impl Export {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        guarded(&self.output, self.work()).await
    }

    async fn work(&self) -> Result<(), Failure> {
        self.output.check()?;
        let instead = "`kms decrypt-file` opens what `kms encrypt-file` made";
        let bytes = self.input.read(INPUT_BYTES_MAX, instead).await?;
        let made = form::ciphertext(&bytes)?;
        let bytes = native(&made, "this program alone opens it, by `kms decrypt`")?;
        let target = self.output.open(Privacy::Public).await?;
        pipe::check_shown(&target, &bytes, "send it to a file: -out=FILE")?;
        target.write(&bytes).await
    }
}
