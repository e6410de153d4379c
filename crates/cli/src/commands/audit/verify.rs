//! `audit key` and `audit verify`: whether a log is as its device wrote it.

use crate::arguments::flags::{self, Connection};
use crate::failure::{During, Failure};
use crate::output::{Format, bar, console, structured};
use crate::session::Session;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use flate2::read::MultiGzDecoder;
use secretum_audit::verify::{HeadMark, Layout, Report, Verifier, first};
use secretum_client::{Json, Object};
use std::fs::File;
use std::io::{Chain, Cursor, Read};
use std::path::{Path, PathBuf};

/// Bytes of a public key.
const KEY_BYTES: usize = 32;

/// Bytes of a chain.
const CHAIN_BYTES: usize = 32;

/// How a file begins that gzip packed.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The exit code where something was found.
const FOUND: u8 = 2;

/// Prints the public key of an audit device, with which its log is verified.
#[derive(Args)]
pub(crate) struct Key {
    /// Name of the device
    path: String,
    #[command(flatten)]
    connection: Connection,
}

/// Says whether the log of an audit device is as it was written
///
/// It needs no server and no secret: the files, and the public key of the device, which `audit key` prints.
/// Files that follow each other are put in order; those that gzip packed are read as they are.
///
///   audit verify -public-key=6f1d… /var/log/secretum/audit.log*
///   audit verify -public-key=@audit.pub audit.log.2.gz audit.log.1 audit.log
///   audit verify -public-key=@audit.pub -relayed -restarts /var/log/vault.log
///
/// A log whose end was cut off at a head is whole as far as it goes. So the last head is printed: keep it
/// elsewhere, and give it as -head the next time.
///
/// It ends with 0 where nothing is wrong, with 2 where something was altered, removed, put in or
/// reordered, and with 1 where the log could not be read.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Verify {
    /// Files of the log; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The device's public key, in hex or base64; @FILE takes it from a file. More than one where
    /// devices wrote the log one after the other
    #[arg(long, value_name = "KEY", required_unless_present = "chain_only")]
    public_key: Vec<String>,
    /// Check no signatures: who can write the log can make its chain anew
    #[arg(long, conflicts_with = "public_key")]
    chain_only: bool,
    /// The log must begin with its first record, not with the first that was kept
    #[arg(long)]
    from_start: bool,
    /// The log begins anew with each start of the server, as those over syslog, sockets and stdout do
    #[arg(long)]
    restarts: bool,
    /// Something stands before each line, and lines of others between them, as a syslog daemon, a journal or
    /// the runtime of a container keeps them
    #[arg(long)]
    relayed: bool,
    /// With -relayed: the device's own option `prefix`
    #[arg(long, value_name = "TEXT", requires = "relayed", default_value = "")]
    prefix: String,
    /// A head that must be in the log, as an earlier run printed it
    #[arg(long, value_name = "NUMBER:CHAIN", value_parser = head, conflicts_with = "chain_only")]
    head: Option<HeadMark>,
    /// How the outcome is shown
    #[arg(long, value_enum, default_value_t, env = "VAULT_FORMAT")]
    format: Format,
}

impl Key {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let path = flags::path(&self.path)?;
        let session = Session::open(&self.connection)?;
        let key = session.client.sys().audit_key(&path).await;
        let key = key.during(|| "reading the public key".to_owned())?;
        if session.style.is_table() {
            return console::line(&key);
        }
        let object: Object = [("public_key", key)].into_iter().collect();
        structured(&object.into(), session.style.format)
    }
}

impl Verify {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let keys = self.public_key.iter().map(|key| public_key(key));
        let keys = keys.collect::<Result<_, _>>()?;
        let layout = match self.relayed {
            true => Layout::Relayed {
                prefix: self.prefix,
            },
            false => Layout::AsWritten,
        };
        let files = ordered(self.files, &layout, self.restarts)?;
        let progress = bar::of_bytes(length(&files));
        let mut verifier = Verifier::new(keys).with_layout(layout);
        if self.restarts {
            verifier = verifier.with_restarts();
        }
        if let Some(head) = self.head {
            verifier = verifier.with_head(head);
        }
        for file in &files {
            let read = verifier.read(&file.display().to_string(), open(file)?, |bytes| {
                progress.inc(bytes);
            });
            read.map_err(|error| unreadable(file, &error))?;
        }
        progress.finish_and_clear();
        let report = verifier.finish();
        let begins_late = self.from_start && report.first_sequence.is_some_and(|first| first > 0);
        match self.format {
            Format::Table | Format::Raw => {
                console::out(&told(&report, files.len(), begins_late, self.chain_only))?;
            }
            format => {
                let value = Json::from_value(&report).map_err(Failure::display)?;
                structured(&value, format)?;
            }
        }
        if report.findings > 0 || begins_late {
            return Err(Failure::Silent(FOUND));
        }
        if report.first_sequence.is_none() {
            return Err(Failure::local("there is no record in what was read"));
        }
        Ok(())
    }
}

/// A public key as it was given.
fn public_key(given: &str) -> Result<Vec<u8>, Failure> {
    let text = match given.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Failure::local(format!("cannot read `{file}`: {error}")))?,
        None => given.to_owned(),
    };
    let text = text.trim();
    let key = hex::decode(text).or_else(|_| STANDARD.decode(text));
    key.ok()
        .filter(|key| key.len() == KEY_BYTES)
        .ok_or_else(|| {
            Failure::local(format!(
                "the public key is {KEY_BYTES} bytes in hex or base64, as `audit key` prints it"
            ))
        })
}

/// A head as it was printed.
fn head(given: &str) -> Result<HeadMark, String> {
    let mark = given.split_once(':').and_then(|(sequence, chain)| {
        let bytes = hex::decode(chain.trim()).ok()?;
        Some(HeadMark {
            sequence: sequence.trim().parse().ok()?,
            chain: (bytes.len() == CHAIN_BYTES).then(|| hex::encode(bytes))?,
        })
    });
    mark.ok_or_else(|| "a head is its number, a colon and 64 digits of hex".to_owned())
}

/// The files in the order of their records, whatever order they were named in. Where numbers begin anew,
/// their times say it.
fn ordered(files: Vec<PathBuf>, layout: &Layout, restarts: bool) -> Result<Vec<PathBuf>, Failure> {
    if files.len() < 2 {
        return Ok(files);
    }
    if files.iter().any(|file| file == Path::new("-")) {
        return Err(Failure::local(
            "standard input is read alone, without other files",
        ));
    }
    let mut ordered = Vec::with_capacity(files.len());
    for file in files {
        let first = first(open(&file)?, layout).map_err(|error| unreadable(&file, &error))?;
        let made = first.as_ref().and_then(|first| first.made);
        let sequence = first.map(|first| first.sequence);
        ordered.push((made.filter(|_| restarts), sequence, file));
    }
    ordered.sort_by_key(|(made, sequence, _)| (*made, *sequence));
    Ok(ordered.into_iter().map(|(_, _, file)| file).collect())
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::local(format!("cannot read `{}`: {error}", file.display()))
}

/// What a file holds, unpacked where gzip packed it.
fn open(file: &Path) -> Result<Box<dyn Read>, Failure> {
    if file == Path::new("-") {
        return unpacked(std::io::stdin()).map_err(|error| unreadable(file, &error));
    }
    let opened = File::open(file).and_then(unpacked);
    opened.map_err(|error| unreadable(file, &error))
}

fn unpacked(mut input: impl Read + 'static) -> std::io::Result<Box<dyn Read>> {
    let mut begin = Vec::new();
    (&mut input)
        .take(GZIP.len() as u64)
        .read_to_end(&mut begin)?;
    let is_packed = begin == GZIP;
    let whole: Chain<Cursor<Vec<u8>>, _> = Cursor::new(begin).chain(input);
    Ok(if is_packed {
        Box::new(MultiGzDecoder::new(whole))
    } else {
        Box::new(whole)
    })
}

/// How many bytes the files have together; those that cannot be looked at count as empty.
fn length(files: &[PathBuf]) -> u64 {
    let sizes = files.iter().map(std::fs::metadata);
    sizes
        .map(|facts| facts.map_or(0, |facts| facts.len()))
        .sum()
}

/// What people are told.
fn told(report: &Report, files: usize, begins_late: bool, chain_only: bool) -> String {
    let mut lines: Vec<String> = (report.told.iter())
        .map(|finding| format!("{}:{}: {}", finding.file, finding.line, finding.what))
        .collect();
    let more = report.findings.saturating_sub(report.told.len() as u64);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    let (first, last) = (
        report.first_sequence.unwrap_or(0),
        report.last_sequence.unwrap_or(0),
    );
    if begins_late {
        lines.push(format!(
            "the log begins with number {first}: what stood before it is missing"
        ));
    }
    lines.push(format!(
        "{} records and {} heads in {files} {}, numbers {first} to {last}",
        report.records,
        report.heads,
        if files == 1 { "file" } else { "files" },
    ));
    if report.others > 0 {
        lines.push(format!("{} lines are of others", report.others));
    }
    if let Some(head) = &report.last_head {
        lines.push(format!(
            "the last head is {}:{}: keep it, for -head",
            head.sequence, head.chain
        ));
    }
    if report.first_sequence.is_some() && !report.is_closed {
        lines.push(
            "its device did not close it: it still writes, or it crashed, or the end was cut off"
                .to_owned(),
        );
    }
    if report.uncovered > 0 {
        lines.push(format!(
            "{} records stand behind the last head: nothing is signed yet that covers them",
            report.uncovered
        ));
    }
    if report.torn + report.not_closed > 0 {
        lines.push(format!(
            "{} times a device ended without its last head, and {} lines were torn: crashes, unless \
             something was cut off",
            report.not_closed, report.torn
        ));
    }
    if chain_only {
        lines.push("signatures were not checked".to_owned());
    }
    lines.push(match report.findings {
        0 if !begins_late && report.uncovered > 0 => {
            "Success! The log is as it was written, up to the last head.".to_owned()
        }
        0 if !begins_late => "Success! The log is as it was written.".to_owned(),
        found => format!(
            "The log is not as it was written: {} findings",
            found + u64::from(begins_late)
        ),
    });
    lines.join("\n") + "\n"
}
