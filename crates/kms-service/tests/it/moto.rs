//! moto, which plays AWS, and whose command `SECRETUM_MOTO` names.

use crate::running::DEADLINE;
use reqwest::Client;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub(crate) struct Moto {
    process: Child,
    pub(crate) address: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Moto {
    /// `None` where no command is named. With a bucket `keys`.
    pub(crate) async fn start() -> Option<Self> {
        let binary = crate::peers::peer("SECRETUM_MOTO")?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = port.local_addr().unwrap();
        drop(port);
        let process = Command::new(binary)
            .args(["-H", "127.0.0.1", "-p", &listen.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self {
            process,
            address: format!("http://{listen}"),
        };
        let began = Instant::now();
        loop {
            let made = Client::new().put(format!("{}/keys", moto.address)).send();
            if made.await.is_ok_and(|made| made.status().is_success()) {
                return Some(moto);
            }
            assert!(began.elapsed() < DEADLINE, "moto does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
