//! What can be wrong with a configuration, and what to write instead.

use super::{FILE_BYTES_MAX, FILES_MAX, LISTENERS_MAX, ListenAddress, Place, Severity};
use std::io;
use std::path::PathBuf;

/// What is wrong, or without effect, at a place of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There is nothing to read.
    #[error("no file or folder is given; write `-config=/etc/secretum/server.toml`, say")]
    NoFileGiven,
    /// A folder without a file to read.
    #[error("the folder holds no file whose name ends in `.toml`, `.hcl` or `.json`")]
    EmptyFolder,
    /// More files than are read.
    #[error("there are more than {FILES_MAX} configuration files; put them together")]
    TooManyFiles,
    /// A file or folder of the configuration that cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A file that is longer than any may be.
    #[error(
        "the file is longer than {FILE_BYTES_MAX} bytes; divide it into several files of one folder"
    )]
    FileTooLong,
    /// A file that is no text.
    #[error("the file is not UTF-8; write it again as that")]
    NotUtf8,
    /// A `.json` file that holds something else.
    #[error(
        "a JSON configuration begins with `{{`; end the file's name in `.hcl` or `.toml` if it is that"
    )]
    NotJson,
    /// A text that the syntax of the file does not know.
    #[error("{0}")]
    Syntax(String),
    /// A value of another type or outside its bounds.
    #[error("`{key}` must be {expected}, not {found}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it can be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A variable of the environment that cannot be read.
    #[error("it must be {expected}, not `{found}`")]
    Variable {
        /// What it can be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A template that cannot be filled in.
    #[error("`{key}` has a template that cannot be filled in: {reason}")]
    Template {
        /// The key.
        key: &'static str,
        /// Why, and what can.
        reason: String,
    },
    /// What Vault takes and this server takes as something else. A warning.
    #[error("`{key}` is taken as `{taken}`, which is as far as this server goes")]
    TakenAs {
        /// The key.
        key: &'static str,
        /// What it is taken as.
        taken: String,
    },
    /// A key that is none, but nearly one. A warning.
    #[error("`{key}` is not known and has no effect; if `{nearest}` is meant, write that")]
    Misspelt {
        /// The key.
        key: String,
        /// What was probably meant.
        nearest: String,
    },
    /// A key that is none. A warning.
    #[error("`{0}` is not known and has no effect")]
    Unknown(String),
    /// A key of Vault's that is not served here. A warning.
    #[error("`{0}` is not served and has no effect")]
    Unserved(String),
    /// A seal other than Shamir's. A warning.
    #[error("seal `{0}` is not served and has no effect: the vault is unsealed with key shares")]
    UnservedSeal(String),
    /// A block is something else.
    #[error("`{stanza}` must be a block, not {found}; write {example}")]
    NotABlock {
        /// Its name.
        stanza: &'static str,
        /// What it is.
        found: String,
        /// How it is written.
        example: String,
    },
    /// A block that does not say of what kind it is.
    #[error("`{stanza}` does not say its kind; write {example}")]
    KindMissing {
        /// Its name.
        stanza: &'static str,
        /// How it is written.
        example: String,
    },
    /// A block with more names than one.
    #[error("`{stanza}` takes one name; leave out `{label}`")]
    Label {
        /// The name of the block.
        stanza: &'static str,
        /// The name too many.
        label: String,
    },
    /// There is no storage.
    #[error("no storage is configured; add {0}")]
    NoStorage(String),
    /// There are two storages in one file.
    #[error("a second storage is configured; keep this one or that of {0}")]
    TwoStorages(Place),
    /// A storage takes the place of one in an earlier file. A warning.
    #[error("this storage takes the place of that of {0}")]
    StorageReplaced(Place),
    /// A kind of storage that is not served.
    #[error("storage `{kind}` is not served; write {example}")]
    UnservedStorage {
        /// The kind.
        kind: String,
        /// How one that is served is written.
        example: String,
    },
    /// A storage without its folder.
    #[error("the storage has no `path`; write {0}")]
    NoStoragePath(String),
    /// There is no listener.
    #[error("no listener is configured; add {0}")]
    NoListener(String),
    /// A kind of listener that is not known.
    #[error("listener `{kind}` is not known; write {example}")]
    ListenerKind {
        /// The kind.
        kind: String,
        /// How one that is served is written.
        example: String,
    },
    /// More listeners than are served.
    #[error("there are more than {LISTENERS_MAX} listeners; leave out the rest")]
    TooManyListeners,
    /// Two listeners on one address.
    #[error("the listener of {first} has the address `{address}` too; leave one out")]
    AddressTaken {
        /// The address.
        address: ListenAddress,
        /// Where the other listener stands.
        first: Place,
    },
    /// A socket without its place.
    #[error("the listener has no `address`; write `address = \"/run/secretum/vault.sock\"`, say")]
    NoSocketPath,
    /// A key that another one needs is missing.
    #[error("`{0}` needs `{1}`, and at least one of them")]
    Needs(&'static str, &'static str),
    /// A key without the one that gives it a meaning. A warning.
    #[error("`{0}` has no effect without `{1}`")]
    Without(&'static str, &'static str),
    /// A listener that says nothing of TLS.
    #[error(
        "the listener has no TLS; set `tls_cert_file` and `tls_key_file`, or `tls_disable = true`"
    )]
    NoTls,
    /// A certificate without key, or a key without certificate.
    #[error("`{present}` needs `{missing}`; set both, or `tls_disable = true`")]
    HalfTls {
        /// The key that is set.
        present: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
    /// A setting of TLS on a listener that has none. A warning.
    #[error("`{0}` has no effect beside `tls_disable`")]
    TlsDisabled(&'static str),
    /// A certificate or key that cannot be used. Found here, or by the server when it starts.
    #[error("`{key}` cannot be `{}`: {reason}", .path.display())]
    TlsFile {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A lowest TLS version above the highest.
    #[error("`tls_min_version` is above `tls_max_version`; leave out one of them")]
    TlsVersions,
    /// Client certificates are required, but nobody is trusted to issue them.
    #[error("`tls_require_and_verify_client_cert` needs `tls_client_ca_file`")]
    NoClientCa,
    /// Client certificates are required where there is no TLS.
    #[error(
        "`tls_require_and_verify_client_cert` contradicts `tls_disable`; leave out one of them"
    )]
    NoClientTls,
    /// Client certificates are both required and disabled.
    #[error(
        "`tls_require_and_verify_client_cert` contradicts `tls_disable_client_certs`; leave out one of them"
    )]
    ClientCertificates,
    /// The default TTL is longer than the longest.
    #[error(
        "`max_lease_ttl` (`{max}`) is shorter than `default_lease_ttl` (`{default}`); raise it, or lower the other"
    )]
    LeaseTtls {
        /// The longest.
        max: String,
        /// The default.
        default: String,
    },
    /// An audit device that cannot be.
    #[error("the audit device `{path}`: {reason}")]
    Audit {
        /// Its path.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// An option of an audit device that is none.
    #[error("the option `{option}` of an audit device must be {expected}, not {found}")]
    AuditOption {
        /// The option.
        option: String,
        /// What it can be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A folder that cannot be used.
    #[error("`{key}` cannot be `{}`: {reason}", .path.display())]
    Folder {
        /// The key.
        key: &'static str,
        /// The folder.
        path: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
}

impl Problem {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Unknown(_)
            | Self::Unserved(_)
            | Self::UnservedSeal(_)
            | Self::StorageReplaced(_)
            | Self::Without(..)
            | Self::TakenAs { .. }
            | Self::Misspelt { .. }
            | Self::TlsDisabled(_) => Severity::Warning,
            _ => Severity::Error,
        }
    }

    pub(crate) fn unreadable(error: &io::Error) -> Self {
        Self::Unreadable(reason(error))
    }
}

/// What kept a file from being read.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
