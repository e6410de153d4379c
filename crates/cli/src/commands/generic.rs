//! `read`, `write`, `patch`, `delete`, `list`, `scan`: any path of the API.

use crate::arguments::data;
use crate::arguments::flags::{self, Connection, Field};
use crate::commands::outcome;
use crate::failure::{During, Failure};
use crate::output::{Format, console, secret, structured};
use crate::session::Session;
use clap::Args;
use secretum_client::{Json, Object, Request, Secret};

/// The exit code where nothing is there.
const NOTHING: u8 = 2;

/// Reads what is at a path
///
///   read secret/data/app
///   read -field=password database/creds/app
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Read {
    #[command(flatten)]
    query: Query,
}

/// Writes to a path
///
/// Data are key=value; key=@file takes the value from a file, key=- from standard input. @file and
/// - take all of it, as JSON.
///
///   write auth/userpass/users/ann password=- policies=app
///   write -force transit/keys/app
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Write {
    #[command(flatten)]
    change: Change,
}

/// Merges into what is at a path, where the path can do that
///
/// Data are written as for write.
///
///   patch pki/roles/app ttl=1h
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Patch {
    #[command(flatten)]
    change: Change,
}

/// What to send to a path.
#[derive(Args)]
#[group(skip)]
struct Change {
    /// Path of the API
    path: String,
    /// What to write
    #[arg(value_name = "KEY=VALUE", allow_negative_numbers = true)]
    data: Vec<String>,
    /// Write without data (also: -f)
    #[arg(long, alias = "f")]
    force: bool,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Deletes what is at a path
///
/// That nothing is there is no error.
///
///   delete transit/keys/app
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Delete {
    #[command(flatten)]
    query: Query,
}

/// What to ask a path.
#[derive(Args)]
#[group(skip)]
struct Query {
    /// Path of the API
    path: String,
    /// Parameters of the query, as key=value
    #[arg(value_name = "KEY=VALUE", allow_negative_numbers = true)]
    data: Vec<String>,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Lists the names below a path; a name with a slash at its end is a folder
///
///   list auth/userpass/users
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct List {
    #[command(flatten)]
    listing: Listing,
}

/// Lists the names below a path and all its folders, where the path can do that
///
///   scan secret/metadata
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Scan {
    #[command(flatten)]
    listing: Listing,
}

/// What is listed, and how much of it.
#[derive(Args)]
#[group(skip)]
struct Listing {
    /// Path of the API
    path: String,
    /// Show what is told of each name
    #[arg(long)]
    detailed: bool,
    /// Begin after this name
    #[arg(long, value_name = "NAME")]
    after: Option<String>,
    /// Show this many names
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

impl Read {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (session, path, request) = self.query.open(Request::get)?;
        if session.style.format == Format::Raw && session.style.field.is_none() {
            let answer = session
                .client
                .send(request)
                .await
                .during(|| format!("reading {path}"))?;
            return console::bytes(&answer.body).and_then(|()| console::out("\n"));
        }
        let found = session
            .client
            .find(request)
            .await
            .during(|| format!("reading {path}"))?;
        match found {
            Some(found) => secret::show(&found, &session.style),
            None => Err(nothing_at(&path)),
        }
    }
}

impl Write {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (session, path, body) = self.change.open()?;
        outcome::written(session.client.write(&path, &body).await, &session, &path)
    }
}

impl Patch {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (session, path, body) = self.change.open()?;
        outcome::written(session.client.patch(&path, &body).await, &session, &path)
    }
}

impl Query {
    /// The client, the path, and the request to make there.
    fn open(
        self,
        request: impl FnOnce(String) -> Request,
    ) -> Result<(Session, String, Request), Failure> {
        let path = flags::path(&self.path)?;
        let session = Session::with_field(&self.connection, self.field)?;
        let data = data::read(&self.data, &mut std::io::stdin().lock())?;
        let mut request = request(path.clone());
        for (name, value) in data.iter() {
            let values = match value {
                Json::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            for value in values {
                request = request.query(name, parameter(value));
            }
        }
        Ok((session, path, request))
    }
}

impl Change {
    /// The client, the path, and what to send there.
    fn open(self) -> Result<(Session, String, Json), Failure> {
        let path = flags::path(&self.path)?;
        if self.data.is_empty() && !self.force {
            return Err(Failure::local(
                "Must supply data or use -force: key=value, @file, or - for standard input",
            ));
        }
        let body = data::read(&self.data, &mut std::io::stdin().lock())?;
        let session = Session::with_field(&self.connection, self.field)?;
        Ok((session, path, body.into()))
    }
}

impl Delete {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (session, path, request) = self.query.open(Request::delete)?;
        outcome::deleted(session.client.act(request).await, &session, &path)
    }
}

impl List {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        self.listing
            .run(|path| Request::list(path), "listing")
            .await
    }
}

impl Scan {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        self.listing
            .run(|path| Request::scan(path), "scanning")
            .await
    }
}

impl Listing {
    async fn run(self, request: fn(&str) -> Request, doing: &str) -> Result<(), Failure> {
        let path = flags::path(&self.path)?;
        let session = Session::open(&self.connection)?;
        let mut request = request(&path);
        if let Some(after) = &self.after {
            request = request.query("after", after);
        }
        if let Some(limit) = self.limit {
            request = request.query("limit", limit.to_string());
        }
        let found = session
            .client
            .find(request)
            .await
            .during(|| format!("{doing} {path}"))?;
        show_listing(found, &session, &path, self.detailed)
    }
}

/// Shows a listing, or says that nothing is there.
pub(crate) fn show_listing(
    found: Option<Secret>,
    session: &Session,
    path: &str,
    detailed: bool,
) -> Result<(), Failure> {
    match found {
        Some(found) if found.wrap_info.is_some() => secret::show(&found, &session.style),
        Some(found) if found.keys().is_some() => {
            secret::show_list(&found, &session.style, detailed)
        }
        found => {
            console::warnings(&found.map(|found| found.warnings).unwrap_or_default());
            if session.style.is_table() {
                return Err(nothing_at(path));
            }
            // Scripts parse what they get, so they get something to parse.
            structured(&Object::new().into(), session.style.format)?;
            Err(Failure::Silent(NOTHING))
        }
    }
}

/// What is said where a path holds nothing.
pub(crate) fn nothing_at(path: &str) -> Failure {
    Failure::Missing(format!("No value found at {path}"))
}

fn parameter(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
