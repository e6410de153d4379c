//! `kms encrypt-file` and `kms decrypt-file`: files of any size, as streams.

use super::behind::Behind;
use super::connection::{self, Connection, Context};
use super::form::{Form, MARK_BYTES};
use super::interrupt::{guarded, in_thread};
use super::output::{Privacy, Target, unwritten};
use super::pipe::{self, Output, Source};
use super::shown;
use crate::failure::Failure;
use crate::output::{bar, console};
use clap::Args;
use secretum_client::Object;
use secretum_kms::stream::{StreamHead, StreamOpen, StreamSeal};
use secretum_kms::{Ciphertext, KeyId, KmsError};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What an encrypted file is called behind its name.
const SUFFIX: &str = "kms";

/// Bytes that are read at once: several chunks.
const READ_BYTES: usize = 1 << 20;

/// Encrypts a file of any size
///
/// The key service gives a data key; the file is encrypted here under that, in chunks of 64 KiB,
/// however large it is. It may be cut, changed or put in another order by nobody without being noticed.
///
///   secretum kms encrypt-file backup.tar                        # backup.tar.kms
///   secretum kms encrypt-file -context=env=prod -out=b.kms backup.tar
///   tar c /srv | secretum kms encrypt-file >srv.tar.kms
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct EncryptFile {
    /// File to encrypt; standard input if none is named, or -
    #[arg(value_name = "FILE", conflicts_with = "input")]
    file: Option<PathBuf>,
    /// The same as a flag
    #[arg(long = "in", value_name = "FILE")]
    input: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// Key to encrypt under [default: that of the configuration, or of the service]
    #[arg(long, value_name = "NAME", value_parser = connection::key)]
    key: Option<KeyId>,
    #[command(flatten)]
    context: Context,
    #[command(flatten)]
    connection: Connection,
}

/// Decrypts a file of `kms encrypt-file`
///
/// The new file is its owner's alone. It appears when all of the old one was found to be whole and
/// unchanged. What goes to standard output goes there as it is decrypted: where the command fails, what
/// came before that is to be thrown away.
///
///   secretum kms decrypt-file backup.tar.kms                    # backup.tar
///   secretum kms decrypt-file -context=env=prod -out=b.tar b.kms
///   secretum kms decrypt-file -out=- srv.tar.kms | tar x
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DecryptFile {
    /// File to decrypt; standard input if none is named, or -
    #[arg(value_name = "FILE", conflicts_with = "input")]
    file: Option<PathBuf>,
    /// The same as a flag
    #[arg(long = "in", value_name = "FILE")]
    input: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    context: Context,
    #[command(flatten)]
    connection: Connection,
}

impl EncryptFile {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let path = named(self.file.as_deref().or(self.input.as_deref()));
        let output = self.output.or(path.map(with_suffix));
        guarded(&output, self.work(path, &output)).await
    }

    async fn work(&self, path: Option<&Path>, output: &Output) -> Result<(), Failure> {
        let style = self.connection.style(None)?;
        output.check()?;
        let opened = self.connection.open()?;
        let context = self.context.read()?;
        let source = pipe::source(path).await?;
        let key = opened.key(self.key.as_ref());
        let seal = StreamSeal::begin(opened.kms.as_ref(), &key, &context).await?;
        let origin = seal.head().wrapped_key().clone();
        let target = output.open(Privacy::Public).await?;
        if target.is_terminal() {
            return Err(Failure::local(
                "an encrypted file is no text, and a terminal would not show it; send it to a file: \
                 -out=FILE",
            ));
        }
        let bytes = pump(source, &target, |reader, writer, told| {
            seal.run(reader, writer, told)
        });
        let bytes = bytes.await?;
        target.finish()?;
        tell("encrypted", bytes, &origin, output, &style)
    }
}

impl DecryptFile {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let path = named(self.file.as_deref().or(self.input.as_deref()));
        let output = match (self.output.is_given(), path) {
            (false, Some(path)) => self.output.or(Some(without_suffix(path)?)),
            _ => self.output.or(None),
        };
        guarded(&output, self.work(path, &output)).await
    }

    async fn work(&self, path: Option<&Path>, output: &Output) -> Result<(), Failure> {
        let style = self.connection.style(None)?;
        output.check()?;
        let opened = self.connection.open()?;
        let context = self.context.read()?;
        let mut source = pipe::source(path).await?;
        // In a thread, so that a signal is heard while a pipe gives nothing.
        let read = in_thread(move || read_head(&mut source).map(|head| (source, head)));
        let (source, head) = read.await??;
        let open = StreamOpen::begin(opened.kms.as_ref(), &head, &context).await?;
        let target = output.open(Privacy::Private).await?;
        let bytes = pump(source, &target, |reader, writer, told| {
            open.run(reader, writer, told)
        });
        let bytes = bytes.await?;
        target.finish()?;
        tell("decrypted", bytes, head.wrapped_key(), output, &style)
    }
}

/// A file that is named; `-` is none.
fn named(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| path.as_os_str() != "-")
}

fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(SUFFIX);
    name.into()
}

fn without_suffix(path: &Path) -> Result<PathBuf, Failure> {
    if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
        return Ok(path.with_extension(""));
    }
    Err(Failure::local(format!(
        "`{}` does not end in .{SUFFIX}, so its plaintext has no name; give it one: -out=FILE",
        path.display()
    )))
}

/// The head of a stream; of what is none, what it is.
fn read_head(source: &mut Source) -> Result<StreamHead, Failure> {
    let mut beginning = Vec::new();
    let mark = u64::try_from(MARK_BYTES).unwrap_or(u64::MAX);
    let read = (&source.file).take(mark).read_to_end(&mut beginning);
    read.map_err(|error| Failure::local(format!("cannot read {}: {error}", source.name)))?;
    if matches!(
        Form::of(&beginning),
        Some(Form::Bytes | Form::Text | Form::Envelope)
    ) {
        return Err(Failure::local(format!(
            "{} is no file of `kms encrypt-file`; `kms decrypt` opens it",
            source.name
        )));
    }
    StreamHead::read(beginning.as_slice().chain(&mut source.file)).map_err(|error| Failure::Kms {
        context: Some(source.name.clone()),
        source: error,
    })
}

/// Runs a stream from here to there beside the runtime, with a bar where it takes long.
async fn pump(
    source: Source,
    target: &Target,
    work: impl FnOnce(BufReader<File>, &mut dyn Write, &mut dyn FnMut(u64)) -> Result<u64, KmsError>
    + Send
    + 'static,
) -> Result<u64, Failure> {
    let bar = bar::of_bytes(source.bytes.unwrap_or_default());
    let is_closed = Arc::new(AtomicBool::new(false));
    let mut writer = Writer::to(target, &is_closed)?;
    let shown = bar.clone();
    let outcome = in_thread(move || {
        let reader = BufReader::with_capacity(READ_BYTES, source.file);
        let outcome = work(reader, writer.as_dyn(), &mut |bytes| {
            shown.set_position(bytes);
        });
        let bytes = outcome.map_err(|error| Failure::Kms {
            context: Some(source.name),
            source: error,
        })?;
        writer.finish().map(|()| bytes)
    });
    let outcome = outcome.await;
    bar.finish_and_clear();
    if matches!(target, Target::Stdout) && is_closed.load(Ordering::Relaxed) {
        return Err(Failure::ClosedPipe);
    }
    outcome?
}

/// How a stream is written.
enum Writer {
    /// At once: somebody may read it as it comes.
    Piped(Piped),
    /// Beside the work: nobody sees it before it is whole.
    Behind(Behind),
}

impl Writer {
    fn to(target: &Target, is_closed: &Arc<AtomicBool>) -> Result<Self, Failure> {
        let file = target.writer()?;
        Ok(match target {
            Target::File { .. } => Self::Behind(Behind::new(file).map_err(unwritten)?),
            Target::Stdout | Target::Special(_) => Self::Piped(Piped {
                file,
                is_closed: Arc::clone(is_closed),
            }),
        })
    }

    fn as_dyn(&mut self) -> &mut dyn Write {
        match self {
            Self::Piped(piped) => piped,
            Self::Behind(behind) => behind,
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Piped(_) => Ok(()),
            Self::Behind(behind) => behind.finish().map_err(unwritten),
        }
    }
}

/// A file that remembers that its reader has gone: the error of a stream does not tell it from others.
struct Piped {
    file: File,
    is_closed: Arc<AtomicBool>,
}

impl Write for Piped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes).inspect_err(|error| {
            if error.kind() == ErrorKind::BrokenPipe {
                self.is_closed.store(true, Ordering::Relaxed);
            }
        })
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Says what was done, where standard output is not the file itself.
fn tell(
    done: &str,
    bytes: u64,
    origin: &Ciphertext,
    output: &Output,
    style: &crate::output::Style,
) -> Result<(), Failure> {
    let Some(path) = output.path() else {
        return Ok(());
    };
    let mut document = Object::new();
    document.insert("file", path.display().to_string());
    document.insert("bytes", bytes);
    for (name, value) in shown::origin(origin).iter() {
        document.insert(name, value.clone());
    }
    match shown::chosen(&document, style)? {
        Some(text) => console::out(&text),
        None => {
            console::note(&format!(
                "{bytes} bytes {done}, under the key `{}`: {}",
                origin.key(),
                path.display()
            ));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_each_other() {
        let path = Path::new("a/backup.tar");
        assert_eq!(with_suffix(path), Path::new("a/backup.tar.kms"));
        assert_eq!(without_suffix(&with_suffix(path)).unwrap(), path);
        for other in ["backup.tar", "kms", ".kms", "a/b.kmsx"] {
            let told = without_suffix(Path::new(other)).unwrap_err().to_string();
            assert!(told.contains("-out=FILE"), "{told}");
        }
    }
}
