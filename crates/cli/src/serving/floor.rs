//! `bench-floor`: the server's stack answering a constant, which benchmarks measure against.

use super::runtime;
use crate::failure::Failure;
use clap::Args;
use secretum_server::{Limits, ListenerConfig, Signals, floor, tls};
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::sync::Notify;

/// Serves a constant, for benchmarks
#[derive(Args)]
pub(crate) struct Floor {
    /// Address to listen on
    #[arg(long)]
    listen: SocketAddr,
    /// Certificate, in PEM
    #[arg(long)]
    tls_cert: PathBuf,
    /// Its key, in PEM
    #[arg(long)]
    tls_key: PathBuf,
}

/// Serves until it is told to end.
pub(crate) fn run(floor: Floor) -> Result<(), Failure> {
    let files = tls::TlsFiles {
        certificate: floor.tls_cert,
        key: floor.tls_key,
        versions: tls::Versions::default(),
        clients: tls::Clients::default(),
    };
    let tls = Some(tls::Offer::read(files).map_err(Failure::display)?);
    runtime()?.block_on(async {
        let signals = Signals::watch().map_err(Failure::display)?;
        let listener = ListenerConfig::tcp(floor.listen, tls, Limits::default());
        let server = floor::start(listener).await.map_err(Failure::display)?;
        signals.until_stopped(&Notify::new(), async || {}).await;
        server.stop().await;
        Ok(())
    })
}
