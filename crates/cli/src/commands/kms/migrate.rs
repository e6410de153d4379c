//! `kms migrate`: a tree of files from one key service to another.
//!
//! Each file is prepared beside its place: opened by the old service, wrapped or encrypted by the new
//! one, written whole. Then the [`journal`] takes down what the file will be, and then it takes its
//! place. So whenever the command is stopped, every file is either as it was or as it will be, and the
//! next run knows which.

mod found;
mod item;
mod journal;
mod report;
mod tree;

use self::found::Room;
use self::item::{Fault, Mover, Outcome, Ready};
use self::journal::Journal;
use self::report::Report;
use self::tree::Tree;
use super::connection::{self, AccessFlags, Answer, Context, Opened, OwnAccess};
use super::interrupt;
use crate::failure::Failure;
use crate::output::bar;
use clap::Args;
use futures::StreamExt;
use secretum_crypto::sha256;
use secretum_kms::providers::ALL;
use secretum_kms::{EncryptionContext, Environment, KeyId};
use std::path::{Path, PathBuf};

/// Files that are prepared at once.
const AT_ONCE: usize = 8;

/// Encrypts a tree of files anew, from one key service to another
///
/// It takes what `kms encrypt` and `kms encrypt-file` made, and envelopes; other files are left alone.
/// Of files and envelopes only the wrapped data key changes. A file is as it was or as it will be, at
/// any time. Stopped anywhere, the same command goes on where it was: it keeps a journal in the tree.
///
///   secretum kms migrate -from=kms-a.toml -to=kms-b.toml -dry-run backups
///   secretum kms migrate -from=age -to=vault -config=kms.toml -context=env=prod backups
///   secretum kms migrate -from=kms.toml:age -to=$KMS_SERVICE_ADDR -key=orders backups
///
/// It ends with 0 where all was migrated and then says `complete`, and with 2 where something was not,
/// which it names.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Migrate {
    /// Folder with the files; links in it are not followed
    tree: PathBuf,
    /// Key service that opens them now: kms.toml, one of its key services as kms.toml:NAME or NAME, or
    /// the address of a kms-service
    #[arg(long, value_name = "SERVICE")]
    from: String,
    /// Key service that is to open them from now on, written alike
    #[arg(long, value_name = "SERVICE")]
    to: String,
    /// Key to encrypt under from now on [default: that of the new key service]
    #[arg(long, value_name = "NAME", value_parser = connection::key)]
    key: Option<KeyId>,
    #[command(flatten)]
    context: Context,
    /// What they are bound to from now on, as -context [default: the same]
    #[arg(long, value_name = "PAIRS")]
    new_context: Vec<String>,
    /// Open every file, say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not try whether the new key service opens what it encrypted: for one that may not, here
    #[arg(long)]
    no_verify: bool,
    /// File that says what was migrated [default: .kms-migration in the folder]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// File with the bearer token for the kms-service of -from, as -token-file for one alone
    #[arg(long, value_name = "FILE")]
    from_token_file: Option<PathBuf>,
    /// File with the bearer token for the kms-service of -to
    #[arg(long, value_name = "FILE")]
    to_token_file: Option<PathBuf>,
    /// File with the client's certificate for the kms-service of -from, as -client-cert for one alone
    #[arg(long, value_name = "FILE", requires = "from_client_key")]
    from_client_cert: Option<PathBuf>,
    /// File with the key of that certificate
    #[arg(long, value_name = "FILE", requires = "from_client_cert")]
    from_client_key: Option<PathBuf>,
    /// File with the client's certificate for the kms-service of -to
    #[arg(long, value_name = "FILE", requires = "to_client_key")]
    to_client_cert: Option<PathBuf>,
    /// File with the key of that certificate
    #[arg(long, value_name = "FILE", requires = "to_client_cert")]
    to_client_key: Option<PathBuf>,
    /// File that names the key services, where -from and -to do not [default: as of kms encrypt]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    answer: Answer,
    #[command(flatten)]
    access: AccessFlags,
}

impl Migrate {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let format = self.answer.format()?;
        let mut mover = self.mover().await?;
        let journal_path = match &self.journal {
            Some(path) => path.clone(),
            None => self.tree.join(journal::NAME),
        };
        let plan = self.plan(&mover);
        mover.temporary = tree::temporary_of(&plan);
        let mut journal = if self.dry_run {
            Journal::look(&journal_path, &plan)?
        } else {
            let mut journal = Journal::open(&journal_path, &plan)?;
            journal.hold(&self.tree.join(journal::NAME))?;
            journal
        };
        let tree = tree::read(&self.tree, &journal_path, &mover.temporary)?;
        if !self.dry_run {
            tree.clear()?;
        }
        let report = self.migrate(&mut mover, tree, &mut journal).await?;
        if report.is_complete() {
            journal.complete()?;
        }
        report.show(format)?;
        match report.exit_code() {
            0 => Ok(()),
            code => Err(Failure::Silent(code)),
        }
    }

    async fn mover(&self) -> Result<Mover, Failure> {
        let environment = Environment::process();
        self.check_tokens(&environment)?;
        let from = OwnAccess {
            token_file: self.from_token_file.as_deref(),
            client_cert: self.from_client_cert.as_deref(),
            client_key: self.from_client_key.as_deref(),
        };
        let to = OwnAccess {
            token_file: self.to_token_file.as_deref(),
            client_cert: self.to_client_cert.as_deref(),
            client_key: self.to_client_key.as_deref(),
        };
        let from = self.service(&self.from, from, &environment)?;
        let to = self.service(&self.to, to, &environment)?;
        let context = self.context.read()?;
        let new_context = match self.new_context.as_slice() {
            [] => context.clone(),
            texts => connection::context_of(texts)?,
        };
        if from.identity() == to.identity() && self.key.is_none() && context == new_context {
            return Err(Failure::local(
                "-from and -to are the same, and neither key nor context changes; there is nothing to \
                 do",
            ));
        }
        let key = to.key(self.key.as_ref());
        Ok(Mover {
            backends: (from.backend().await?, to.backend().await?),
            from,
            to,
            key,
            made_key: None,
            context,
            new_context,
            temporary: String::new(),
            is_dry: self.dry_run,
            verifies: !self.no_verify,
            room: Room::default(),
        })
    }

    /// Refuses to show one token to two services: either could then be to the other who the caller is.
    fn check_tokens(&self, environment: &Environment) -> Result<(), Failure> {
        let is_own = self.from_token_file.is_some() || self.to_token_file.is_some();
        let are_two = self.from.contains("://") && self.to.contains("://") && self.from != self.to;
        if is_own || !are_two || !self.access.has_token(environment) {
            return Ok(());
        }
        Err(Failure::local(
            "one token would go to both services; name that of each: -from-token-file and \
             -to-token-file, which may be the same file",
        ))
    }

    /// The key service that a text names, with what is its own alone where it is a kms-service.
    fn service(
        &self,
        text: &str,
        own: OwnAccess<'_>,
        environment: &Environment,
    ) -> Result<Opened, Failure> {
        if text.contains("://") {
            return self.access.with_own(own).open(text, environment);
        }
        if ALL.contains(&text) {
            return connection::direct(self.config.as_deref(), Some(text), environment);
        }
        match text.rsplit_once(':') {
            Some((file, backend)) if ALL.contains(&backend) => {
                connection::direct(Some(Path::new(file)), Some(backend), environment)
            }
            _ => connection::direct(Some(Path::new(text)), None, environment),
        }
    }

    /// What tells this migration from others.
    fn plan(&self, mover: &Mover) -> String {
        let bytes = |context: &EncryptionContext| hex::encode(context.canonical_bytes());
        let text = [
            mover.from.identity(),
            mover.to.identity(),
            mover.key.to_string(),
            bytes(&mover.context),
            bytes(&mover.new_context),
        ];
        hex::encode(sha256(text.join("\n").as_bytes()))
    }

    async fn migrate(
        &self,
        mover: &mut Mover,
        tree: Tree,
        journal: &mut Journal,
    ) -> Result<Report, Failure> {
        let files = tree.files;
        let mut report = Report::new(files.len() + tree.unreadable.len(), self.dry_run);
        for (folder, failure) in tree.unreadable {
            report.count(&folder, Err(failure.into()));
        }
        let mut asked = std::pin::pin!(interrupt::asked());
        tokio::select! {
            biased;
            () = &mut asked => {
                report.interrupt();
                return Ok(report);
            }
            looked = mover.look_at_key() => if let Err(failure) = looked {
                report.stop(&failure);
                return Ok(report);
            }
        }
        let mover = &*mover;
        let doing = if self.dry_run { "opening" } else { "migrating" };
        let bar = bar::of_things(files.len(), doing);
        let known = journal.moved();
        let prepared = futures::stream::iter(files).map(async |path| {
            let name = self.name(&path);
            let outcome = mover.prepare(&path, known.get(&name)).await;
            (path, name, outcome)
        });
        let mut prepared = std::pin::pin!(prepared.buffered(AT_ONCE));
        loop {
            let (path, name, outcome) = tokio::select! {
                biased;
                () = &mut asked => {
                    report.interrupt();
                    break;
                }
                next = prepared.next() => match next {
                    Some(next) => next,
                    None => break,
                },
            };
            let outcome = match outcome {
                Ok(Outcome::Ready(ready)) => {
                    put(&path, *ready, |mark| journal.intend(&name, mark)).map_err(Fault::from)
                }
                other => other,
            };
            bar.inc(1);
            if !report.count(&path, outcome) {
                break;
            }
        }
        bar.finish_and_clear();
        Ok(report)
    }

    /// The name of a file in the journal: below the tree, so that the tree may be moved.
    fn name(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.tree).unwrap_or(path);
        below
            .as_os_str()
            .as_encoded_bytes()
            .escape_ascii()
            .to_string()
    }
}

/// Takes down what a file will be, by `intend`, and puts it in its place. All that takes time comes
/// first: nothing stands between the last look at the old file and its end.
fn put(
    path: &Path,
    ready: Ready,
    intend: impl FnOnce(&str) -> Result<(), Failure>,
) -> Result<Outcome, Failure> {
    ready.sync(path)?;
    intend(&ready.mark)?;
    ready.check_unchanged(path)?;
    super::output::place(ready.temporary, path, true)?;
    Ok(Outcome::Moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_somebody_writes_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "old").unwrap();
        let ready = || Ready::of(&path, "new").unwrap();
        let refused = put(&path, ready(), |_| {
            std::fs::write(&path, "theirs").unwrap();
            Ok(())
        });
        assert!(refused.unwrap_err().to_string().contains("was changed"));
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
        // As long as before, and said to be as old.
        let before = std::fs::metadata(&path).unwrap();
        let refused = put(&path, ready(), |_| {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, b"THEIRS", 0).unwrap();
            file.set_modified(before.modified().unwrap()).unwrap();
            Ok(())
        });
        assert!(refused.is_err());
        assert_eq!(std::fs::metadata(&path).unwrap().mtime(), before.mtime());
        assert_eq!(std::fs::read(&path).unwrap(), b"THEIRS");
        put(&path, ready(), |mark| {
            assert_eq!(mark, "mark");
            Ok(())
        })
        .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }
}
