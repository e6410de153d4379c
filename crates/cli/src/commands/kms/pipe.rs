//! Where bytes come from: a file or standard input, the whole of it or as a stream.

use super::interrupt::in_thread;
use super::output::{self, Privacy, Target};
use crate::failure::Failure;
use crate::output::console;
use clap::Args;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where input comes from.
#[derive(Clone, Default, Args)]
#[group(skip)]
pub(super) struct Input {
    /// File to read; standard input if none is named, or -
    #[arg(long = "in", value_name = "FILE")]
    input: Option<PathBuf>,
}

/// Where output goes.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub(super) struct Output {
    /// File to write, which is there whole or not at all; standard output if none is named, or -
    #[arg(long = "out", visible_alias = "output", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Put it in the place of a file that is there
    #[arg(long)]
    force: bool,
}

impl Input {
    /// All of it, within a limit; `instead` says what takes more.
    pub(super) async fn read(
        &self,
        limit: usize,
        instead: &'static str,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let source = self.source().await?;
        in_thread(move || source.read(limit, instead)).await?
    }

    /// It as a stream.
    pub(super) async fn source(&self) -> Result<Source, Failure> {
        source(self.input.as_deref()).await
    }
}

impl Source {
    /// All of it, within a limit; `instead` says what takes more.
    fn read(self, limit: usize, instead: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let source = self;
        let mut bytes = Zeroizing::new(Vec::with_capacity(source.room(limit)));
        let wanted = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let read = source.file.take(wanted).read_to_end(&mut bytes);
        read.map_err(|error| Failure::local(format!("cannot read {}: {error}", source.name)))?;
        if bytes.len() > limit {
            return Err(Failure::local(format!(
                "{} has more than {limit} bytes; {instead}",
                source.name
            )));
        }
        Ok(bytes)
    }

    fn room(&self, limit: usize) -> usize {
        let bytes = self.bytes.and_then(|bytes| usize::try_from(bytes).ok());
        bytes.unwrap_or(64 << 10).min(limit).saturating_add(1)
    }
}

impl Output {
    /// As of [`Target::check`].
    pub(super) fn check(&self) -> Result<(), Failure> {
        Target::check(self.output.as_deref(), self.force)
    }

    /// As of [`Target::open`].
    pub(super) async fn open(&self, privacy: Privacy) -> Result<Target, Failure> {
        Target::open(self.output.as_deref(), self.force, privacy).await
    }

    /// Whether what is written appears only when it is whole.
    pub(super) fn is_whole_or_nothing(&self) -> bool {
        let is_special = |path| std::fs::metadata(path).is_ok_and(|facts| !facts.is_file());
        self.path().is_some_and(|path| !is_special(path))
    }

    /// Whether a place is named, standard output too.
    pub(super) fn is_given(&self) -> bool {
        self.output.is_some()
    }

    /// Whether a file is named.
    pub(super) fn is_file(&self) -> bool {
        self.path().is_some()
    }

    /// The file that is named.
    pub(super) fn path(&self) -> Option<&Path> {
        let named = self.output.as_deref();
        named.filter(|path| path.as_os_str() != "-")
    }

    /// The same, with a file where none is named.
    pub(super) fn or(&self, file: Option<PathBuf>) -> Self {
        Self {
            output: self.output.clone().or(file),
            force: self.force,
        }
    }
}

/// Something that is read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: File,
    /// What it is called in errors.
    pub(super) name: String,
    /// Its bytes, where they are known.
    pub(super) bytes: Option<u64>,
}

/// Opens a file; `-` and nothing mean standard input. In a thread, for a pipe with a name waits for
/// whoever writes.
pub(super) async fn source(path: Option<&Path>) -> Result<Source, Failure> {
    let path = path.map(Path::to_owned);
    in_thread(move || opened(path.as_deref())).await?
}

fn opened(path: Option<&Path>) -> Result<Source, Failure> {
    let named = path.filter(|path| path.as_os_str() != "-");
    let Some(path) = named else {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            console::note("reading from the terminal; Ctrl-D on a line of its own ends it");
        }
        let file = std::os::fd::AsFd::as_fd(&stdin).try_clone_to_owned();
        let file =
            file.map_err(|error| Failure::local(format!("cannot read standard input: {error}")))?;
        return Ok(Source {
            file: File::from(file),
            name: "standard input".to_owned(),
            bytes: None,
        });
    };
    let failed = |error| output::failed("read", path, &error);
    let file = File::open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    if facts.is_dir() {
        return Err(Failure::local(format!(
            "`{}` is a folder; name a file in it",
            path.display()
        )));
    }
    Ok(Source {
        file,
        name: format!("`{}`", path.display()),
        bytes: Some(facts.len()).filter(|_| facts.is_file()),
    })
}

/// Refuses bytes that a terminal would not show as they are.
pub(super) fn check_shown(target: &Target, bytes: &[u8], instead: &str) -> Result<(), Failure> {
    let is_shown = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    let is_text = std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(is_shown));
    if is_text || !target.is_terminal() {
        return Ok(());
    }
    Err(Failure::local(format!(
        "it is no text, and a terminal would not show it; {instead}"
    )))
}
