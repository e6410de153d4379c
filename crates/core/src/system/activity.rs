//! `sys/internal/counters/activity` and `…/config`: how many clients used the vault.

use super::{Sys, System};
use crate::activity::{
    Activity, Counts, Month, MonthReport, RETENTION_MONTHS_MAX, Settings, Tally,
};
use crate::limits::check;
use crate::mounts::Mounts;
use schemars::JsonSchema;
use secretum_crypto::Timestamp;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};

/// The most months of a report.
const MONTHS_MAX: u32 = RETENTION_MONTHS_MAX;

/// The months of a report where no start is given.
const MONTHS_DEFAULT: u32 = 12;

/// Counts the clients of some months: entities, and tokens of none by their policies.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadActivity {
    /// A time in the first month, in RFC 3339 or in seconds since 1970; a year before the end where it is
    /// missing.
    #[serde(default)]
    start_time: String,
    /// A time in the last month; now where it is missing.
    #[serde(default)]
    end_time: String,
}

/// Counts the clients of this month.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadMonth {}

/// Tells whether clients are counted.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadSettings {}

/// Sets whether clients are counted.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteSettings {
    /// `enable`, `disable` or `default`, which is to count.
    #[serde(default)]
    enabled: Option<String>,
    /// For how many months the counts are kept.
    #[serde(default)]
    retention_months: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct CountFacts {
    clients: u64,
    entity_clients: u64,
    non_entity_clients: u64,
    /// The same as `entity_clients`.
    distinct_entities: u64,
    /// The same as `non_entity_clients`.
    non_entity_tokens: u64,
    /// None are counted.
    secret_syncs: u64,
    /// None are counted.
    acme_clients: u64,
}

#[derive(Serialize, JsonSchema)]
struct MountFacts {
    mount_path: String,
    counts: CountFacts,
}

#[derive(Serialize, JsonSchema)]
struct NamespaceFacts {
    namespace_id: &'static str,
    namespace_path: &'static str,
    counts: CountFacts,
    mounts: Vec<MountFacts>,
}

#[derive(Serialize, JsonSchema)]
struct NewFacts {
    counts: CountFacts,
    namespaces: Vec<NamespaceFacts>,
}

#[derive(Serialize, JsonSchema)]
struct MonthFacts {
    timestamp: String,
    counts: CountFacts,
    namespaces: Vec<NamespaceFacts>,
    new_clients: NewFacts,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ActivityFacts {
    start_time: String,
    end_time: String,
    by_namespace: Vec<NamespaceFacts>,
    total: CountFacts,
    months: Vec<MonthFacts>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ThisMonth {
    by_namespace: Vec<NamespaceFacts>,
    months: Vec<MonthFacts>,
    #[serde(flatten)]
    counts: CountFacts,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct SettingsFacts {
    enabled: &'static str,
    retention_months: u32,
    default_report_months: u32,
    queries_available: bool,
    reporting_enabled: bool,
}

impl CountFacts {
    fn of(counts: Counts) -> Self {
        Self {
            clients: counts.entities + counts.others,
            entity_clients: counts.entities,
            non_entity_clients: counts.others,
            distinct_entities: counts.entities,
            non_entity_tokens: counts.others,
            secret_syncs: 0,
            acme_clients: 0,
        }
    }
}

/// A tally by namespaces, of which there is one.
fn by_namespace(tally: &Tally, mounts: &Mounts) -> Vec<NamespaceFacts> {
    let mounts = tally.mounts.iter().map(|(uuid, counts)| MountFacts {
        mount_path: mounts.of(uuid).map_or_else(
            || format!("deleted mount; uuid {uuid:?}"),
            |mount| mount.path.to_string(),
        ),
        counts: CountFacts::of(*counts),
    });
    vec![NamespaceFacts {
        namespace_id: "root",
        namespace_path: "",
        counts: CountFacts::of(tally.total),
        mounts: mounts.collect(),
    }]
}

fn month_facts(report: &MonthReport, mounts: &Mounts) -> Result<MonthFacts, Fault> {
    Ok(MonthFacts {
        timestamp: report.month.start()?.to_rfc3339(),
        counts: CountFacts::of(report.all.total),
        namespaces: by_namespace(&report.all, mounts),
        new_clients: NewFacts {
            counts: CountFacts::of(report.new.total),
            namespaces: by_namespace(&report.new, mounts),
        },
    })
}

/// A time as clients send it, or none.
fn time(name: &str, text: &str) -> Result<Option<Timestamp>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = text.parse().ok().map(Timestamp::from_unix_seconds);
    let time = seconds.or_else(|| Timestamp::parse_rfc3339(text).ok());
    time.map(Some).ok_or_else(|| {
        Fault::invalid(format!(
            "`{name}` is neither a time of RFC 3339 nor seconds"
        ))
    })
}

handler!(ReadActivity, ActivityFacts, ask, context => {
    let active = &System::of(context)?.active;
    let end = time("end_time", &ask.end_time)?.unwrap_or_else(|| context.clock.now());
    let last = Month::of(end)?;
    let first = match time("start_time", &ask.start_time)? {
        Some(start) => Month::of(start)?,
        None => last.earlier(MONTHS_DEFAULT - 1),
    };
    check(first <= last, || "start_time is later than end_time".to_owned())?;
    check(first >= last.earlier(MONTHS_MAX - 1), || {
        format!("a report has at most {MONTHS_MAX} months")
    })?;
    let report = active.activity.report(active, first, last).await?;
    let months = report.months.iter();
    Ok(Reply::data(ActivityFacts {
        start_time: first.start()?.to_rfc3339(),
        end_time: end.to_rfc3339(),
        by_namespace: by_namespace(&report.all, &active.mounts),
        total: CountFacts::of(report.all.total),
        months: months.map(|month| month_facts(month, &active.mounts)).collect::<Result<_, _>>()?,
    }))
});

handler!(ReadMonth, ThisMonth, _ask, context => {
    let active = &System::of(context)?.active;
    let month = Month::of(context.clock.now())?;
    let report = active.activity.report(active, month, month).await?;
    let months = report.months.iter();
    Ok(Reply::data(ThisMonth {
        by_namespace: by_namespace(&report.all, &active.mounts),
        counts: CountFacts::of(report.all.total),
        months: months.map(|month| month_facts(month, &active.mounts)).collect::<Result<_, _>>()?,
    }))
});

handler!(ReadSettings, SettingsFacts, _ask, context => {
    let settings = System::of(context)?.active.activity.settings().await?;
    Ok(Reply::data(SettingsFacts {
        enabled: if settings == Settings::default() {
            "default-enabled"
        } else if settings.enabled {
            "enable"
        } else {
            "disable"
        },
        retention_months: settings.retention_months,
        default_report_months: MONTHS_DEFAULT,
        queries_available: true,
        reporting_enabled: false,
    }))
});

handler!(WriteSettings, (), ask, context => {
    let mut settings = System::of(context)?.active.activity.settings().await?;
    match ask.enabled.as_deref() {
        None => {}
        Some("enable" | "default") => settings.enabled = true,
        Some("disable") => settings.enabled = false,
        Some(_) => return Err(Fault::invalid("`enabled` must be `enable`, `disable` or `default`")),
    }
    if let Some(months) = ask.retention_months {
        check((1..=RETENTION_MONTHS_MAX).contains(&months), || {
            format!("`retention_months` must be from 1 to {RETENTION_MONTHS_MAX}")
        })?;
        settings.retention_months = months;
    }
    Ok(Reply::wrote(Activity::prepare_settings(&settings)?))
});
