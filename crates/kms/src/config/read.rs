//! From the tables of the file to a [`KmsConfig`].

use super::backend::{Named, Table, backend, check_names};
use super::fault::ConfigFault;
use super::rotation::rotation;
use super::section::{Found, Reader, Section};
use super::{CONFIG_BYTES_MAX, Environment, KmsConfig, Stage};
use crate::providers::EVERY;
use crate::{
    CircuitBreakerConfig, KeyId, KmsCacheConfig, RateLimitConfig, ResilientKmsConfig, RetryConfig,
};
use toml::de::DeTable;

/// What the environment is where nothing says it.
const ENVIRONMENT_DEFAULT: &str = "PROVISIONING_ENV";

/// The most data keys that a cache may be told to keep.
const CACHE_ENTRIES_MAX: u32 = 1_000_000;

/// What stands in `[kms]` beside the tables of the providers.
const KMS_KEYS: &[&str] = &[
    "environment",
    "dev_backend",
    "prod_backend",
    "default_key",
    "resilience",
    "cache",
    "retry",
    "circuit_breaker",
    "rate_limit",
    "rotation",
];

const KMS_KEYS_OLD: &[(&str, &str)] = &[
    ("backend", "dev_backend and prod_backend"),
    ("provider", "dev_backend and prod_backend"),
    ("mode", "environment = \"dev\" or \"prod\""),
    (
        "default_key_id",
        "default_key, or the key in the table of the backend",
    ),
    ("cache_ttl", "ttl in [kms.cache]"),
    ("max_retries", "retries_max in [kms.retry]"),
    ("timeout", "timeout in [kms.retry]"),
];

/// With `backend`, for that one, whichever the stage has.
pub(super) fn parse(
    text: &str,
    environment: &Environment,
    backend: Option<&str>,
) -> Result<KmsConfig, Vec<ConfigFault>> {
    let mut reader = Reader {
        text,
        environment,
        faults: Vec::new(),
    };
    if text.len() > CONFIG_BYTES_MAX {
        reader.fault(None, format!("is larger than {CONFIG_BYTES_MAX} bytes"));
        return Err(reader.faults);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        reader.fault(Some(offset), error.message());
    }
    // What a fault of the syntax leaves behind would be told of a second time.
    if reader.faults.is_empty()
        && let Some(config) = config(&mut reader, table.get_ref(), backend)
        && reader.faults.is_empty()
    {
        return Ok(config);
    }
    if reader.faults.is_empty() {
        reader.fault(None, "cannot be used");
    }
    Err(reader.faults)
}

/// Tables that stood by themselves, and where they stand; those of the providers, too.
const TABLES_OLD: &[(&str, &str)] = &[
    ("audit", "[service.audit]"),
    ("cache", "[kms.cache]"),
    ("circuit_breaker", "[kms.circuit_breaker]"),
    ("env", "[kms.local]"),
    ("grpc", "[service.grpc]"),
    ("provider", "dev_backend and prod_backend in [kms]"),
    ("rate_limit", "[kms.rate_limit]"),
    ("retry", "[kms.retry]"),
    ("rotation", "[kms.rotation]"),
    ("server", "[service]"),
];

fn config(reader: &mut Reader<'_>, table: &DeTable<'_>, named: Option<&str>) -> Option<KmsConfig> {
    let file = Section {
        name: "",
        table: Some(table),
        at: None,
    };
    // The table [service] is read by who serves this configuration over a network.
    let own = EVERY.iter().map(|named| (named.name, named.header));
    let old: Vec<_> = own.chain(TABLES_OLD.iter().copied()).collect();
    file.only(reader, &["kms", "service"], &old);
    let kms = file.below(reader, "kms", "kms");
    if kms.table.is_none() {
        reader.fault(
            None,
            "has no table [kms]; write [kms] and its keys below it",
        );
        return None;
    }
    let providers = EVERY.iter().map(|named| named.name);
    let known: Vec<_> = KMS_KEYS.iter().copied().chain(providers).collect();
    kms.only(reader, &known, KMS_KEYS_OLD);
    let stage = stage(reader, kms);
    let resilience = resilience(reader, kms, stage.unwrap_or(Stage::Production));
    let rotation = rotation(reader, kms, stage.unwrap_or(Stage::Production));
    check_names(reader, kms);
    let stage = stage?;
    let default_key = default_key(reader, kms, stage, named);
    Some(KmsConfig {
        stage,
        default_key: default_key?,
        backend: backend(reader, kms, stage, named)?,
        resilience,
        rotation,
    })
}

fn stage(reader: &mut Reader<'_>, kms: Section<'_>) -> Option<Stage> {
    let default = || reader.environment.get(ENVIRONMENT_DEFAULT);
    let unset = kms
        .table
        .is_none_or(|table| table.get("environment").is_none());
    let (text, at) = if unset {
        (default().unwrap_or("dev".to_owned()), kms.at)
    } else {
        let Found { value, at } = kms.text(reader, "environment")?;
        (value, Some(at))
    };
    match text.as_str() {
        "dev" | "development" | "test" | "local" => Some(Stage::Development),
        "prod" | "production" | "staging" => Some(Stage::Production),
        _ => {
            // What it is may come from a variable, and is not shown.
            reader.fault(
                at,
                "`environment` is none that is known; write dev, development, test or local, or prod, \
                 production or staging",
            );
            None
        }
    }
}

fn default_key(
    reader: &mut Reader<'_>,
    kms: Section<'_>,
    stage: Stage,
    named: Option<&str>,
) -> Option<KeyId> {
    let faults = reader.faults.len();
    let backend = match named {
        Some(name) => Some(name.to_owned()),
        None => (kms.text(reader, stage.backend_key())).map(|found| found.value),
    };
    let named_by = backend.as_deref().and_then(|name| {
        let key = Table::of(name)?.default_key?;
        Some((Named::find(name)?, key))
    });
    let name = named_by.map_or("default_key_id", |(_, key)| key);
    let own = named_by.map(|(table, _)| table.table(reader, kms));
    let own = own.filter(|own| own.has(name));
    // What is wrong with these is told where the backend is read.
    reader.faults.truncate(faults);
    let found = match (own, kms.has("default_key")) {
        // Beside the backend that serves, another one that is named may have a default of its own.
        (Some(own), true) if named.is_none() => {
            let message = "`default_key` in [kms] names the default key too; leave one of them out";
            reader.fault(own.at, message);
            return None;
        }
        (Some(own), _) => own.text(reader, name)?,
        (None, true) => kms.text(reader, "default_key")?,
        (None, false) => Found {
            value: "default".to_owned(),
            at: 0,
        },
    };
    // Only keys of Azure are pinned so: there a version is named beside the key.
    let version = own.and_then(|own| own.text(reader, "key_version"));
    let key = KeyId::new(match version.filter(|version| !version.value.is_empty()) {
        Some(version) => format!("{}/{}", found.value, version.value),
        None => found.value,
    });
    if key.is_err() {
        let name = if own.is_some() { name } else { "default_key" };
        reader.fault(
            Some(found.at),
            format!(
                "`{name}` is not the identifier of a key; write a name without control characters"
            ),
        );
    }
    key.ok()
}

fn resilience(reader: &mut Reader<'_>, kms: Section<'_>, stage: Stage) -> ResilientKmsConfig {
    let mut config = preset(reader, kms, stage);
    retry(reader, kms, &mut config);
    config.cache = cache(reader, kms, config.cache);
    config.breaker = breaker(reader, kms, config.breaker);
    config.rate_limit = rate_limit(reader, kms);
    config
}

/// What [kms.retry] and the tables beside it start from.
fn preset(reader: &mut Reader<'_>, kms: Section<'_>, stage: Stage) -> ResilientKmsConfig {
    let of_stage = match stage {
        Stage::Development => ResilientKmsConfig::development(),
        Stage::Production => ResilientKmsConfig::production(),
    };
    if !kms.has("resilience") {
        return of_stage;
    }
    let Some(Found { value, at }) = kms.text(reader, "resilience") else {
        return of_stage;
    };
    match value.as_str() {
        "development" => ResilientKmsConfig::development(),
        "production" => ResilientKmsConfig::production(),
        "high_availability" => ResilientKmsConfig::high_availability(),
        _ => {
            reader.fault(
                Some(at),
                "`resilience` is none that is known; write development, production or \
                 high_availability",
            );
            of_stage
        }
    }
}

fn retry(reader: &mut Reader<'_>, kms: Section<'_>, config: &mut ResilientKmsConfig) {
    let section = kms.below(reader, "retry", "kms.retry");
    let known = [
        "retries_max",
        "delay_min",
        "delay_max",
        "deadline",
        "timeout",
    ];
    section.only(reader, &known, &[("max_attempts", "retries_max")]);
    let retry: &mut RetryConfig = &mut config.retry;
    let durations = [
        ("delay_min", &mut retry.delay_min),
        ("delay_max", &mut retry.delay_max),
        ("deadline", &mut retry.deadline),
        ("timeout", &mut config.timeout),
    ];
    for (key, place) in durations {
        *place = section.duration(reader, key).unwrap_or(*place);
    }
    let retries_max = section.count(reader, "retries_max", 100);
    config.retry.retries_max = retries_max.unwrap_or(config.retry.retries_max);
    if config.retry.delay_min > config.retry.delay_max {
        reader.fault(
            section.at,
            "`delay_min` is longer than `delay_max`; make it shorter",
        );
    }
}

/// Whether a table, or else the preset, wants its wrapper.
fn is_enabled(reader: &mut Reader<'_>, section: Section<'_>, preset: bool) -> bool {
    let said = section.switch(reader, "enabled");
    said.unwrap_or(preset || section.table.is_some())
}

fn cache(
    reader: &mut Reader<'_>,
    kms: Section<'_>,
    preset: Option<KmsCacheConfig>,
) -> Option<KmsCacheConfig> {
    let section = kms.below(reader, "cache", "kms.cache");
    let known = ["enabled", "entries_max", "ttl", "generated_uses_max"];
    let old = [
        ("max_entries", "entries_max"),
        ("ttl_seconds", "ttl = \"…s\""),
    ];
    section.only(reader, &known, &old);
    let enabled = is_enabled(reader, section, preset.is_some());
    let mut config = preset.unwrap_or_default();
    if let Some(count) = section.count(reader, "entries_max", CACHE_ENTRIES_MAX) {
        config.entries_max = usize::try_from(count).unwrap_or(config.entries_max);
    }
    config.ttl = section.duration(reader, "ttl").unwrap_or(config.ttl);
    let uses = section.count(reader, "generated_uses_max", 1 << 20);
    config.generated_uses_max = uses.unwrap_or(config.generated_uses_max);
    enabled.then_some(config)
}

fn breaker(
    reader: &mut Reader<'_>,
    kms: Section<'_>,
    preset: Option<CircuitBreakerConfig>,
) -> Option<CircuitBreakerConfig> {
    let section = kms.below(reader, "circuit_breaker", "kms.circuit_breaker");
    let known = [
        "enabled",
        "failures_to_open",
        "open_for",
        "successes_to_close",
        "probes_max",
    ];
    let old = [
        ("failure_threshold", "failures_to_open"),
        ("success_threshold", "successes_to_close"),
        ("reset_timeout", "open_for"),
    ];
    section.only(reader, &known, &old);
    let enabled = is_enabled(reader, section, preset.is_some());
    let mut config = preset.unwrap_or_default();
    let counts = [
        ("failures_to_open", &mut config.failures_to_open),
        ("successes_to_close", &mut config.successes_to_close),
        ("probes_max", &mut config.probes_max),
    ];
    for (key, place) in counts {
        *place = section.count(reader, key, 1000).unwrap_or(*place);
    }
    config.open_for = section
        .duration(reader, "open_for")
        .unwrap_or(config.open_for);
    enabled.then_some(config)
}

fn rate_limit(reader: &mut Reader<'_>, kms: Section<'_>) -> Option<RateLimitConfig> {
    let section = kms.below(reader, "rate_limit", "kms.rate_limit");
    section.only(reader, &["per_second", "burst", "wait_max"], &[]);
    section.table?;
    let Some(per_second) = section.count(reader, "per_second", 1_000_000) else {
        reader.fault(
            section.at,
            "[kms.rate_limit] says no limit; write per_second = …",
        );
        return None;
    };
    let burst = section.count(reader, "burst", 1_000_000);
    let wait_max = section.duration(reader, "wait_max");
    Some(RateLimitConfig {
        per_second,
        burst: burst.unwrap_or(per_second),
        wait_max: wait_max.unwrap_or_default(),
    })
}
