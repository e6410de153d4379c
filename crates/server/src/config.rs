//! The server's configuration: from files to a [`Config`], or to every fault in them.
//!
//! Owns: which keys there are, in three syntaxes (our TOML, Vault's HCL and Vault's JSON), their
//! defaults and bounds, how files are merged, and what is said about a fault.
//!
//! Must not know: how any of it is done; it opens no socket, no data directory and no certificate
//! beyond reading its file.
//!
//! `files` finds the files, `syntax` reads each into one kind of tree (`secretum_hcl::Body`), `draft`
//! takes the keys from the trees in order with the help of `section`, and makes the [`Config`].
//! Faults are collected on the way and reported together.
//!
//! docs/configuration.md says the same for those who write the files.

mod address;
mod audit;
mod describe;
mod draft;
mod files;
mod listener;
mod load;
mod names;
mod notice;
mod origin;
mod pem;
mod problem;
mod reload;
mod sanitized;
mod section;
mod stanza;
mod storage;
mod syntax;
mod telemetry;
mod template;
mod tls;
mod toml_tree;
mod unix;
mod values;

#[cfg(test)]
mod tests;

pub use address::{Address, NodeUrl};
pub use audit::AUDITS_MAX;
pub use describe::describe;
pub use listener::{HttpTimes, ListenAddress, Listener};
pub use load::{ConfigFaults, Loaded};
pub use notice::{Notice, Place, Placed, Severity};
pub use problem::Problem;
pub use sanitized::sanitized;
pub use storage::{RaftStorage, Storage};
pub use telemetry::{SamplingRatio, Traces};
pub use tls::{ClientCertificates, Tls, TlsVersion};

use secretum_core::{DeclaredDevice, OpenCeremonies};
use std::path::PathBuf;
use std::time::Duration;

/// The most bytes of a configuration file.
pub const FILE_BYTES_MAX: usize = secretum_hcl::DOCUMENT_BYTES_MAX;

/// The most configuration files, those of folders included.
pub const FILES_MAX: usize = 256;

/// The most listeners.
pub const LISTENERS_MAX: usize = 64;

/// The longest duration of any key: ten years.
pub const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The lease TTLs where none are set: 768 hours, as in Vault.
pub const LEASE_TTL_DEFAULT: Duration = Duration::from_secs(768 * 3600);

/// The most bytes of a request's body where no limit is set: 32 MiB, as in Vault.
pub const REQUEST_BYTES_DEFAULT: u64 = 32 * 1024 * 1024;

/// The highest limit for the bytes of a request's body: 1 GiB.
pub const REQUEST_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How long a request may take where no limit is set: 90 seconds, as in Vault.
pub const REQUEST_DURATION_DEFAULT: Duration = Duration::from_secs(90);

/// How many connections of a listener may be open at once where no limit is set.
pub const CONNECTIONS_DEFAULT: usize = 16_384;

/// The highest limit for the open connections of a listener.
pub const CONNECTIONS_MAX: usize = 1_000_000;

/// How long a handshake, the first request, or the head of any may take: 10 seconds, as in Vault.
pub const READ_HEADER_TIME_DEFAULT: Duration = Duration::from_secs(10);

/// How long the body of a request may take: 30 seconds, as in Vault.
pub const READ_TIME_DEFAULT: Duration = Duration::from_secs(30);

/// How long a client may take nothing of what waits for it.
pub const WRITE_TIME_DEFAULT: Duration = Duration::from_secs(30);

/// How long a connection may rest between two requests: 5 minutes, as in Vault.
pub const IDLE_TIME_DEFAULT: Duration = Duration::from_secs(300);

/// How the server is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Where everything is kept.
    pub storage: Storage,
    /// Where clients are listened to. Never empty, no address twice.
    pub listeners: Vec<Listener>,
    /// Where clients reach this node. Default: `None`; the server then derives it from its first
    /// listener.
    pub api_addr: Option<NodeUrl>,
    /// Where other nodes reach this node. Default: `None`.
    pub cluster_addr: Option<NodeUrl>,
    /// The cluster's name. Default: `None`; it is then made up when the vault is initialised.
    pub cluster_name: Option<String>,
    /// Whether memory may be written to swap. Default: false.
    pub disable_mlock: bool,
    /// Whether `sys/raw` reads and writes the storage as it is. Default: false.
    pub raw_storage_endpoint: bool,
    /// The TTL of a lease or token that asks for none. Default: [`LEASE_TTL_DEFAULT`], or
    /// `max_lease_ttl` where that is shorter.
    pub default_lease_ttl: Duration,
    /// The longest TTL of a lease or token. Default: [`LEASE_TTL_DEFAULT`], or `default_lease_ttl`
    /// where that is longer. At least `default_lease_ttl`.
    pub max_lease_ttl: Duration,
    /// Least important messages that are logged. Default: [`LogLevel::Info`].
    pub log_level: LogLevel,
    /// Form of the log. Default: [`LogFormat::Standard`].
    pub log_format: LogFormat,
    /// The only folder that audit devices made over the API may write to. Default: `None`; they
    /// may then write anywhere, but never through a link, nor to a file of something else.
    pub audit_directory: Option<PathBuf>,
    /// Audit devices that are always there; no path twice, at most [`AUDITS_MAX`]. Default: none.
    pub audits: Vec<DeclaredDevice>,
    /// Ceremonies that are open to who has no token. Default: none.
    pub open_ceremonies: OpenCeremonies,
    /// Where traces go. Default: `None`; there are none.
    pub traces: Option<Traces>,
    /// The level at which each request is logged when it is done. Default: `None`; it is not.
    pub log_requests_level: Option<LogLevel>,
}

impl Config {
    /// The defaults, with this storage and this listener: for a server without configuration files.
    pub fn new(storage: Storage, listener: Listener) -> Self {
        Self {
            storage,
            listeners: vec![listener],
            api_addr: None,
            cluster_addr: None,
            cluster_name: None,
            disable_mlock: false,
            raw_storage_endpoint: false,
            default_lease_ttl: LEASE_TTL_DEFAULT,
            max_lease_ttl: LEASE_TTL_DEFAULT,
            log_level: LogLevel::default(),
            log_format: LogFormat::default(),
            audit_directory: None,
            audits: Vec::new(),
            open_ceremonies: OpenCeremonies::default(),
            traces: None,
            log_requests_level: None,
        }
    }
}

/// Least important messages that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What may become a fault.
    Warn,
    /// Faults.
    Error,
}

impl LogLevel {
    /// Each level, and the words for it: its name, then others that are understood.
    pub const WORDS: &'static [(Self, &'static [&'static str])] = &[
        (Self::Trace, &["trace"]),
        (Self::Debug, &["debug"]),
        (Self::Info, &["info", "notice"]),
        (Self::Warn, &["warn", "warning"]),
        (Self::Error, &["error", "err"]),
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        name_in(Self::WORDS, self)
    }

    /// The level of a word, in whatever case.
    pub fn of(word: &str) -> Option<Self> {
        named_in(Self::WORDS, word)
    }
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Standard,
    /// A JSON object a line.
    Json,
}

impl LogFormat {
    /// Each form, and the words for it: its name, then others that are understood.
    pub const WORDS: &'static [(Self, &'static [&'static str])] = &[
        (Self::Standard, &["standard", "text"]),
        (Self::Json, &["json"]),
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        name_in(Self::WORDS, self)
    }

    /// The form of a word, in whatever case.
    pub fn of(word: &str) -> Option<Self> {
        named_in(Self::WORDS, word)
    }
}

fn name_in<T: PartialEq>(words: &[(T, &[&'static str])], value: T) -> &'static str {
    let found = words.iter().find(|(own, _)| *own == value);
    found
        .and_then(|(_, words)| words.first())
        .copied()
        .unwrap_or_default()
}

fn named_in<T: Copy>(words: &[(T, &[&str])], word: &str) -> Option<T> {
    let is_it = |own: &&str| own.eq_ignore_ascii_case(word);
    let found = words.iter().find(|(_, words)| words.iter().any(is_it));
    found.map(|(value, _)| *value)
}
