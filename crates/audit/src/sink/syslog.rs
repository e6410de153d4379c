//! [`Syslog`]: records to the syslog daemon of this machine.
//!
//! A record is one datagram, `<priority>tag[process]: record`, taken when the daemon's queue has it. The
//! daemon may cut it (rsyslog does at 8 KiB unless told otherwise), delay it, or leave it out.
//!
//! **Source**: RFC 3164, section 4.1, without the time, which the daemon knows.

use super::{Opened, Sink, Unwritten};
use crate::AuditError;
use crate::queue::Lines;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Where a daemon listens.
pub(crate) const ADDRESS: &str = "/dev/log";

/// How long the daemon may take for a record.
const PATIENCE: Duration = Duration::from_secs(2);

/// The severity of every record: informational.
const SEVERITY: u8 = 6;

/// The longest tag, in bytes.
const TAG_BYTES_MAX: usize = 32;

/// The facilities, by their number.
const FACILITIES: [&str; 24] = [
    "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV",
    "FTP", "NTP", "SECURITY", "CONSOLE", "CLOCK", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4",
    "LOCAL5", "LOCAL6", "LOCAL7",
];

/// How a syslog device tells of its records, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyslogOptions {
    address: String,
    facility: u8,
    tag: String,
}

impl SyslogOptions {
    /// **Errors**: [`AuditError::Option`] for a facility that there is not, a tag that no line could
    /// begin with, and an address that is no path.
    pub(crate) fn new(address: &str, facility: &str, tag: &str) -> Result<Self, AuditError> {
        let is_it = |name: &&str| name.eq_ignore_ascii_case(facility);
        let found = FACILITIES.iter().position(is_it);
        let Some(facility) = found.and_then(|number| u8::try_from(number).ok()) else {
            return Err(AuditError::Option(format!(
                "facility must be one of {}",
                FACILITIES.join(", ")
            )));
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if tag.is_empty() || tag.len() > TAG_BYTES_MAX || !tag.bytes().all(is_plain) {
            return Err(AuditError::Option(format!(
                "tag has up to {TAG_BYTES_MAX} letters, digits, `-`, `_` and `.`"
            )));
        }
        if !address.starts_with('/') {
            return Err(AuditError::Option(
                "address must be the absolute path of the daemon's socket".to_owned(),
            ));
        }
        Ok(Self {
            address: address.to_owned(),
            facility,
            tag: tag.to_owned(),
        })
    }

    /// The same with a tag that begins with `mark`, and is cut off where it is too long.
    pub(crate) fn beside(self, mark: &str) -> Self {
        let tag = mark.chars().chain(self.tag.chars());
        Self {
            tag: tag.take(TAG_BYTES_MAX).collect(),
            ..self
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The sink; it connects when it has something to send.
    pub(crate) fn open(&self) -> Opened {
        Opened::elsewhere(self.sink(None))
    }

    fn sink(&self, daemon: Option<UnixDatagram>) -> Syslog {
        let priority = self.facility * 8 + SEVERITY;
        let head = format!("<{priority}>{}[{}]: ", self.tag, std::process::id());
        Syslog {
            options: self.clone(),
            head: head.into_bytes(),
            daemon,
            message: Vec::new(),
        }
    }

    /// Whether a daemon is there.
    ///
    /// **Errors**: [`AuditError::Unreachable`].
    pub(crate) fn try_connect(&self) -> Result<(), AuditError> {
        self.connect().map(drop)
    }

    fn connect(&self) -> Result<UnixDatagram, AuditError> {
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.connect(&self.address)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        connect().map_err(|error: std::io::Error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> AuditError {
        let reason = match error.kind() {
            ErrorKind::WouldBlock => "the daemon takes nothing in time".to_owned(),
            _ => error.to_string(),
        };
        AuditError::Unreachable {
            place: self.address.clone(),
            reason,
        }
    }
}

/// A daemon that is connected when something is sent, and again when it was started anew.
pub(crate) struct Syslog {
    options: SyslogOptions,
    head: Vec<u8>,
    daemon: Option<UnixDatagram>,
    message: Vec<u8>,
}

impl Syslog {
    fn send(&mut self, line: &[u8]) -> Result<(), AuditError> {
        self.message.clear();
        self.message.extend_from_slice(&self.head);
        let record = line.strip_suffix(b"\n").unwrap_or(line);
        self.message.extend_from_slice(record);
        if let Some(daemon) = &self.daemon {
            match daemon.send(&self.message) {
                Ok(_) => return Ok(()),
                Err(error) if is_lost(&error) => self.daemon = None,
                Err(error) => return Err(self.options.failed(&error)),
            }
        }
        let daemon = self.options.connect()?;
        let sent = daemon.send(&self.message);
        self.daemon = Some(daemon);
        sent.map(drop).map_err(|error| self.options.failed(&error))
    }
}

/// Whether a daemon that was there is gone.
fn is_lost(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::NotConnected
            | ErrorKind::NotFound
    )
}

impl Sink for Syslog {
    fn write(&mut self, lines: &Lines) -> Result<(), Unwritten> {
        for (number, line) in lines.iter().enumerate() {
            // INVARIANT: a datagram goes whole or not at all.
            self.send(line).map_err(|error| match number {
                0 => Unwritten::Nothing(error),
                _ => Unwritten::Perhaps(error),
            })?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), AuditError> {
        self.daemon = Some(self.options.connect()?);
        Ok(())
    }
}

#[cfg(test)]
impl Syslog {
    /// A sink on a daemon that is connected already, and has all the time.
    pub(crate) fn on(daemon: UnixDatagram) -> Self {
        let options = SyslogOptions::new(ADDRESS, "AUTH", "vault");
        options.unwrap().sink(Some(daemon))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_daemon_would_take_is_refused() {
        let long = "t".repeat(TAG_BYTES_MAX + 1);
        for (facility, tag, fits) in [
            ("AUTH", "vault", true),
            ("local7", &long[1..], true),
            ("AUTH", &long, false),
            ("AUTH", "a b", false),
            ("AUTH", "a\n", false),
            ("AUTH", "", false),
            ("", "vault", false),
            ("NONE", "vault", false),
        ] {
            let read = SyslogOptions::new(ADDRESS, facility, tag);
            assert_eq!(read.is_ok(), fits, "{facility} {tag:?}: {read:?}");
        }
        assert!(SyslogOptions::new("log", "AUTH", "vault").is_err());
        let local7 = SyslogOptions::new(ADDRESS, "LOCAL7", "vault").unwrap();
        assert_eq!(local7.facility, 23);
    }
}
