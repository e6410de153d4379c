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
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::net::ToSocketAddrs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs it until it is told to end.
pub(super) fn run(arguments: ServerArguments, environment: &Environment) -> Result<(), Failure> {
    let Some(dev) = arguments.dev else {
        return Ok(());
    };
    let level = arguments.log_level.unwrap_or_default().name();
    let _log = start_logging(level, arguments.log_format == Some(LogFormat::Json));
    let certificate = if dev.tls {
        Some(Certificate::make(dev.tls_folder.as_deref())?)
    } else {
        None
    };
    runtime()?.block_on(async {
        let signals = watch_signals()?;
        let core =
            Core::new(core_config(MemoryStorage::new(), "inmem")?).map_err(Failure::display)?;
        let listener = listener(&dev, certificate.as_ref())?;
        let engine = ("kv-v2", "key/value secret storage");
        let born = core.develop(dev.root_token, engine).await;
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

/// A certificate made for this run.
struct Certificate {
    /// Goes with it, where no other folder is wanted.
    _own: Option<tempfile::TempDir>,
    file: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn make(wanted: Option<&Path>) -> Result<Self, Failure> {
        let own = match wanted {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(Failure::display)?),
        };
        let folder = (own.as_ref().map(tempfile::TempDir::path)).or(wanted);
        let folder = folder.unwrap_or(Path::new("."));
        let (certificate, key) = tls::development_certificate().map_err(Failure::display)?;
        let (file, key_file) = (folder.join("certificate.pem"), folder.join("key.pem"));
        write(&file, &certificate, 0o644)?;
        write(&key_file, &key, 0o600)?;
        Ok(Self {
            _own: own,
            file,
            key: key_file,
        })
    }

    fn offer(&self) -> Result<Arc<tls::Offer>, Failure> {
        let files = tls::TlsFiles {
            certificate: self.file.clone(),
            key: self.key.clone(),
            versions: tls::Versions::default(),
            clients: tls::Clients::default(),
        };
        tls::Offer::read(files).map_err(Failure::display)
    }
}

/// Writes a file that its mode lets others read, or not; one that is there is written over.
fn write(file: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let failed = |error| Failure::local(format!("cannot write `{}`: {error}", file.display()));
    let opened = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(file);
    let mut opened = opened.map_err(failed)?;
    // One that was there keeps its mode.
    let only = Permissions::from_mode(mode);
    opened.set_permissions(only).map_err(failed)?;
    opened.write_all(text.as_bytes()).map_err(failed)
}
