//! What holds of data keys in the storage of any cloud that writes and replaces under a condition.

use crate::grpc::{channel, data_key};
use crate::peers::{Program, free_port, peer_of_all};
use crate::rotation::{run, told};
use crate::running::{DEADLINE, Place, Running};
use futures::future::join_all;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How many identifiers are asked for by many at once and first.
const ROUNDS: usize = 5;

/// A running storage.
pub(crate) struct Server {
    _program: Program,
    pub(crate) port: u16,
    pub(crate) home: TempDir,
}

impl Server {
    /// What `./test --all` names so, with these arguments for a port and its folder; `None` where nothing is
    /// named.
    pub(crate) fn start(
        variable: &str,
        prepare: impl FnOnce(&mut Command, u16, &TempDir),
    ) -> Option<Self> {
        let mut command = Command::new(peer_of_all(variable)?);
        let port = free_port();
        let home = tempfile::tempdir().unwrap();
        command.current_dir(home.path());
        prepare(&mut command, port, &home);
        Some(Self {
            _program: Program::start(&mut command),
            port,
            home,
        })
    }

    /// Waits until this is so.
    pub(crate) async fn until(&self, is_so: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !is_so().await {
            assert!(began.elapsed() < DEADLINE, "the storage does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// One identifier has one key, also where a hundred ask for it at once and first, of two services; it is there
/// when they come back, and stays when it is wrapped anew. What is `planted` is told by nobody.
pub(crate) async fn data_keys_are_kept(place: impl Fn() -> Place, planted: &str) {
    let mut services: Vec<Running> = (0..2).map(|_| place().start()).collect();
    let mut channels = Vec::new();
    for service in &mut services {
        channels.push(channel(service).await);
    }
    let id = |round: usize| format!("volume {round}");
    let mut keys = Vec::new();
    for round in 0..ROUNDS {
        let id = id(round);
        let asked = (0..100).map(|at| data_key(&channels[at % 2], &id, 32));
        let found = join_all(asked).await;
        let first = found[0].clone().unwrap();
        assert!(found.into_iter().all(|key| key.unwrap() == first), "{id}");
        keys.push(first);
    }
    // Killed, not ended.
    let logs: Vec<_> = services.iter().map(Running::log).collect();
    drop(services);
    let mut again = place().start();
    let channel = channel(&mut again).await;
    for (round, key) in keys.iter().enumerate() {
        assert_eq!(data_key(&channel, &id(round), 32).await.unwrap(), *key);
    }
    for (arguments, wanted) in [
        (
            &["data-keys", "rewrap", "--rotate"][..],
            "5 data keys wrapped anew, 0 left",
        ),
        (&["data-keys", "rewrap"], "0 data keys wrapped anew, 5 left"),
    ] {
        let out = run(&again.place, arguments);
        assert!(out.status.success(), "{}", told(&out));
        assert!(told(&out).contains(wanted), "{}", told(&out));
        assert!(!told(&out).contains(planted), "{}", told(&out));
        for (round, key) in keys.iter().enumerate() {
            assert_eq!(data_key(&channel, &id(round), 32).await.unwrap(), *key);
        }
    }
    for log in logs.into_iter().chain([again.log()]) {
        assert!(!log.contains(planted), "{log}");
    }
}
