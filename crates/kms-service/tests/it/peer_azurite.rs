//! Data keys kept in Azure Blob, as Azurite plays it, whose command `SECRETUM_AZURITE` names; `./test --all`
//! sets it.

use crate::cloud_storage::{Server, data_keys_are_kept};
use crate::grpc::ANY_PORT;
use crate::running::Place;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, RequestBuilder};
use secretum_crypto::hmac::HmacKey;
use std::process::Command;

/// The account that Azurite comes with, and its key, which Microsoft's documentation shows.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running storage, with a container `keys` in it; `None` where no command is named.
async fn start() -> Option<(Server, String)> {
    let server = Server::start("SECRETUM_AZURITE", |command, port, _| {
        command
            .args(["--silent", "--skipApiVersionCheck", "--location", "."])
            .args(["--blobPort", &port.to_string()]);
    })?;
    let address = format!("http://127.0.0.1:{}/{ACCOUNT}", server.port);
    let made = async || {
        let made = make_container(&address).send().await;
        made.is_ok_and(|made| made.status().is_success())
    };
    server.until(made).await;
    Some((server, address))
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

#[tokio::test]
async fn one_id_has_one_key_in_azure_blob() {
    let Some((_server, address)) = start().await else {
        return;
    };
    let key = ACCOUNT_KEY.replace('+', "%2B").replace('/', "%2F");
    let place = || {
        Place::local(&format!(
            "{ANY_PORT}[service.data_keys]\nstorage = \"storage://azure?account={ACCOUNT}\
             &container=keys&accountKey={}&endpoint={address}\"\n",
            key.replace('=', "%3D"),
        ))
    };
    data_keys_are_kept(place, &key).await;
}
