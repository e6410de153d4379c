//! `[kms.cosmian]`.

use super::{CosmianProvider, CosmianServer, TIMEOUT};
use crate::config::Stage;
use crate::config::backend::{Asked, Making, Settings, Table};
use crate::config::section::{Found, Reader, Section};
use crate::{Provider, Result};
use secretum_crypto::SecretString;
use std::sync::Arc;

pub(crate) const TABLE: Table = Table {
    keys: KEYS,
    keys_old: KEYS_OLD,
    default_key: Some("default_key_id"),
    read: |reader, asked| Some(Arc::new(settings(reader, asked)?)),
};

const KEYS: &[&str] = &[
    "server_url",
    "api_key",
    "default_key_id",
    "tls_verify",
    "ca_path",
    "client_cert_path",
    "client_key_path",
    "timeout",
];

const KEYS_OLD: &[(&str, &str)] = &[
    ("url", "server_url"),
    ("address", "server_url"),
    ("token", "api_key"),
    ("ca_cert_path", "ca_path"),
    ("tls_skip_verify", "tls_verify"),
];

const URL_VARIABLE: &str = "COSMIAN_KMS_URL";
const KEY_VARIABLE: &str = "COSMIAN_API_KEY";

impl Settings for CosmianServer {
    fn provider(&self, making: &Making<'_>) -> Result<Arc<dyn Provider>> {
        let rng = Arc::clone(&making.observers.rng);
        Ok(Arc::new(CosmianProvider::new(self, rng)?))
    }
}

fn settings(reader: &mut Reader<'_>, asked: Asked<'_>) -> Option<CosmianServer> {
    let Asked {
        table: cosmian,
        stage,
        at,
    } = asked;
    let before = reader.faults.len();
    let at = cosmian.at.unwrap_or(at);
    let url = url(reader, cosmian, stage, at);
    let tls_verify = cosmian.switch(reader, "tls_verify").unwrap_or(true);
    if !tls_verify && stage == Stage::Production {
        reader.fault(
            Some(at),
            "a production environment does not take tls_verify = false; write ca_path",
        );
    }
    let key = match cosmian.has("api_key") {
        true => cosmian.text(reader, "api_key").map(|found| found.value),
        false => reader.environment.get(KEY_VARIABLE),
    };
    let key = key.filter(|key| !key.is_empty());
    // What else is wrong is told with an address or without.
    let mut server = CosmianServer::new(url.unwrap_or_default());
    server.api_key = key.map(|key| Arc::new(SecretString::new(key)));
    server.ca = cosmian.path(reader, "ca_path");
    server.client_cert = cosmian.path(reader, "client_cert_path");
    server.client_key = cosmian.path(reader, "client_key_path");
    server.tls_verify = tls_verify;
    server.timeout = cosmian.duration(reader, "timeout").unwrap_or(TIMEOUT);
    if server.client_cert.is_some() != server.client_key.is_some() {
        reader.fault(
            Some(at),
            "[kms.cosmian] has one of client_cert_path and client_key_path; write both",
        );
    }
    (reader.faults.len() == before).then_some(server)
}

fn url(reader: &mut Reader<'_>, cosmian: Section<'_>, stage: Stage, at: usize) -> Option<String> {
    let found = match cosmian.has("server_url") {
        true => Some(cosmian.text(reader, "server_url")?),
        false => {
            let value = reader.environment.get(URL_VARIABLE);
            value.map(|value| Found { value, at })
        }
    };
    let Some(Found { value, at }) = found else {
        reader.fault(
            Some(at),
            "[kms.cosmian] has no `server_url`; write server_url = \"https://host:9998\", or set \
             COSMIAN_KMS_URL",
        );
        return None;
    };
    // What it is may come from a variable, and is not shown.
    if value.starts_with("https://") {
        return Some(value);
    }
    if !value.starts_with("http://") {
        reader.fault(
            Some(at),
            "`server_url` is not the address of a server; write https://host:port",
        );
        return None;
    }
    if stage == Stage::Production {
        reader.fault(
            Some(at),
            "a production environment does not take a server without TLS; write https://host:port",
        );
        return None;
    }
    Some(value)
}
