//! moto, which plays AWS, and whose command `SECRETUM_MOTO` names.

use crate::peers::Program;
use crate::running::DEADLINE;
use reqwest::Client;
use std::time::{Duration, Instant};

/// A running server.
pub(crate) struct Moto {
    _program: Program,
    pub(crate) address: String,
}

impl Moto {
    /// `None` where no command is named. With a bucket `keys`.
    pub(crate) async fn start() -> Option<Self> {
        let (program, address) = Program::moto()?;
        let moto = Self {
            _program: program,
            address,
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
