//! `server`: runs a server.

use crate::failure::Failure;
use crate::output::console;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use secretum_client::{Environment, SecretString};
use secretum_server::config::{LogFormat, LogLevel};
use std::path::PathBuf;

/// Where a development server listens if nothing is said.
const DEV_LISTEN_ADDRESS: &str = "127.0.0.1:8200";

/// Runs a server, until SIGINT or SIGTERM
///
/// SIGHUP reads certificates and log level again.
///
///   server -config=/etc/secretum/server.toml
///   server -config=server.toml -check
///   server -dev
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Server {
    /// File (TOML, HCL or JSON), or folder of such files; may be given more than once
    #[arg(long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// Say what is wrong with the configuration, and do not run
    #[arg(long)]
    check: bool,
    /// Least important messages that are logged [env: VAULT_LOG_LEVEL]
    #[arg(long, ignore_case = true, value_parser = one_of(LogLevel::WORDS, LogLevel::of))]
    log_level: Option<LogLevel>,
    /// Form of the log [env: VAULT_LOG_FORMAT]
    #[arg(long, ignore_case = true, value_parser = one_of(LogFormat::WORDS, LogFormat::of))]
    log_format: Option<LogFormat>,
    /// For trying things out: open, in memory, without TLS; all is gone when it ends
    #[arg(long, help_heading = "Development")]
    dev: bool,
    /// The first token of a development server [env: VAULT_DEV_ROOT_TOKEN_ID]
    #[arg(long, value_name = "TOKEN", help_heading = "Development")]
    dev_root_token_id: Option<String>,
    /// Where a development server listens [env: VAULT_DEV_LISTEN_ADDRESS] [default: 127.0.0.1:8200]
    #[arg(long, value_name = "ADDRESS", help_heading = "Development")]
    dev_listen_address: Option<String>,
    /// A development server, with TLS
    #[arg(long, help_heading = "Development")]
    dev_tls: bool,
    /// Folder for the certificate and the key of a development server with TLS; one that goes with it
    /// where none is given
    #[arg(long, value_name = "FOLDER", help_heading = "Development")]
    dev_tls_cert_dir: Option<PathBuf>,
    /// Do not store the first token of a development server in ~/.vault-token
    #[arg(long, help_heading = "Development")]
    dev_no_store_token: bool,
    /// End the process when the vault's core stops; it always does
    #[arg(long, hide = true)]
    exit_on_core_shutdown: bool,
    #[command(flatten)]
    log_file: LogFile,
}

/// Vault's log file, and when it begins another one. The log goes to standard error here, where the
/// supervisor keeps it.
#[derive(Args)]
#[group(skip)]
struct LogFile {
    /// Has no meaning here, and a note says so
    #[arg(long, hide = true)]
    log_file: Option<PathBuf>,
    /// Has no meaning here
    #[arg(long, hide = true)]
    log_rotate_bytes: Option<String>,
    /// Has no meaning here
    #[arg(long, hide = true)]
    log_rotate_duration: Option<String>,
    /// Has no meaning here
    #[arg(long, hide = true)]
    log_rotate_max_files: Option<String>,
}

/// How a server is to run.
#[derive(Debug)]
pub(crate) struct ServerArguments {
    /// Files, or folders of files, in the order given.
    pub(crate) config: Vec<PathBuf>,
    /// Whether only the configuration is checked.
    pub(crate) check: bool,
    /// Comes before what the configuration says.
    pub(crate) log_level: Option<LogLevel>,
    /// Comes before what the configuration says.
    pub(crate) log_format: Option<LogFormat>,
    /// Set for a development server.
    pub(crate) dev: Option<DevArguments>,
}

/// How a development server is to run.
#[derive(Debug)]
pub(crate) struct DevArguments {
    /// The first token; a random one where there is none.
    pub(crate) root_token: Option<SecretString>,
    /// Where it listens.
    pub(crate) listen_address: String,
    /// Whether it makes itself a certificate.
    pub(crate) tls: bool,
    /// Where its certificate goes; to a folder for this run alone where there is none.
    pub(crate) tls_folder: Option<PathBuf>,
    /// Whether the first token is stored for the client commands.
    pub(crate) store_token: bool,
}

impl Server {
    /// What is asked for by flags, else by the environment.
    ///
    /// **Errors**: which variable cannot be read.
    pub(crate) fn arguments(self, environment: &Environment) -> Result<ServerArguments, Failure> {
        if let Some(file) = &self.log_file.log_file {
            console::note(&format!(
                "the log goes to standard error and not to `{}`: redirect it, or let the supervisor \
                 of the service keep it",
                file.display()
            ));
        }
        let text = |given: Option<String>, setting: &str| {
            given.or_else(|| environment.get(setting).map(|(_, text)| text))
        };
        let listen_address = text(self.dev_listen_address, "DEV_LISTEN_ADDRESS");
        let dev = DevArguments {
            root_token: text(self.dev_root_token_id, "DEV_ROOT_TOKEN_ID").map(SecretString::new),
            listen_address: listen_address.unwrap_or_else(|| DEV_LISTEN_ADDRESS.to_owned()),
            tls: self.dev_tls,
            tls_folder: self.dev_tls_cert_dir,
            store_token: !self.dev_no_store_token,
        };
        Ok(ServerArguments {
            config: self.config,
            check: self.check,
            log_level: choice(self.log_level, environment, "LOG_LEVEL", LogLevel::of)?,
            log_format: choice(self.log_format, environment, "LOG_FORMAT", LogFormat::of)?,
            dev: (self.dev || self.dev_tls).then_some(dev),
        })
    }
}

/// One of the values of a flag, else of its variable.
fn choice<T>(
    given: Option<T>,
    environment: &Environment,
    setting: &str,
    named: fn(&str) -> Option<T>,
) -> Result<Option<T>, Failure> {
    if given.is_some() {
        return Ok(given);
    }
    let read = |text: &str| named(text).ok_or_else(|| "it is none of its values".to_owned());
    environment.parse(setting, read).map_err(Failure::from)
}

/// Reads one of these words, in whatever case.
fn one_of<T: Copy + Send + Sync + 'static>(
    words: &'static [(T, &'static [&'static str])],
    named: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T> {
    let values = words.iter().filter_map(|(_, words)| {
        let (name, aliases) = words.split_first()?;
        Some(PossibleValue::new(*name).aliases(aliases))
    });
    PossibleValuesParser::new(values)
        .try_map(move |word| named(&word).ok_or("it is none of its values"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        server: Server,
    }

    fn arguments(line: &[&str], variables: &[(&str, &str)]) -> Result<ServerArguments, Failure> {
        let line = Line::try_parse_from(std::iter::once(&"server").chain(line)).unwrap();
        line.server
            .arguments(&Environment::of(variables.iter().copied()))
    }

    #[test]
    fn a_development_server_is_set_by_flags_then_by_the_environment() {
        let variables = [
            ("VAULT_DEV_ROOT_TOKEN_ID", "v"),
            ("BAO_DEV_LISTEN_ADDRESS", "127.0.0.1:1"),
        ];
        let dev = arguments(&["--dev"], &variables).unwrap().dev.unwrap();
        assert_eq!(dev.root_token.unwrap().expose(), "v");
        assert_eq!(
            (dev.listen_address.as_str(), dev.store_token),
            ("127.0.0.1:1", true)
        );
        let dev = arguments(&["--dev", "--dev-root-token-id=f"], &variables)
            .unwrap()
            .dev
            .unwrap();
        assert_eq!(dev.root_token.unwrap().expose(), "f");
        assert!(arguments(&[], &variables).unwrap().dev.is_none());
    }

    #[test]
    fn several_configurations_keep_their_order() {
        let asked = arguments(&["--config=b", "--config=a", "--log-level=WARN"], &[]).unwrap();
        assert_eq!(asked.config, [PathBuf::from("b"), PathBuf::from("a")]);
        assert_eq!(asked.log_level, Some(LogLevel::Warn));
        assert!(arguments(&[], &[("VAULT_LOG_FORMAT", "xml")]).is_err());
    }
}
