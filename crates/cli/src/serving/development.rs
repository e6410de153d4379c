//! A development server: in memory, unsealed, ready to use.

use super::{core_config, listen, runtime, serve, start_logging, watch_signals};
use crate::commands::server::{DevArguments, ServerArguments};
use crate::failure::Failure;
use crate::output::console;
use crate::output::curl::single_quoted;
use crate::session::token_file;
use secretum_client::Environment;
use secretum_core::Core;
use secretum_server::config::LogFormat;
use secretum_server::{Limits, ListenerConfig, Server, tls};
use secretum_storage::memory::MemoryStorage;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::sync::Arc;

/// Runs it until it is told to end.
pub(super) fn run(arguments: ServerArguments, environment: &Environment) -> Result<(), Failure> {
    let Some(dev) = arguments.dev else {
        return Ok(());
    };
    let level = arguments.log_level.unwrap_or_default().name();
    let _log = start_logging(level, arguments.log_format == Some(LogFormat::Json));
    let certificate = if dev.tls {
        Some(Certificate::make()?)
    } else {
        None
    };
    runtime()?.block_on(async {
        let signals = watch_signals()?;
        let core =
            Core::new(core_config(MemoryStorage::new(), "inmem")?).map_err(Failure::display)?;
        let listener = listener(&dev, certificate.as_ref())?;
        let born = core.develop(dev.root_token).await;
        let (unseal_key, root_token) = born.map_err(Failure::display)?;
        let server = listen(&core, vec![listener], None).await?;
        let address = server.addresses().next();
        let address = address
            .map(|address| address.to_string())
            .unwrap_or_default();
        if dev.store_token {
            // The server is of use without it: a home that cannot be written is no reason to end.
            if let Err(error) = token_file::write(environment, &root_token) {
                console::note(&format!("the root token was not stored: {error}"));
            }
        }
        let scheme = if dev.tls { "https" } else { "http" };
        let unseal_key = data_encoding(unseal_key.expose());
        console::line(&welcome(
            &format!("{scheme}://{address}"),
            certificate.as_ref(),
            root_token.expose(),
        ))?;
        console::line(&format!(
            "Unseal Key: {unseal_key}\nRoot Token: {}\n",
            root_token.expose()
        ))?;
        let reload = |server: &Server| {
            server.reload_certificates();
            None
        };
        serve(core, server, signals, reload).await
    })
}

fn welcome(url: &str, certificate: Option<&Certificate>, root_token: &str) -> String {
    let trust = certificate.map_or_else(String::new, |certificate| {
        let file = single_quoted(&certificate.file.display().to_string());
        format!("\n    export VAULT_CACERT={file}")
    });
    let token = single_quoted(root_token);
    format!(
        "A development server is ready: in memory, unsealed, and gone when it ends.\n\
         Never use it for real secrets. Ctrl-C ends it.\n\n\
         In another terminal:\n\n    export VAULT_ADDR='{url}' VAULT_TOKEN={token}{trust}\n    \
         secretum kv put secret/hello target=world\n    \
         secretum kv get secret/hello\n"
    )
}

fn listener(
    dev: &DevArguments,
    certificate: Option<&Certificate>,
) -> Result<ListenerConfig, Failure> {
    let address = dev
        .listen_address
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next());
    let address = address.ok_or_else(|| {
        Failure::local(format!(
            "`{}` is no address to listen on: write host:port",
            dev.listen_address
        ))
    })?;
    let tls = certificate
        .map(|certificate| certificate.offer())
        .transpose()?;
    Ok(ListenerConfig::tcp(address, tls, Limits::default()))
}

/// The unseal key as text, as `operator unseal` takes it.
fn data_encoding(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A certificate made for this run, in a folder that goes with it.
struct Certificate {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Certificate {
    fn make() -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::display)?;
        let (certificate, key) = tls::development_certificate().map_err(Failure::display)?;
        let file = folder.path().join("certificate.pem");
        std::fs::write(&file, certificate).map_err(Failure::display)?;
        std::fs::write(folder.path().join("key.pem"), key).map_err(Failure::display)?;
        Ok(Self { folder, file })
    }

    fn offer(&self) -> Result<Arc<tls::Offer>, Failure> {
        let files = tls::TlsFiles {
            certificate: self.file.clone(),
            key: self.folder.path().join("key.pem"),
            versions: tls::Versions::default(),
            clients: tls::Clients::default(),
        };
        tls::Offer::read(files).map_err(Failure::display)
    }
}
