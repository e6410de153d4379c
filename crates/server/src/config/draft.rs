//! The configuration while its files are read.

use super::audit;
use super::listener::{self, ListenerDraft};
use super::names::UNSERVED;
use super::notice::Notices;
use super::section::{Section, Source, URL};
use super::stanza::{Stanza, StanzaReader};
use super::storage::{self, StorageDraft};
use super::{
    Config, LEASE_TTL_DEFAULT, LISTENERS_MAX, Listener, LogFormat, LogLevel, NodeUrl, Place,
    Placed, Problem, Traces, telemetry, template, values,
};
use secretum_api::fields::short_duration;
use secretum_core::{DeclaredDevice, OpenCeremonies};
use secretum_hcl::{Body, Value, ValueKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the files read so far say. What a later file says comes before what an earlier one says;
/// listeners and audit devices
/// add up.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    storage: Option<StorageDraft>,
    listeners: Vec<ListenerDraft>,
    audits: Vec<Placed<DeclaredDevice>>,
    /// Whether there are a storage and a listener, which may be faulty.
    has_storage: bool,
    has_listener: bool,
    api_addr: Option<Placed<NodeUrl>>,
    cluster_addr: Option<Placed<NodeUrl>>,
    cluster_name: Option<Placed<String>>,
    disable_mlock: Option<Placed<bool>>,
    raw_storage_endpoint: Option<Placed<bool>>,
    default_lease_ttl: Option<Placed<Duration>>,
    max_lease_ttl: Option<Placed<Duration>>,
    default_max_request_duration: Option<Placed<Duration>>,
    log_level: Option<Placed<LogLevel>>,
    log_format: Option<Placed<LogFormat>>,
    audit_directory: Option<Placed<PathBuf>>,
    open_ceremonies: Option<Placed<OpenCeremonies>>,
    traces: Option<Placed<Traces>>,
    log_requests_level: Option<Placed<Option<LogLevel>>>,
}

const LEVEL: &str = "`trace`, `debug`, `info`, `warn` or `error`";
const REQUESTS_LEVEL: &str = "`off`, `trace`, `debug`, `info`, `warn` or `error`";
const FORMAT: &str = "`standard` or `json`";
const CEREMONIES: &str = "a list of `generate-root` and `rekey`";

fn later<T>(field: &mut Option<T>, said: Option<T>) {
    if said.is_some() {
        *field = said;
    }
}

impl Draft {
    /// Adds what a file says.
    pub(crate) fn add(&mut self, source: &Source, body: &Body, notices: &mut Notices) {
        self.add_storage(source, body, notices);
        self.add_listeners(source, body, notices);
        self.add_audits(source, body, notices);
        name_seals(source, body, notices);
        let mut section = Section::new(source, body, notices);
        for key in ["storage", "backend", "listener", "audit", "seal"] {
            section.knows(key);
        }
        let api_addr = section.take_filled("api_addr", URL, NodeUrl::parse);
        later(&mut self.api_addr, api_addr);
        let cluster_addr = section.take_filled("cluster_addr", URL, NodeUrl::parse);
        later(&mut self.cluster_addr, cluster_addr);
        later(&mut self.cluster_name, section.text("cluster_name"));
        later(&mut self.disable_mlock, section.flag("disable_mlock"));
        let raw = section.flag("raw_storage_endpoint");
        later(&mut self.raw_storage_endpoint, raw);
        later(
            &mut self.default_lease_ttl,
            section.duration("default_lease_ttl"),
        );
        later(&mut self.max_lease_ttl, section.duration("max_lease_ttl"));
        let duration = section.duration("default_max_request_duration");
        later(&mut self.default_max_request_duration, duration);
        later(&mut self.log_level, section.take("log_level", LEVEL, level));
        later(
            &mut self.log_format,
            section.take("log_format", FORMAT, format),
        );
        let directory = section.path("audit_directory");
        if let Some(directory) = &directory {
            check_folder("audit_directory", directory, section.notices);
        }
        later(&mut self.audit_directory, directory);
        let open = section.take("enable_unauthenticated_access", CEREMONIES, ceremonies);
        later(&mut self.open_ceremonies, open);
        let level = section.take("log_requests_level", REQUESTS_LEVEL, requests_level);
        later(&mut self.log_requests_level, level);
        if let Some(block) = section.block("telemetry") {
            let traces = telemetry::traces(source, block, section.notices);
            later(&mut self.traces, traces);
        }
        section.finish(UNSERVED);
    }

    fn add_storage(&mut self, source: &Source, body: &Body, notices: &mut Notices) {
        let mut stanzas = Vec::new();
        for name in ["storage", "backend"] {
            let reader = find(source, name, storage::example(source), notices);
            let (found, faulty) = reader.read(body);
            self.has_storage |= faulty || !found.is_empty();
            stanzas.extend(found);
        }
        let mut of_this_file: Option<Place> = None;
        for stanza in stanzas {
            let storage = StorageDraft::read(source, &stanza, notices);
            if let Some(first) = of_this_file.clone() {
                notices.push(stanza.place, Problem::TwoStorages(first));
                continue;
            }
            of_this_file = Some(stanza.place.clone());
            if let Some(earlier) = &self.storage {
                let problem = Problem::StorageReplaced(earlier.place.clone());
                notices.push(stanza.place, problem);
            }
            self.storage = Some(storage);
        }
    }

    fn add_listeners(&mut self, source: &Source, body: &Body, notices: &mut Notices) {
        let reader = find(source, "listener", listener::example(source), notices);
        let (stanzas, faulty) = reader.read(body);
        self.has_listener |= faulty;
        for stanza in stanzas {
            self.has_listener = true;
            if self.listeners.len() >= LISTENERS_MAX {
                notices.push(stanza.place, Problem::TooManyListeners);
                return;
            }
            let listener = ListenerDraft::read(source, &stanza, notices);
            self.listeners.extend(listener);
        }
    }

    fn add_audits(&mut self, source: &Source, body: &Body, notices: &mut Notices) {
        let mut reader = find(source, "audit", audit::example(source), notices);
        reader.takes_names = true;
        let (stanzas, _) = reader.read(body);
        for stanza in stanzas {
            self.audits.push(audit::read(source, &stanza, notices));
        }
    }

    /// The configuration, unless something is missing or does not fit together, which is said.
    ///
    /// `source` is the file that is named for what is in none.
    pub(crate) fn finish(
        self,
        source: &Source,
        environment: &dyn Fn(&str) -> Option<String>,
        notices: &mut Notices,
    ) -> Option<Config> {
        let variable = |name: &str| variable(environment, name);
        let url = |name: &str, notices: &mut Notices| url_of(variable(name), notices);
        let (api_addr, cluster_addr) = (url("API_ADDR", notices), url("CLUSTER_ADDR", notices));
        if !self.has_storage {
            let problem = Problem::NoStorage(storage::example(source));
            notices.push(Place::whole(&source.file), problem);
        }
        if !self.has_listener {
            let problem = Problem::NoListener(listener::example(source));
            notices.push(Place::whole(&source.file), problem);
        }
        let (default_lease_ttl, max_lease_ttl) =
            lease_ttls(self.default_lease_ttl, self.max_lease_ttl, notices);
        let (storage, older_api_addr, older_cluster_addr) = match self.storage {
            Some(mut storage) => {
                let older = (storage.api_addr.take(), storage.cluster_addr.take());
                (storage.finish(variable, notices), older.0, older.1)
            }
            None => (None, None, None),
        };
        let duration = self.default_max_request_duration;
        let duration = duration.map(|duration| duration.value);
        let listeners = self.listeners.into_iter();
        let listeners: Vec<_> = listeners.map(|draft| draft.finish(duration)).collect();
        refuse_taken(&listeners, notices);
        let audit_directory = self.audit_directory.map(|directory| directory.value);
        let audits = audit::finish(self.audits, audit_directory.as_deref(), notices);
        let first = |urls: [Option<Placed<NodeUrl>>; 3]| {
            urls.into_iter().flatten().next().map(|url| url.value)
        };
        Some(Config {
            storage: storage?,
            listeners,
            api_addr: first([api_addr, self.api_addr, older_api_addr]),
            cluster_addr: first([cluster_addr, self.cluster_addr, older_cluster_addr]),
            cluster_name: self.cluster_name.map(|name| name.value),
            disable_mlock: self.disable_mlock.is_some_and(|disable| disable.value),
            raw_storage_endpoint: self.raw_storage_endpoint.is_some_and(|raw| raw.value),
            default_lease_ttl,
            max_lease_ttl,
            log_level: self
                .log_level
                .map_or_else(LogLevel::default, |level| level.value),
            log_format: self
                .log_format
                .map_or_else(LogFormat::default, |form| form.value),
            audit_directory,
            audits,
            open_ceremonies: self
                .open_ceremonies
                .map(|open| open.value)
                .unwrap_or_default(),
            traces: self.traces.map(|traces| traces.value),
            log_requests_level: self.log_requests_level.and_then(|level| level.value),
        })
    }
}

fn find<'a, 'n>(
    source: &'a Source,
    name: &'static str,
    example: String,
    notices: &'n mut Notices,
) -> StanzaReader<'a, 'n> {
    StanzaReader {
        source,
        name,
        takes_names: false,
        example,
        notices,
        faulty: false,
    }
}

/// Names the seals that are not served.
fn name_seals(source: &Source, body: &Body, notices: &mut Notices) {
    let example = source.syntax.stanza("seal", "shamir", "disabled", "false");
    let (stanzas, _) = find(source, "seal", example, notices).read(body);
    let disabled = |stanza: &Stanza<'_>| {
        let value = stanza.body.attribute("disabled");
        value.and_then(values::flag) == Some(true)
    };
    for stanza in stanzas {
        if stanza.kind != "shamir" && !disabled(&stanza) {
            let kind = values::shortened(&stanza.kind);
            notices.push(stanza.place, Problem::UnservedSeal(kind));
        }
    }
}

fn level(value: &Value) -> Option<LogLevel> {
    LogLevel::of(value.as_str()?)
}

/// A level, or none where it is off.
fn requests_level(value: &Value) -> Option<Option<LogLevel>> {
    let word = value.as_str()?;
    if word.eq_ignore_ascii_case("off") {
        return Some(None);
    }
    LogLevel::of(word).map(Some)
}

fn format(value: &Value) -> Option<LogFormat> {
    LogFormat::of(value.as_str()?)
}

/// Ceremonies by the names of their paths.
fn ceremonies(value: &Value) -> Option<OpenCeremonies> {
    let ValueKind::List(names) = &value.kind else {
        return None;
    };
    let mut open = OpenCeremonies::default();
    for name in names {
        match name.as_str()? {
            "generate-root" => open.generate_root = true,
            "rekey" => open.rekey = true,
            // Of clusters that replicate others: there is nothing to open.
            "generate-operation-token" => {}
            _ => return None,
        }
    }
    Some(open)
}

fn check_folder(key: &'static str, folder: &Placed<PathBuf>, notices: &mut Notices) {
    let reason = match std::fs::metadata(&folder.value) {
        Ok(metadata) if metadata.is_dir() => return,
        Ok(_) => "it is no folder; make one there, or name another".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "there is no such folder; make it".to_owned()
        }
        Err(error) => super::problem::reason(&error),
    };
    let path = folder.value.clone();
    let problem = Problem::Folder { key, path, reason };
    notices.push(folder.place.clone(), problem);
}

/// The default and the longest TTL; the one that is not set gives way to the other.
fn lease_ttls(
    default: Option<Placed<Duration>>,
    max: Option<Placed<Duration>>,
    notices: &mut Notices,
) -> (Duration, Duration) {
    match (default, max) {
        (None, None) => (LEASE_TTL_DEFAULT, LEASE_TTL_DEFAULT),
        (Some(default), None) => (default.value, default.value.max(LEASE_TTL_DEFAULT)),
        (None, Some(max)) => (max.value.min(LEASE_TTL_DEFAULT), max.value),
        (Some(default), Some(max)) => {
            if max.value < default.value {
                let problem = Problem::LeaseTtls {
                    max: short_duration(max.value),
                    default: short_duration(default.value),
                };
                notices.push(max.place, problem);
            }
            (default.value, max.value)
        }
    }
}

fn refuse_taken(listeners: &[Listener], notices: &mut Notices) {
    for (index, listener) in listeners.iter().enumerate() {
        let address = &listener.address;
        let same = |earlier: &&Listener| earlier.address == *address && !address.is_any_port();
        if let Some(first) = listeners.iter().take(index).find(same) {
            let problem = Problem::AddressTaken {
                address: address.clone(),
                first: first.place.clone(),
            };
            notices.push(listener.place.clone(), problem);
        }
    }
}

/// A setting of the environment, ours before Vault's.
fn variable(environment: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<Placed<String>> {
    ["SECRETUM_", "VAULT_", "BAO_"].iter().find_map(|prefix| {
        let name = format!("{prefix}{name}");
        let value = environment(&name).filter(|value| !value.is_empty())?;
        let place = Place::whole(Path::new(&name));
        Some(Placed { value, place })
    })
}

fn url_of(variable: Option<Placed<String>>, notices: &mut Notices) -> Option<Placed<NodeUrl>> {
    let Placed { value, place } = variable?;
    let filled = template::fill_in(&value).ok();
    if let Some(value) = filled.as_deref().and_then(NodeUrl::parse) {
        return Some(Placed { value, place });
    }
    let problem = Problem::Variable {
        expected: URL,
        found: values::shortened(&value),
    };
    notices.push(place, problem);
    None
}
