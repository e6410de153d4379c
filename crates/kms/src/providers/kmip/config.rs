//! `[kms.kmip]`.

use super::{CONNECTIONS_MAX, KmipProvider, KmipServer, PORT, TIMEOUT};
use crate::config::backend::{Asked, Making, Settings, Table};
use crate::config::section::{Reader, Section};
use crate::{Provider, Result};
use std::sync::Arc;

pub(crate) const TABLE: Table = Table {
    keys: KEYS,
    keys_old: KEYS_OLD,
    default_key: Some("default_key_id"),
    read: |reader, asked| Some(Arc::new(settings(reader, asked)?)),
};

const KEYS: &[&str] = &[
    "host",
    "port",
    "server_name",
    "client_cert_path",
    "client_key_path",
    "ca_path",
    "default_key_id",
    "version",
    "timeout",
    "connections_max",
];

const KEYS_OLD: &[(&str, &str)] = &[
    ("server_url", "host and port"),
    ("address", "host and port"),
    ("certificate_path", "client_cert_path"),
    ("key_path", "client_key_path"),
    ("ca_cert_path", "ca_path"),
];

/// The most connections that may be asked for.
const CONNECTIONS_LIMIT: u32 = 1024;

impl Settings for KmipServer {
    fn provider(&self, making: &Making<'_>) -> Result<Arc<dyn Provider>> {
        let rng = Arc::clone(&making.observers.rng);
        Ok(Arc::new(KmipProvider::new(self.clone(), rng)?))
    }
}

fn settings(reader: &mut Reader<'_>, asked: Asked<'_>) -> Option<KmipServer> {
    let Asked {
        table: kmip, at, ..
    } = asked;
    let before = reader.faults.len();
    let at = kmip.at.unwrap_or(at);
    let host = needed(reader, kmip, "host", at);
    let mut path = |key: &'static str| {
        if kmip.has(key) {
            return kmip.path(reader, key);
        }
        reader.fault(
            Some(at),
            format!("[kms.kmip] has no `{key}`; write {key} = \"….pem\""),
        );
        None
    };
    let client_cert = path("client_cert_path");
    let client_key = path("client_key_path");
    let ca = path("ca_path");
    let port = kmip.count(reader, "port", u32::from(u16::MAX));
    let server_name = kmip.text(reader, "server_name").map(|found| found.value);
    let timeout = kmip.duration(reader, "timeout");
    let connections_max = kmip.count(reader, "connections_max", CONNECTIONS_LIMIT);
    let version = version(reader, kmip);
    if reader.faults.len() > before {
        return None;
    }
    let mut server = KmipServer::new(host?, client_cert?, client_key?, ca?);
    server.port = port
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(PORT);
    server.server_name = server_name;
    server.timeout = timeout.unwrap_or(TIMEOUT);
    server.connections_max = connections_max.unwrap_or(CONNECTIONS_MAX);
    server.version = version;
    Some(server)
}

fn version(reader: &mut Reader<'_>, kmip: Section<'_>) -> Option<String> {
    let found = kmip.text(reader, "version")?;
    if !KmipServer::is_version(&found.value) {
        reader.fault(
            Some(found.at),
            "`version` is none that is spoken; write \"1.2\", \"1.3\", \"1.4\", \"2.0\" or \"2.1\", or \
             leave it out",
        );
    }
    Some(found.value)
}

fn needed(
    reader: &mut Reader<'_>,
    kmip: Section<'_>,
    key: &'static str,
    at: usize,
) -> Option<String> {
    let found = match kmip.has(key) {
        true => Some(kmip.text(reader, key)?.value),
        false => None,
    };
    let value = found.filter(|value| !value.is_empty());
    if value.is_none() {
        reader.fault(
            Some(at),
            format!("[kms.kmip] has no `{key}`; write {key} = \"…\""),
        );
    }
    value
}
