//! Data keys kept in Azure Blob, as Azurite plays it, whose command `SECRETUM_AZURITE` names; `./test --all`
//! sets it.

use crate::grpc::{ANY_PORT, channel, data_key};
use crate::running::{DEADLINE, Place};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, RequestBuilder};
use secretum_crypto::hmac::HmacKey;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The account that Azurite comes with, and its key, which Microsoft's documentation shows.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running storage, with a container `keys` in it.
struct Azurite {
    process: Child,
    address: String,
    _home: TempDir,
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Azurite {
    /// `None` where no command is named.
    async fn start() -> Option<Self> {
        let binary = crate::peers::peer_of_all("SECRETUM_AZURITE")?;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let home = tempfile::tempdir().unwrap();
        let process = Command::new(binary)
            .args(["--silent", "--skipApiVersionCheck", "--location", "."])
            .args(["--blobPort", &port.to_string()])
            .current_dir(home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let azurite = Self {
            process,
            address: format!("http://127.0.0.1:{port}/{ACCOUNT}"),
            _home: home,
        };
        let began = Instant::now();
        loop {
            let made = make_container(&azurite.address).send().await;
            if made.is_ok_and(|made| made.status().is_success()) {
                return Some(azurite);
            }
            assert!(began.elapsed() < DEADLINE, "Azurite does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The making of a container, signed with the key of the account.
fn make_container(account: &str) -> RequestBuilder {
    const VERSION: &str = "2021-08-06";
    let date = now();
    let text = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{VERSION}\n\
         /{ACCOUNT}/{ACCOUNT}/keys\nrestype:container"
    );
    let key = HmacKey::new(&STANDARD.decode(ACCOUNT_KEY).unwrap());
    let signature = STANDARD.encode(key.sign(text.as_bytes()));
    Client::new()
        .put(format!("{account}/keys?restype=container"))
        .header("x-ms-date", date)
        .header("x-ms-version", VERSION)
        .header("content-length", 0)
        .header("authorization", format!("SharedKey {ACCOUNT}:{signature}"))
}

/// The time as HTTP has it.
fn now() -> String {
    let mut date = Command::new("date");
    date.args(["-u", "+%a, %d %b %Y %H:%M:%S GMT"])
        .env("LC_ALL", "C");
    let told = date.output().unwrap().stdout;
    String::from_utf8(told).unwrap().trim().to_owned()
}

/// Also where a hundred ask for it at once and first, of two services.
#[tokio::test]
async fn one_id_has_one_key_in_azure_blob() {
    let Some(azurite) = Azurite::start().await else {
        return;
    };
    let key = ACCOUNT_KEY.replace('+', "%2B").replace('/', "%2F");
    let place = || {
        Place::local(&format!(
            "{ANY_PORT}[service.data_keys]\nstorage = \"storage://azure?account={ACCOUNT}\
             &container=keys&accountKey={}&endpoint={}\"\n",
            key.replace('=', "%3D"),
            azurite.address,
        ))
    };
    let (mut one, mut two) = (place().start(), place().start());
    let channels = [channel(&mut one).await, channel(&mut two).await];
    for round in 0..5 {
        let id = format!("volume {round}");
        let asked = (0..100).map(|at| data_key(&channels[at % 2], &id, 32));
        let keys = futures::future::join_all(asked).await;
        let first = keys[0].clone().unwrap();
        assert!(keys.into_iter().all(|key| key.unwrap() == first));
    }
    for service in [one, two] {
        assert!(!service.log().contains(&key), "{}", service.log());
    }
}
