//! [`ServerError`]: why the server could not start or serve.

use std::path::PathBuf;

/// Why the server could not start or serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error("cannot listen on `{endpoint}`: {source}")]
    Listen {
        /// The address, or the path of the socket.
        endpoint: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A file of certificates or keys cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no certificate or key.
    #[error("`{}` holds no {what} in PEM form", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key do not serve together.
    #[error("the certificate `{}` and its key cannot be used: {source}", path.display())]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Traces cannot be sent anywhere.
    #[error("traces cannot be sent: {0}")]
    Traces(secretum_process::TracesError),
    /// A certificate for development cannot be made.
    #[error("a certificate cannot be made: {0}")]
    MakeCertificate(String),
}
