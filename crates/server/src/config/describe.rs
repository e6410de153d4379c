//! The settings in force, for people.

use super::{ClientCertificates, Config, Listener, Storage, Tls};
use crate::listener::Untrusted;
use secretum_api::fields::short_duration;
use secretum_core::OpenCeremonies;
use std::fmt::Display;

/// The width of the names.
const NAME_WIDTH: usize = 18;

/// The settings in force, one a line, as `secretum server --check` prints them.
pub fn describe(config: &Config) -> String {
    let mut lines = vec![line("storage", storage(&config.storage))];
    let listeners = config.listeners.iter();
    lines.extend(listeners.map(|listener| line("listener", of_listener(listener))));
    let or = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
    let url = |url: &Option<super::NodeUrl>| url.as_ref().map(ToString::to_string);
    let audit_directory = config.audit_directory.as_ref();
    let audit_directory = audit_directory.map(|path| path.display().to_string());
    lines.extend([
        line(
            "api_addr",
            or(url(&config.api_addr), "(from the first listener)"),
        ),
        line("cluster_addr", or(url(&config.cluster_addr), "(none)")),
        line(
            "cluster_name",
            or(config.cluster_name.clone(), "(made up at init)"),
        ),
        line(
            "default_lease_ttl",
            short_duration(config.default_lease_ttl),
        ),
        line("max_lease_ttl", short_duration(config.max_lease_ttl)),
        line("disable_mlock", config.disable_mlock),
        line("log_level", config.log_level.name()),
        line("log_format", config.log_format.name()),
        line(
            "audit_directory",
            or(audit_directory, "(none: audit files may stand anywhere)"),
        ),
    ]);
    let audits = config.audits.iter();
    lines.extend(audits.map(|device| line("audit", format!("{} {}", device.kind, device.path))));
    let raw = config.raw_storage_endpoint;
    lines.extend(raw.then(|| line("raw_storage_endpoint", raw)));
    if let Some(level) = config.log_requests_level {
        lines.push(line("log_requests_level", level.name()));
    }
    if let Some(traces) = &config.traces {
        let share = traces.sampling_ratio.as_f64();
        let value = format!("to {}, of {share} of the requests", traces.endpoint);
        lines.push(line("traces", value));
    }
    lines.extend(open_ceremonies(config.open_ceremonies));
    lines.concat()
}

fn line(name: &str, value: impl Display) -> String {
    format!("{name:NAME_WIDTH$} {value}\n")
}

/// What is open to everybody, where anything is.
fn open_ceremonies(open: OpenCeremonies) -> Option<String> {
    let names = [("generate-root", open.generate_root), ("rekey", open.rekey)];
    let names = names.iter().filter(|(_, is_open)| *is_open);
    let names: Vec<_> = names.map(|(name, _)| *name).collect();
    let value = format!("{}, for who has no token", names.join(" and "));
    (!names.is_empty()).then(|| line("enable_unauthenticated_access", value))
}

fn storage(storage: &Storage) -> String {
    match storage {
        Storage::Memory => "inmem, gone when the server ends".to_owned(),
        Storage::Raft(raft) => {
            let node = raft.node_id.as_ref();
            let node = node.map_or_else(String::new, |id| format!(", node {id}"));
            format!("raft in {}{node}", raft.path.value.display())
        }
    }
}

fn of_listener(listener: &Listener) -> String {
    let tls = listener.tls.as_ref();
    let times = listener.http_times;
    format!(
        "{} {}, {}, requests of at most {} bytes and {}, at most {} connections, timeouts: \
         head {}, body {}, write {}, idle {}",
        listener.address.kind(),
        listener.address,
        tls.map_or_else(|| "no TLS".to_owned(), of_tls),
        listener.max_request_size_bytes,
        short_duration(listener.max_request_duration),
        listener.max_connections,
        short_duration(times.read_header),
        short_duration(times.read),
        short_duration(times.write),
        short_duration(times.idle),
    ) + &origin(listener)
}

/// Whose word is taken for where clients are, and who gets metrics.
fn origin(listener: &Listener) -> String {
    let mut text = String::new();
    if let Some(proxy) = &listener.proxy_protocol {
        let trusted = proxy.trusted.as_ref().map(ToString::to_string);
        let others = match (&trusted, proxy.untrusted) {
            (None, _) => "",
            (Some(_), Untrusted::Ignored) => ", not of others",
            (Some(_), Untrusted::Refused) => ", others refused",
        };
        let trusted = trusted.unwrap_or_else(|| "everybody".to_owned());
        text += &format!(", PROXY headers of {trusted}{others}");
    }
    if let Some(forwarded) = &listener.forwarded_for {
        text += &format!(", X-Forwarded-For of {}", forwarded.trusted);
    }
    if listener.unauthenticated_metrics {
        text += ", metrics without a token";
    }
    text
}

fn of_tls(tls: &Tls) -> String {
    let clients = match tls.client_certificates {
        ClientCertificates::NotAsked => "",
        ClientCertificates::Optional(_) => " with client certificates",
        ClientCertificates::Required(_) => " with required client certificates",
    };
    let (min, max) = (tls.min_version.name(), tls.max_version.name());
    if min == max {
        format!("{min}{clients}")
    } else {
        format!("{min} to {max}{clients}")
    }
}
