//! The command line of `kms-service`.

use crate::ServiceError;
use crate::audit;
use crate::config::{self, TracesConfig};
use crate::log;
use crate::rewrapping::{self, Task};
use crate::service::Prepared;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use secretum_kms::Environment;
use secretum_kms_audit::AuditLog;
use secretum_process::{Traces, hardening};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Encrypts, decrypts and makes data keys over HTTP and gRPC, with the key service that kms.toml names.
#[derive(Debug, Parser)]
#[command(name = "kms-service", version)]
struct Arguments {
    /// The configuration. Without it: ./kms.toml, $XDG_CONFIG_HOME/secretum/kms.toml,
    /// /etc/secretum/kms.toml, the first that is there.
    #[arg(long, short, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Look at configuration, keys and certificates, say what is wrong with them, and end.
    #[arg(long)]
    check: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Wrap the data keys anew that [service.data_keys] keeps, while services go on or not.
    #[command(subcommand)]
    DataKeys(Task),
}

/// Reads arguments and does what they say. Ends with 0, 1 where it cannot do it, or 2 where the
/// arguments are wrong.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if arguments.check && arguments.command.is_some() {
        let message =
            "`--check` changes nothing, so it goes with no command; leave one of them out";
        let _ = Arguments::command()
            .error(ErrorKind::ArgumentConflict, message)
            .print();
        return ExitCode::from(2);
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut out = std::io::stderr().lock();
            let told = error.to_string();
            for line in told.lines() {
                let _ = writeln!(out, "error: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), ServiceError> {
    let environment = Environment::process();
    let file = match &arguments.config {
        Some(file) => file.clone(),
        None => secretum_kms::config::find(&environment)?,
    };
    let (kms, service) = config::load(&file, &environment)?;
    let traces = match arguments.check {
        true => None,
        false => service.traces.as_ref().map(begin_traces).transpose()?,
    };
    let logging = log::start(&service.log, traces.as_deref());
    hardening::forbid_core_dumps();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(ServiceError::System)?;
    let outcome = runtime.block_on(async {
        hardening::outlive_file_size_limit();
        if let Some(Command::DataKeys(task)) = &arguments.command {
            return rewrapping::run(&file, (kms, service), task, &logging).await;
        }
        let audit = match &service.audit {
            Some(config) if arguments.check => {
                config.check().await.map(|()| AuditLog::default())?
            }
            config => audit::of_service(config.as_ref(), &logging).await?,
        };
        let prepared = Prepared::new(&file, &kms, service, audit)?;
        if arguments.check {
            let _ = writeln!(std::io::stdout(), "`{}` is in order", file.display());
            return Ok(());
        }
        prepared.run(traces.clone()).await
    });
    if let Some(traces) = traces {
        traces.end();
    }
    outcome
}

fn begin_traces(config: &TracesConfig) -> Result<Arc<Traces>, ServiceError> {
    let traces = Traces::start("kms-service", &config.endpoint, config.sampling_ratio);
    traces.map(Arc::new).map_err(ServiceError::Traces)
}
