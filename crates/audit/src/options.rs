//! [`DeviceOptions`]: the type and options of a device, as Vault's clients write them.

use crate::AuditError;
use crate::file::FileOptions;
use crate::file::sink::FileSink;
use crate::form::FormOptions;
use crate::sink::socket::{SocketKind, SocketOptions, WRITE_TIMEOUT, WRITE_TIMEOUT_MAX};
use crate::sink::stdout::Stdout;
use crate::sink::syslog::{self, SyslogOptions};
use crate::sink::{Discard, Opened, Place};
use secretum_api::fields::parse_duration;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// What a client may say of every type.
const COMMON: [&str; 6] = [
    "elide_list_responses",
    "format",
    "hmac_accessor",
    "log_raw",
    "prefix",
    "skip_test",
];

/// The types, and what a client may say of each besides.
const KINDS: [(&str, &[&str]); 3] = [
    ("file", &["file_path", "mode", "path"]),
    ("syslog", &["address", "facility", "tag"]),
    ("socket", &["address", "socket_type", "write_timeout"]),
];

/// What a device is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceOptions {
    pub(crate) target: Target,
    pub(crate) form: FormOptions,
    skip_test: bool,
}

/// Where a device writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    File(FileOptions),
    Stdout,
    Discard,
    Syslog(SyslogOptions),
    Socket(SocketOptions),
}

impl DeviceOptions {
    /// Reads a type and its options. A device writes files below `directory` only, where one is given.
    ///
    /// **Errors**: [`AuditError::Option`] that names the option.
    pub fn read(
        kind: &str,
        options: &BTreeMap<String, String>,
        directory: Option<&Path>,
    ) -> Result<Self, AuditError> {
        let given = Given(options);
        check_names(kind, options)?;
        let target = match kind {
            "syslog" => Target::Syslog(SyslogOptions::new(
                given.text("address").unwrap_or(syslog::ADDRESS),
                given.text("facility").unwrap_or("AUTH"),
                given.text("tag").unwrap_or("vault"),
            )?),
            "socket" => Target::Socket(given.socket()?),
            _ => given.file(directory)?,
        };
        let form = given.form()?;
        if let (Target::File(_), None) = (&target, directory)
            && !form.prefix.is_empty()
        {
            return refuse(
                "prefix needs `audit_directory` in the configuration of the server: lines that begin \
                 as a caller wants could be commands, where a file stands in the wrong folder",
            );
        }
        Ok(Self {
            target,
            form,
            skip_test: given.flag("skip_test", false)?,
        })
    }

    /// What whoever enables the device should know.
    pub fn warnings(&self) -> Vec<&'static str> {
        let raw = self.form.log_raw.then_some(
            "log_raw is on: this device shows tokens and secrets as they are to whoever reads it",
        );
        let lossy = match &self.target {
            Target::Discard => Some("this device keeps nothing of what it takes"),
            Target::Socket(SocketOptions {
                kind: SocketKind::Udp,
                ..
            }) => Some(
                "records over UDP may be lost, and this device counts as taking them nevertheless",
            ),
            _ => None,
        };
        raw.into_iter().chain(lossy).collect()
    }

    /// The same for a program that runs beside the owner of the device: what tells the two apart begins with
    /// `mark`, the name of the file or the tag. A socket has a connection of its own.
    #[must_use]
    pub fn beside(self, mark: &str) -> Self {
        let target = match self.target {
            Target::File(options) => Target::File(options.beside(mark)),
            Target::Syslog(options) => Target::Syslog(options.beside(mark)),
            other => other,
        };
        Self { target, ..self }
    }

    /// Whether it writes on the output of its program.
    pub fn is_stdout(&self) -> bool {
        matches!(self.target, Target::Stdout)
    }

    /// Whether nothing is asked of the place when the device is enabled.
    pub(crate) fn skips_test(&self) -> bool {
        self.skip_test
    }
}

impl Target {
    /// **Errors**: [`AuditError::File`], [`AuditError::Option`], [`AuditError::InUse`],
    /// [`AuditError::Unreachable`]. A peer that is not there is none: it may come.
    pub(crate) fn open(&self) -> Result<Opened, AuditError> {
        match self {
            Self::File(options) => FileSink::open(options.clone()),
            Self::Stdout => Stdout::open(),
            Self::Discard => Ok(Opened::elsewhere(Discard)),
            Self::Syslog(options) => Ok(options.open()),
            Self::Socket(options) => Ok(options.open()),
        }
    }

    /// Whether a device could write there now; leaves a file as it is, or empty.
    ///
    /// **Errors**: as [`Self::open`], and [`AuditError::Unreachable`] for a peer that is not there.
    pub(crate) fn try_open(&self) -> Result<(), AuditError> {
        match self {
            Self::Syslog(options) => options.try_connect(),
            Self::Socket(options) => options.try_connect(),
            _ => self.open().map(drop),
        }
    }

    /// Whether it and what stands at a place would get into each other's way.
    pub(crate) fn is_at(&self, place: &Place) -> bool {
        match (self, place) {
            (Self::File(options), Place::File { path, id }) => options.is_at(*id.lock(), path),
            (Self::Stdout, Place::Stdout) => true,
            _ => false,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(options) => options.path().display().fmt(f),
            Self::Stdout => f.write_str("stdout"),
            Self::Discard => f.write_str("discard"),
            Self::Syslog(options) => f.write_str(options.address()),
            Self::Socket(options) => f.write_str(&options.address),
        }
    }
}

fn refuse<T>(text: impl Into<String>) -> Result<T, AuditError> {
    Err(AuditError::Option(text.into()))
}

/// Refuses an option that no device of the type has: it would be ignored.
fn check_names(kind: &str, options: &BTreeMap<String, String>) -> Result<(), AuditError> {
    let Some((_, own)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return refuse(format!(
            "`{}` is not a type of audit device: use `file`, `syslog` or `socket`",
            shortened(kind)
        ));
    };
    let known = |name: &str| COMMON.contains(&name) || own.contains(&name);
    match options.keys().find(|name| !known(name)) {
        Some(unknown) => refuse(format!(
            "`{}` is not an option of audit devices of type `{kind}`: they have {} and {}",
            shortened(unknown),
            own.join(", "),
            COMMON.join(", "),
        )),
        None => Ok(()),
    }
}

/// As much of what a caller sent as an error repeats.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The options as a client gave them; an empty text is none.
struct Given<'o>(&'o BTreeMap<String, String>);

impl<'o> Given<'o> {
    fn text(&self, name: &str) -> Option<&'o str> {
        let text = self.0.get(name).map(String::as_str);
        text.filter(|text| !text.is_empty())
    }

    fn flag(&self, name: &str, or: bool) -> Result<bool, AuditError> {
        match self.text(name) {
            None => Ok(or),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(other) => refuse(format!(
                "{name} must be true or false, not `{}`",
                shortened(other)
            )),
        }
    }

    fn form(&self) -> Result<FormOptions, AuditError> {
        match self.text("format") {
            None | Some("json") => {}
            Some("jsonx") => {
                return refuse("the format jsonx is not served: use json, the only format");
            }
            Some(other) => {
                return refuse(format!("format must be json, not `{}`", shortened(other)));
            }
        }
        let prefix = self.0.get("prefix").map_or("", String::as_str);
        if prefix.chars().any(char::is_control) {
            return refuse("prefix cannot hold control characters");
        }
        Ok(FormOptions {
            log_raw: self.flag("log_raw", false)?,
            hmac_accessor: self.flag("hmac_accessor", true)?,
            elide_list_responses: self.flag("elide_list_responses", false)?,
            prefix: prefix.to_owned(),
        })
    }

    fn file(&self, directory: Option<&Path>) -> Result<Target, AuditError> {
        match self.text("file_path").or_else(|| self.text("path")) {
            Some("stdout") => Ok(Target::Stdout),
            Some("discard") => Ok(Target::Discard),
            _ => FileOptions::read(self.0, directory).map(Target::File),
        }
    }

    fn socket(&self) -> Result<SocketOptions, AuditError> {
        let kind = match self.text("socket_type").unwrap_or("tcp") {
            "tcp" => SocketKind::Tcp,
            "udp" => SocketKind::Udp,
            "unix" => SocketKind::Unix,
            other => {
                return refuse(format!(
                    "socket_type must be tcp, udp or unix, not `{}`",
                    shortened(other)
                ));
            }
        };
        let Some(address) = self.text("address") else {
            return refuse("address is required");
        };
        match kind {
            SocketKind::Unix if !address.starts_with('/') => {
                return refuse("address of a unix socket must be an absolute path");
            }
            SocketKind::Tcp | SocketKind::Udp if !is_host_and_port(address) => {
                return refuse(
                    "address must be a host and a port, for example `logs.example:9090`",
                );
            }
            _ => {}
        }
        Ok(SocketOptions {
            address: address.to_owned(),
            kind,
            write_timeout: self.write_timeout()?,
        })
    }

    fn write_timeout(&self) -> Result<Duration, AuditError> {
        let Some(text) = self.text("write_timeout") else {
            return Ok(WRITE_TIMEOUT);
        };
        let timeout = parse_duration(text).map_err(|_| {
            AuditError::Option("write_timeout must be a duration, as 2s".to_owned())
        })?;
        if timeout < Duration::from_millis(1) || timeout > WRITE_TIMEOUT_MAX {
            return refuse(format!(
                "write_timeout is between 1 millisecond and {} seconds",
                WRITE_TIMEOUT_MAX.as_secs()
            ));
        }
        Ok(timeout)
    }
}

fn is_host_and_port(address: &str) -> bool {
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, options: &[(&str, &str)]) -> Result<DeviceOptions, AuditError> {
        let options = options
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        DeviceOptions::read(kind, &options.collect(), None)
    }

    #[test]
    fn what_is_not_said_is_as_in_vault() {
        let options = read("socket", &[("address", "127.0.0.1:9090")]).unwrap();
        let socket = SocketOptions {
            address: "127.0.0.1:9090".to_owned(),
            kind: SocketKind::Tcp,
            write_timeout: WRITE_TIMEOUT,
        };
        assert_eq!(options.target, Target::Socket(socket));
        assert!(options.form.hmac_accessor && !options.form.log_raw);
        assert!(!options.form.elide_list_responses && options.form.prefix.is_empty());
        assert!(!options.skips_test() && options.warnings().is_empty());
        assert!(read("syslog", &[]).is_ok());
        let stdout = read("file", &[("file_path", "stdout"), ("prefix", "a: ")]).unwrap();
        assert_eq!(stdout.target, Target::Stdout);
        let nothing = read("file", &[("path", "discard"), ("log_raw", "true")]).unwrap();
        assert_eq!(
            (nothing.target.clone(), nothing.warnings().len()),
            (Target::Discard, 2)
        );
    }

    #[test]
    fn who_writes_beside_a_device_writes_elsewhere() {
        let beside = |kind, options: &[_]| read(kind, options).unwrap().beside("own-");
        let file = beside(
            "file",
            &[("file_path", "/var/log/kms.log"), ("mode", "0640")],
        );
        let wanted = [("file_path", "/var/log/own-kms.log"), ("mode", "0640")];
        assert_eq!(file, read("file", &wanted).unwrap());
        let tag = |text| [("tag", text)];
        let syslog = beside("syslog", &tag("kms"));
        assert_eq!(syslog, read("syslog", &tag("own-kms")).unwrap());
        // A tag has its longest.
        let (long, cut) = ("t".repeat(32), format!("own-{}", "t".repeat(28)));
        let long = beside("syslog", &tag(&long));
        assert_eq!(long, read("syslog", &tag(&cut)).unwrap());
        for (kind, option) in [("socket", ("address", "h:1")), ("file", ("path", "stdout"))] {
            let options = read(kind, &[option]).unwrap();
            assert_eq!(options.clone().beside("own-"), options);
            assert_eq!(options.is_stdout(), kind == "file");
        }
    }

    #[test]
    fn wrong_options_are_named() {
        let longest = WRITE_TIMEOUT_MAX.as_secs().to_string();
        let at = ("address", "h:1");
        assert!(read("socket", &[at, ("write_timeout", &longest)]).is_ok());
        for (kind, options, named) in [
            ("nosuch", vec![], "nosuch"),
            ("file", vec![], "file_path"),
            ("file", vec![("file_path", "/x"), ("prefix", "x")], "prefix"),
            (
                "file",
                vec![("file_path", "stdout"), ("format", "jsonx")],
                "jsonx",
            ),
            (
                "file",
                vec![("file_path", "stdout"), ("format", "xml")],
                "format",
            ),
            (
                "file",
                vec![("file_path", "stdout"), ("log_raw", "yes")],
                "log_raw",
            ),
            (
                "file",
                vec![("file_path", "stdout"), ("log_rew", "true")],
                "log_rew",
            ),
            ("file", vec![("file_path", "stdout"), ("tag", "x")], "tag"),
            ("syslog", vec![("facility", "NONE")], "facility"),
            ("syslog", vec![("prefix", "a\nb")], "prefix"),
            ("socket", vec![], "address"),
            ("socket", vec![("address", "host")], "address"),
            ("socket", vec![("address", ":1")], "address"),
            ("socket", vec![("address", "h:0")], "address"),
            ("socket", vec![at, ("socket_type", "sctp")], "socket_type"),
            ("socket", vec![at, ("socket_type", "unix")], "address"),
            ("socket", vec![at, ("write_timeout", "0")], "write_timeout"),
            (
                "socket",
                vec![at, ("write_timeout", "61s")],
                "write_timeout",
            ),
            (
                "socket",
                vec![at, ("write_timeout", "soon")],
                "write_timeout",
            ),
        ] {
            let error = read(kind, &options).unwrap_err().to_string();
            assert!(error.contains(named), "{kind} {options:?}: {error}");
        }
    }
}
