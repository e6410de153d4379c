//! [`Failure`]: why a command did not do what was asked, and the exit code that says so.

mod hint;

pub(crate) use hint::hint;

use secretum_client::{ApiError, ClientError, Outline};
use secretum_kms::KmsError;
use std::fmt::Write;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command cannot be meant as it was written, or something on this machine is in the way.
    #[error("{0}")]
    Local(String),
    /// What was asked for is not there, or the engine cannot do it.
    #[error("{0}")]
    Missing(String),
    /// The server refused, or was not reached.
    #[error("{}", server_text(context.as_deref(), error))]
    Server {
        /// What was being done: `Error reading secret/a`.
        context: Option<String>,
        /// What happened.
        #[source]
        error: ClientError,
        /// The exit code, where it is another one than such a failure has.
        code: Option<u8>,
    },
    /// A key service refused or was not reached, or what it was to work on cannot be used.
    #[error("{}{source}", context.as_deref().map(|context| format!("{context}: ")).unwrap_or_default())]
    Kms {
        /// What was being worked on: the name of a file.
        context: Option<String>,
        /// What happened.
        #[source]
        source: KmsError,
    },
    /// The rights that a request needs were to be shown.
    #[error("")]
    Rights(Vec<crate::output::rights::Right>),
    /// The request was only to be shown.
    #[error("")]
    Shown(Box<Outline>),
    /// Whoever read the output has gone.
    #[error("")]
    ClosedPipe,
    /// All was said; only the exit code is left.
    #[error("")]
    Silent(u8),
}

impl Failure {
    /// A failure on this side.
    pub(crate) fn local(text: impl Into<String>) -> Self {
        Self::Local(text.into())
    }

    /// A failure on this side, in the words of an error.
    pub(crate) fn display(error: impl std::fmt::Display) -> Self {
        Self::Local(error.to_string())
    }

    /// The exit code of the process: 1 for what was wrong on this side, 2 for the server's.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Shown(_) | Self::Rights(_) | Self::ClosedPipe => 0,
            Self::Local(_) => 1,
            Self::Missing(_) => 2,
            Self::Server {
                code: Some(code), ..
            } => *code,
            Self::Server { error, .. } if is_local(error) => 1,
            Self::Server { .. } => 2,
            Self::Kms { source, .. } if is_of_this_side(source) => 1,
            Self::Kms { .. } => 2,
            Self::Silent(code) => *code,
        }
    }
}

impl From<KmsError> for Failure {
    fn from(source: KmsError) -> Self {
        Self::Kms {
            context: None,
            source,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::DryRun(outline) => Self::Shown(outline),
            error => Self::Server {
                context: None,
                error,
                code: None,
            },
        }
    }
}

/// Says what was being done when a request failed.
pub(crate) trait During<T> {
    /// Puts `Error <doing>: ` before the error.
    fn during(self, doing: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T> During<T> for Result<T, ClientError> {
    fn during(self, doing: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| match Failure::from(error) {
            Failure::Server { error, code, .. } => Failure::Server {
                context: Some(format!("Error {}", doing())),
                error,
                code,
            },
            other => other,
        })
    }
}

/// Whether no key service was asked.
fn is_of_this_side(error: &KmsError) -> bool {
    matches!(
        error,
        KmsError::Format(_)
            | KmsError::Context { .. }
            | KmsError::KeyId { .. }
            | KmsError::DataKeySpec { .. }
            | KmsError::PlaintextTooLarge { .. }
            | KmsError::NotConfigured { .. }
            | KmsError::File { .. }
            | KmsError::FileContent { .. }
            | KmsError::FileLocked { .. }
            | KmsError::FileRights { .. }
            | KmsError::Stream { .. }
    )
}

/// Whether nothing left this machine.
fn is_local(error: &ClientError) -> bool {
    !matches!(
        error,
        ClientError::Api(_)
            | ClientError::Transport { .. }
            | ClientError::AnswerTooLarge { .. }
            | ClientError::Decode { .. }
            | ClientError::Empty { .. }
    )
}

fn server_text(context: Option<&str>, error: &ClientError) -> String {
    let mut text = context
        .map(|context| format!("{context}: "))
        .unwrap_or_default();
    match error {
        ClientError::Api(error) => text.push_str(&api_text(error)),
        error => text.push_str(&error.to_string()),
    }
    text
}

/// The shape that Vault's users and scripts know.
fn api_text(error: &ApiError) -> String {
    let mut text = String::from("Error making API request.\n\n");
    if let Some(namespace) = error.namespace.as_deref().filter(|name| !name.is_empty()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "Namespace: {namespace}");
    }
    let kind = if error.errors.is_some() {
        "Errors"
    } else {
        "Raw Message"
    };
    let _ = write!(
        text,
        "URL: {} {}\nCode: {}. {kind}:\n\n",
        error.method, error.url, error.status
    );
    match &error.errors {
        Some(errors) => {
            let lines: Vec<_> = errors.iter().map(|error| format!("* {error}")).collect();
            text.push_str(&lines.join("\n"));
        }
        None => text.push_str(error.raw.trim_end()),
    }
    text
}
