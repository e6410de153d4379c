//! Data keys kept in S3, as moto plays it, whose command `SECRETUM_MOTO` names.

use crate::grpc::{ANY_PORT, channel, data_key};
use crate::running::{DEADLINE, Place};
use reqwest::Client;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Moto {
    process: Child,
    address: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Moto {
    /// `None` where no command is named. With a bucket `keys`.
    async fn start() -> Option<Self> {
        let Some(binary) = std::env::var_os("SECRETUM_MOTO") else {
            eprintln!("SECRETUM_MOTO names no `moto_server`: left out");
            return None;
        };
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

    fn place(&self) -> Place {
        Place::local(&format!(
            "{ANY_PORT}[service.data_keys]\nstorage = \"storage://aws?bucket=keys&region=us-east-1\
             &accessKeyID=a&accessKey=planted-s3&endpoint={}&prefix=team\"\n",
            self.address
        ))
    }
}

#[tokio::test]
async fn two_services_over_one_bucket_have_one_key() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    let mut one = moto.place().start();
    let mut two = moto.place().start();
    let channels = [channel(&mut one).await, channel(&mut two).await];
    // One after the other, whoever is first.
    for (at, id) in ["a", "b"].into_iter().enumerate() {
        let first = data_key(&channels[at], id, 32).await.unwrap();
        let second = data_key(&channels[1 - at], id, 32).await.unwrap();
        assert_eq!(first, second);
    }
    // Of two first ones at once nothing is asked here: moto looks and then writes, S3 does both in one.
    assert!(!one.log().contains("planted-s3"), "{}", one.log());
    drop(moto);
    let gone = data_key(&channels[0], "a", 32).await.unwrap_err();
    assert_eq!(gone.code(), tonic::Code::Unavailable, "{gone}");
}
