//! What a node tells operators of itself: requests under way, counters, loggers, its host, its versions.

use super::{Sys, System};
use crate::active::Active;
use schemars::JsonSchema;
use secretum_api::VAULT_API_VERSION;
use secretum_crypto::Timestamp;
use secretum_engine::{Context, Fault, Handle, LIST_PAGE, Reply, Verb, unreadable};
use secretum_storage::{Batch, Key, PageOf, Pages, Precondition, StorageError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use sysinfo::{Disks, System as Host};

/// Where is written down since when the vault runs with which version.
const VERSIONS: &str = "sys/version/";

/// Lists the requests under way.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadInFlight {}

/// Counts the tokens.
#[derive(Deserialize, JsonSchema)]
pub(super) struct CountTokens {}

/// Counts the entities.
#[derive(Deserialize, JsonSchema)]
pub(super) struct CountEntities {}

/// Was taken out of Vault's API.
#[derive(Deserialize, JsonSchema)]
pub(super) struct CountRequests {}

/// Tells the levels of all loggers.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadLoggers {}

/// Sets the level of all loggers, until the server is started anew.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteLoggers {
    /// `trace`, `debug`, `info`, `warn` or `error`.
    #[serde(default)]
    level: String,
}

/// Puts back the level that is configured.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ResetLoggers {}

/// Tells the level of a logger.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadLogger {
    /// Name of the logger.
    name: String,
}

/// Sets the level of a logger, until the server is started anew.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteLogger {
    /// Name of the logger.
    name: String,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    #[serde(default)]
    level: String,
}

/// Puts back the level of a logger that is configured.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ResetLogger {
    /// Name of the logger.
    name: String,
}

/// Tells of the machine that the node runs on.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadHost {}

/// Lists the versions that ran this vault, and since when.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListVersions {}

/// A request under way.
#[derive(Serialize, JsonSchema)]
pub(super) struct UnderWayFacts {
    start_time: String,
    client_remote_address: String,
    request_path: String,
    request_method: &'static str,
    client_id: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct TokenCounters {
    counters: ServiceTokens,
}

#[derive(Serialize, JsonSchema)]
struct ServiceTokens {
    service_tokens: Total,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EntityCounters {
    counters: Entities,
}

#[derive(Serialize, JsonSchema)]
struct Entities {
    entities: Total,
}

#[derive(Serialize, JsonSchema)]
struct Total {
    total: u64,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct HostFacts {
    timestamp: String,
    cpu: Vec<Processor>,
    disk: Vec<DiskFacts>,
    host: HostName,
    memory: Memory,
}

#[derive(Serialize, JsonSchema)]
struct Processor {
    cpu: usize,
    model_name: String,
    vendor_id: String,
    mhz: u64,
}

/// A file system; sizes are bytes.
#[derive(Serialize, JsonSchema)]
struct DiskFacts {
    path: String,
    fstype: String,
    total: u64,
    free: u64,
    used: u64,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HostName {
    hostname: String,
    os: String,
    platform: String,
    platform_version: String,
    kernel_version: String,
    kernel_arch: String,
    /// Seconds.
    uptime: u64,
    /// Seconds since 1970.
    boot_time: u64,
}

/// Sizes are bytes.
#[derive(Serialize, JsonSchema)]
struct Memory {
    total: u64,
    available: u64,
    used: u64,
    free: u64,
    swap_total: u64,
    swap_free: u64,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Versions {
    keys: Vec<String>,
    key_info: BTreeMap<String, VersionFacts>,
}

#[derive(Serialize, JsonSchema)]
struct VersionFacts {
    timestamp_installed: String,
    previous_version: Option<String>,
    build_date: String,
}

/// A version that ran the vault, as it is stored.
#[derive(Serialize, Deserialize)]
struct VersionRecord {
    installed: i64,
}

fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Read | Verb::Help => "GET",
        Verb::Write => "PUT",
        Verb::Patch => "PATCH",
        Verb::Delete => "DELETE",
        Verb::List => "LIST",
        Verb::Scan => "SCAN",
    }
}

handler!(ReadInFlight, BTreeMap<String, UnderWayFacts>, _ask, context => {
    let under_way = System::of(context)?.active.core.in_flight.all();
    let facts = under_way.into_iter().map(|request| {
        let facts = UnderWayFacts {
            start_time: request.since.to_rfc3339(),
            client_remote_address: request.address.map(|own| own.to_string()).unwrap_or_default(),
            request_path: format!("/v1/{}", request.path),
            request_method: method(request.verb),
            client_id: String::new(),
        };
        (request.id, facts)
    });
    Ok(Reply::data(facts.collect()))
});

handler!(CountTokens, TokenCounters, _ask, context => {
    let total = count_tokens(&System::of(context)?.active).await?;
    let service_tokens = Total { total };
    Ok(Reply::data(TokenCounters { counters: ServiceTokens { service_tokens } }))
});

async fn count_tokens(active: &Active) -> Result<u64, Fault> {
    let prefix = Key::try_from("sys/token/id/")?;
    let mut pages = Pages::new(&*active.storage, prefix, PageOf::Keys, LIST_PAGE);
    let mut total = 0;
    while let Some(rows) = pages.next().await? {
        total += rows.len() as u64;
    }
    Ok(total)
}

// There are no entities in this version.
handler!(CountEntities, EntityCounters, _ask, _context => {
    Ok(Reply::data(EntityCounters { counters: Entities { entities: Total { total: 0 } } }))
});

handler!(CountRequests, (), _ask, _context => {
    Err(Fault::NotFoundBecause("The functionality has been removed on this path".into()))
});

handler!(ReadLoggers, BTreeMap<String, String>, _ask, context => {
    let levels = System::of(context)?.active.core.config.node.log_levels.all();
    Ok(Reply::data(levels.into_iter().map(|(name, level)| (name.to_owned(), level)).collect()))
});

handler!(WriteLoggers, (), ask, context => {
    System::of(context)?.active.core.config.node.log_levels.set(None, &ask.level)?;
    Ok(Reply::empty())
});

handler!(ResetLoggers, (), _ask, context => {
    System::of(context)?.active.core.config.node.log_levels.reset(None)?;
    Ok(Reply::empty())
});

handler!(ReadLogger, BTreeMap<String, String>, ask, context => {
    let levels = System::of(context)?.active.core.config.node.log_levels.all();
    let found = levels.into_iter().find(|(name, _)| *name == ask.name);
    let (name, level) = found.ok_or_else(|| {
        Fault::invalid(format!("logger {:?} not found", ask.name))
    })?;
    Ok(Reply::data(BTreeMap::from([(name.to_owned(), level)])))
});

handler!(WriteLogger, (), ask, context => {
    System::of(context)?.active.core.config.node.log_levels.set(Some(&ask.name), &ask.level)?;
    Ok(Reply::empty())
});

handler!(ResetLogger, (), ask, context => {
    System::of(context)?.active.core.config.node.log_levels.reset(Some(&ask.name))?;
    Ok(Reply::empty())
});

handler!(ReadHost, HostFacts, _ask, context => {
    let now = context.clock.now();
    // It reads files of the system.
    let facts = tokio::task::spawn_blocking(move || host_facts(now)).await;
    facts.map(Reply::data).map_err(Fault::internal)
});

fn host_facts(now: Timestamp) -> HostFacts {
    let host = Host::new_all();
    let cpu = host.cpus().iter().enumerate().map(|(cpu, own)| Processor {
        cpu,
        model_name: own.brand().to_owned(),
        vendor_id: own.vendor_id().to_owned(),
        mhz: own.frequency(),
    });
    let disks = Disks::new_with_refreshed_list();
    let disk = disks.iter().map(|disk| DiskFacts {
        path: disk.mount_point().display().to_string(),
        fstype: disk.file_system().to_string_lossy().into_owned(),
        total: disk.total_space(),
        free: disk.available_space(),
        used: disk.total_space().saturating_sub(disk.available_space()),
    });
    HostFacts {
        timestamp: now.to_rfc3339(),
        cpu: cpu.collect(),
        disk: disk.collect(),
        host: HostName {
            hostname: Host::host_name().unwrap_or_default(),
            os: std::env::consts::OS.to_owned(),
            platform: Host::distribution_id(),
            platform_version: Host::os_version().unwrap_or_default(),
            kernel_version: Host::kernel_version().unwrap_or_default(),
            kernel_arch: Host::cpu_arch(),
            uptime: Host::uptime(),
            boot_time: Host::boot_time(),
        },
        memory: Memory {
            total: host.total_memory(),
            available: host.available_memory(),
            used: host.used_memory(),
            free: host.free_memory(),
            swap_total: host.total_swap(),
            swap_free: host.free_swap(),
        },
    }
}

/// Writes down that this version runs the vault, where it is the first time.
pub(crate) async fn note_version(active: &Active) -> Result<(), StorageError> {
    let record = VersionRecord {
        installed: active.core.config.clock.now().unix_seconds(),
    };
    let Ok(value) = serde_json::to_vec(&record) else {
        return Ok(());
    };
    let key = Key::try_from(format!("{VERSIONS}{VAULT_API_VERSION}"))?;
    if active.storage.get(&key).await?.is_some() {
        return Ok(());
    }
    let batch = Batch::new().put_if(key, Precondition::Absent, value);
    match active.storage.commit(batch).await {
        Ok(_) | Err(StorageError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

handler!(ListVersions, Versions, _ask, context => {
    let active = &System::of(context)?.active;
    let prefix = Key::try_from(VERSIONS)?;
    let page = active.storage.page(&prefix, None, 1_000, PageOf::Entries).await?;
    let mut versions = Vec::new();
    for row in page.rows {
        let Some(entry) = row.entry else { continue };
        let record: VersionRecord = serde_json::from_slice(&entry.value)
            .map_err(|error| unreadable("version", &error))?;
        versions.push((record.installed, row.key.name_behind(&prefix)));
    }
    versions.sort();
    let (mut key_info, mut previous) = (BTreeMap::new(), None);
    let keys: Vec<String> = versions.iter().map(|(_, version)| version.clone()).collect();
    for (installed, version) in versions {
        let facts = VersionFacts {
            timestamp_installed: Timestamp::from_unix_seconds(installed).to_rfc3339(),
            previous_version: previous.replace(version.clone()),
            build_date: super::lifecycle::BUILD_DATE.to_owned(),
        };
        key_info.insert(version, facts);
    }
    Ok(Reply::data(Versions { keys, key_info }))
});
