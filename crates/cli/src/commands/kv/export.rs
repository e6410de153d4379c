//! `kv export`: a tree of secrets as a file.

use super::find;
use super::location::{Location, Place};
use super::tree::{self, AT_ONCE, Entry, INTERRUPTED, TREE_BYTES_MAX};
use crate::arguments::flags::Connection;
use crate::commands::generic::nothing_at;
use crate::failure::Failure;
use crate::output::rights::Right;
use crate::output::{Format, bar, console, render};
use crate::session::Session;
use clap::Args;
use futures::StreamExt;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes the newest versions of all secrets below a path into a file, in plain text
///
/// JSON, or YAML with -format=yaml; kv import reads the JSON. Deleted secrets are left out. Whoever
/// gets the file gets the secrets: it is written for its owner only.
///
///   kv export -file=backup.json secret/app
///   kv export -mount=secret | age -e -r age1… >backup.age
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Export {
    #[command(flatten)]
    place: Place,
    /// File to write; standard output if none is named
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Put it in the place of a file that is there
    #[arg(long, requires = "file")]
    force: bool,
    /// Leave out what may not be read, instead of failing
    #[arg(long)]
    partial: bool,
    #[command(flatten)]
    connection: Connection,
}

/// What was read.
#[derive(Default)]
struct Taken {
    entries: Vec<Entry>,
    bytes: usize,
    /// Paths that may not be read.
    refused: Vec<String>,
    deleted: usize,
}

impl Export {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?.unwrapped();
        let location = self.place.find_any(&session).await?;
        if session.shows_policy {
            return Err(Failure::Rights(rights(&location)));
        }
        if let Some(file) = self
            .file
            .as_deref()
            .filter(|file| !self.force && file.exists())
        {
            return Err(there_already(file));
        }
        let paths = paths(&session, &location).await?;
        let taken = take(&session, &location, paths).await?;
        if let Some(path) = taken.refused.first().filter(|_| !self.partial) {
            return Err(Failure::Missing(format!(
                "{} secrets may not be read, `{path}` for one; nothing was written; -partial leaves \
                 them out",
                taken.refused.len()
            )));
        }
        if taken.entries.is_empty() {
            return Err(nothing_at(&location.api_path("metadata")));
        }
        let (count, refused, deleted) = (taken.entries.len(), taken.refused.len(), taken.deleted);
        let text = self.text(&location, taken.entries, &session)?;
        self.write(&text)?;
        console::note(&format!(
            "{count} secrets exported in plain text, {deleted} deleted ones and {refused} that may not \
             be read left out"
        ));
        Ok(())
    }

    fn text(
        &self,
        location: &Location,
        entries: Vec<Entry>,
        session: &Session,
    ) -> Result<String, Failure> {
        let format = match session.style.format {
            Format::Yaml => Format::Yaml,
            Format::Json | Format::Table | Format::Raw => Format::Json,
        };
        let text = render(&tree::document(&location.mount, entries), format)?;
        if text.len() > TREE_BYTES_MAX {
            return Err(too_large());
        }
        Ok(text)
    }

    /// Writes beside the file and renames, so that there is never half of it; the temporary file is
    /// its owner's alone from the start.
    fn write(&self, text: &str) -> Result<(), Failure> {
        let Some(path) = &self.file else {
            return console::out(text);
        };
        let failed = |error: std::io::Error| {
            Failure::local(format!("cannot write `{}`: {error}", path.display()))
        };
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        let kept = if self.force {
            file.persist(path)
        } else {
            file.persist_noclobber(path)
        };
        kept.map(drop).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => there_already(path),
            _ => failed(error.error),
        })
    }
}

fn there_already(file: &Path) -> Failure {
    Failure::local(format!(
        "`{}` is there already; -force puts the new one in its place",
        file.display()
    ))
}

fn too_large() -> Failure {
    Failure::local(format!(
        "the secrets are larger than {TREE_BYTES_MAX} bytes together: export parts of the tree"
    ))
}

fn rights(location: &Location) -> Vec<Right> {
    let folder = |area: &str| format!("{}/", location.api_path(area).trim_end_matches('/'));
    let mut rights = vec![
        Right::new(folder("metadata"), &["scan"]),
        Right::new(format!("{}*", folder("data")), &["read"]),
    ];
    if !location.path.is_empty() {
        rights.push(Right::new(location.api_path("data"), &["read"]));
    }
    rights
}

/// Every secret below the location, and the one at its path.
async fn paths(session: &Session, location: &Location) -> Result<Vec<String>, Failure> {
    let own = Some(location.path.clone()).filter(|path| !path.is_empty());
    match find::below(session, location).await {
        Ok(mut paths) => {
            paths.extend(own);
            Ok(paths)
        }
        Err(Failure::Missing(told)) => own.map(|path| vec![path]).ok_or(Failure::Missing(told)),
        Err(other) => Err(other),
    }
}

async fn take(
    session: &Session,
    location: &Location,
    paths: Vec<String>,
) -> Result<Taken, Failure> {
    let (all, mut done) = (paths.len(), 0_usize);
    let progress = bar::of_things(all, "reading");
    let mut reads = futures::stream::iter(paths)
        .take_until(Box::pin(tokio::signal::ctrl_c()))
        .map(|path| async move {
            let current = tree::current(session, location, &path).await;
            (path, current)
        })
        .buffer_unordered(AT_ONCE);
    let mut taken = Taken::default();
    while let Some((path, current)) = reads.next().await {
        done += 1;
        progress.inc(1);
        match current {
            Ok(current) => match current.entry {
                Some(entry) => {
                    taken.bytes += serde_json::to_string(&entry.data).map_or(0, |text| text.len());
                    taken.entries.push(entry);
                }
                None if path != location.path => taken.deleted += 1,
                None => {}
            },
            Err(Failure::Server { error, .. }) if error.status() == Some(403) => {
                taken.refused.push(path);
            }
            Err(other) => return Err(other),
        }
        if taken.bytes > TREE_BYTES_MAX {
            return Err(too_large());
        }
    }
    progress.finish_and_clear();
    if done < all {
        console::note(&format!(
            "interrupted: {done} of {all} secrets were read, and nothing was written"
        ));
        return Err(Failure::Silent(INTERRUPTED));
    }
    Ok(taken)
}
