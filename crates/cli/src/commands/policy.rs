//! `policy`: what tokens may do.

mod check;
mod format;
mod translate;

use crate::arguments::flags::Connection;
use crate::failure::{During, Failure};
use crate::output::{console, secret, structured};
use crate::session::Session;
use clap::{Args, Subcommand};
use secretum_client::sys::Language;
use secretum_client::{Json, Object};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The largest policy that is sent.
const POLICY_BYTES_MAX: u64 = 16 << 20;

/// What to do with policies.
#[derive(Subcommand)]
pub(crate) enum Command {
    List(List),
    Read(Read),
    Write(Write),
    Delete(Delete),
    Fmt(Fmt),
    Check(check::Check),
    Translate(translate::Translate),
}

/// Which language is meant.
#[derive(Args)]
#[group(skip)]
struct InLanguage {
    /// The policy is one in Cedar; they have names of their own
    #[arg(long)]
    cedar: bool,
}

impl InLanguage {
    fn of(&self) -> Language {
        if self.cedar {
            Language::Cedar
        } else {
            Language::Hcl
        }
    }
}

/// Lists the names of all policies.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    language: InLanguage,
    #[command(flatten)]
    connection: Connection,
}

/// Shows a policy as it was written.
#[derive(Args)]
pub(crate) struct Read {
    /// Name of the policy
    name: String,
    #[command(flatten)]
    language: InLanguage,
    #[command(flatten)]
    connection: Connection,
}

/// Writes a policy, over one of that name
///
///   policy write app app.hcl
///   policy write -cedar app app.cedar
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Write {
    /// Name of the policy
    name: String,
    /// File with the policy; - for standard input
    #[arg(value_name = "FILE")]
    source: String,
    #[command(flatten)]
    language: InLanguage,
    #[command(flatten)]
    connection: Connection,
}

/// Deletes a policy.
///
/// Tokens that carry it lose what it granted; one in Cedar is no longer in force.
#[derive(Args)]
pub(crate) struct Delete {
    /// Name of the policy
    name: String,
    #[command(flatten)]
    language: InLanguage,
    #[command(flatten)]
    connection: Connection,
}

/// Brings a file with a policy into its canonical form.
///
/// Two spaces a level, one item a line; comments stay. What the policy means does not change. A file
/// that ends in .cedar holds Cedar, any other HCL.
#[derive(Args)]
pub(crate) struct Fmt {
    #[command(flatten)]
    language: InLanguage,
    /// File with the policy
    file: PathBuf,
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run().await,
            Self::Read(command) => command.run().await,
            Self::Write(command) => command.run().await,
            Self::Delete(command) => command.run().await,
            Self::Fmt(command) => command.run(),
            Self::Check(command) => command.run().await,
            Self::Translate(command) => command.run(),
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let found = session.client.sys().policies_in(self.language.of()).await;
        let names = found.during(|| "listing policies".to_owned())?;
        if !session.style.is_table() {
            return structured(&Json::from(names), session.style.format);
        }
        names.iter().try_for_each(|name| console::line(name))
    }
}

impl Read {
    async fn run(self) -> Result<(), Failure> {
        let name = lower(&self.name);
        let session = Session::open(&self.connection)?;
        let found = session
            .client
            .sys()
            .policy_in(self.language.of(), &name)
            .await;
        let policy = found
            .during(|| format!("reading policy named {name}"))?
            .ok_or_else(|| Failure::Missing(format!("No policy named: {name}")))?;
        if session.style.is_table() {
            return console::line(policy.trim());
        }
        let object: Object = [("policy", policy)].into_iter().collect();
        structured(&object.into(), session.style.format)
    }
}

impl Write {
    async fn run(self) -> Result<(), Failure> {
        let name = lower(&self.name);
        let session = Session::open(&self.connection)?;
        let policy = text(&self.source)?;
        let written = session
            .client
            .sys()
            .put_policy_in(self.language.of(), &name, &policy)
            .await;
        let answer = written.during(|| "uploading policy".to_owned())?;
        if name != self.name.trim() {
            console::note(&format!(
                "names of policies have no capitals: `{}` is `{name}`",
                self.name
            ));
        }
        secret::say(&session.style, &format!("Success! Uploaded policy: {name}"))?;
        console::warnings(&answer.map(|answer| answer.warnings).unwrap_or_default());
        Ok(())
    }
}

impl Delete {
    async fn run(self) -> Result<(), Failure> {
        let name = lower(&self.name);
        let session = Session::open(&self.connection)?;
        let deleted = session
            .client
            .sys()
            .delete_policy_in(self.language.of(), &name)
            .await;
        deleted.during(|| format!("deleting {name}"))?;
        secret::say(&session.style, &format!("Success! Deleted policy: {name}"))
    }
}

impl Fmt {
    fn run(self) -> Result<(), Failure> {
        let shown = self.file.display();
        let failed = |error: std::io::Error| {
            Failure::local(format!("cannot format the policy in `{shown}`: {error}"))
        };
        let file = self.file.canonicalize().map_err(failed)?;
        let mut text = String::new();
        let opened = std::fs::File::open(&file).map_err(failed)?;
        opened
            .take(POLICY_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(failed)?;
        let is_cedar = self.file.extension().is_some_and(|end| end == "cedar");
        let formatted = if is_cedar || self.language.cedar {
            secretum_policy::cedar::format(&text)
                .map_err(|error| Failure::local(format!("failed to parse policy: {error}")))?
        } else {
            format::format(&text).map_err(Failure::display)?
        };
        if formatted != text {
            replace(&file, &formatted).map_err(failed)?;
        }
        console::line(&format!("Success! Formatted policy: {shown}"))
    }
}

/// Puts a text in the place of a file at once, keeping the file's permissions.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(std::fs::metadata(path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn lower(name: &str) -> String {
    name.trim().to_lowercase()
}

fn text(source: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        // Vault's exit code for this is 2, as for a refusal by the server.
        Failure::Missing(format!("cannot read the policy in `{source}`: {error}"))
    };
    let mut text = String::new();
    if source == "-" {
        std::io::stdin()
            .lock()
            .take(POLICY_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(failed)?;
    } else {
        let file = std::fs::File::open(source).map_err(failed)?;
        file.take(POLICY_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(failed)?;
    }
    Ok(text)
}
