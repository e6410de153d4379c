//! [`Activity`]: how many clients used the vault, month by month.
//!
//! A client is an entity, or, of tokens that belong to none, all those with the same policies: so a new
//! token for each run of a job is no new client. Root tokens and tokens that wrap an answer are none.
//! `sys/activity/<year-month>/<client>` holds a client's first use in a month; it is written by the
//! janitor, so that a request pays two loads from memory.

use crate::active::Active;
use crate::tokens::Token;
use crate::{Core, CoreError};
use parking_lot::Mutex;
use secretum_crypto::{ClockRef, Timestamp, sha256};
use secretum_engine::{Fault, LIST_PAGE, to_json, unreadable};
use secretum_storage::{Batch, Key, PageOf, Pages, Precondition, Storage};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const PREFIX: &str = "sys/activity/";
const SETTINGS: &str = "sys/activity-settings";

/// The policy of tokens that wrap an answer.
const WRAPPING: &str = "response-wrapping";

/// How many clients wait to be written, at most. Those beyond are counted at their next use.
const PENDING_MAX: usize = 65_536;

/// How many clients one commit writes.
const BATCH: usize = 256;

/// In how many rounds of the janitor clients are written once.
const WRITE_ROUNDS: u64 = 30;

/// How many first uses a report reads.
const REPORTED_MAX: usize = 2_000_000;

/// How many months before those that are kept are looked at for what is left of them.
const PRUNED_MONTHS: u32 = RETENTION_MONTHS_MAX;

/// For how long what was counted may be kept, in months.
pub(crate) const RETENTION_MONTHS_MAX: u32 = 120;

/// A month, counted from the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Month(u32);

impl Month {
    /// The month of a time, in UTC.
    ///
    /// **Errors**: [`Fault::Internal`] for a time before the year 0.
    pub(crate) fn of(time: Timestamp) -> Result<Self, Fault> {
        let text = time.to_rfc3339();
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
        let month = number(0, 4).zip(number(5, 7));
        month
            .map(|(year, month)| Self(year * 12 + month - 1))
            .ok_or_else(|| Fault::Internal(format!("`{text}` is in no month")))
    }

    /// Its first second.
    ///
    /// **Errors**: [`Fault::Internal`] where that is no time.
    pub(crate) fn start(self) -> Result<Timestamp, Fault> {
        Timestamp::parse_rfc3339(&format!("{self}-01T00:00:00Z")).map_err(Fault::internal)
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub(crate) fn earlier(self, months: u32) -> Self {
        Self(self.0.saturating_sub(months))
    }

    fn folder(self) -> String {
        format!("{PREFIX}{self}/")
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

/// Whether clients are counted, and for how long that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) enabled: bool,
    pub(crate) retention_months: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            retention_months: 48,
        }
    }
}

/// A client's first use in a month, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Client {
    /// Whether it is an entity.
    entity: bool,
    /// UUID of the mount that issued its token; empty where that is gone.
    mount: String,
    /// When it was seen first, in seconds since 1970.
    since: i64,
}

/// How many clients there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) entities: u64,
    pub(crate) others: u64,
}

impl Counts {
    fn add(&mut self, client: &Client) {
        let kind = if client.entity {
            &mut self.entities
        } else {
            &mut self.others
        };
        *kind += 1;
    }
}

/// How many clients there are, of each mount that issued their tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) total: Counts,
    /// By UUID of the mount.
    pub(crate) mounts: BTreeMap<String, Counts>,
}

impl Tally {
    fn add(&mut self, client: &Client) {
        self.total.add(client);
        self.mounts
            .entry(client.mount.clone())
            .or_default()
            .add(client);
    }
}

/// The clients of one month.
#[derive(Debug)]
pub(crate) struct MonthReport {
    pub(crate) month: Month,
    pub(crate) all: Tally,
    /// Those that no earlier month of the report had.
    pub(crate) new: Tally,
}

/// The clients of some months.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Each client once.
    pub(crate) all: Tally,
    pub(crate) months: Vec<MonthReport>,
}

/// Counts the clients of a vault.
#[derive(Debug)]
pub(crate) struct Activity {
    storage: Arc<dyn Storage>,
    clock: ClockRef,
    is_enabled: AtomicBool,
    /// The number of this month; the janitor sets it.
    month: AtomicU32,
    pending: Mutex<HashMap<(Month, String), Client>>,
}

impl Activity {
    pub(crate) fn new(core: &Core, storage: Arc<dyn Storage>) -> Result<Self, CoreError> {
        let clock = Arc::clone(&core.config.clock);
        Ok(Self {
            month: AtomicU32::new(Month::of(clock.now())?.0),
            clock,
            storage,
            is_enabled: AtomicBool::new(false),
            pending: Mutex::default(),
        })
    }

    /// Reads the settings.
    pub(crate) async fn reload(&self) -> Result<(), CoreError> {
        let settings = self.settings().await?;
        self.is_enabled.store(settings.enabled, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) async fn settings(&self) -> Result<Settings, Fault> {
        match self.storage.get(&Key::try_from(SETTINGS)?).await? {
            Some(entry) => serde_json::from_slice(&entry.value)
                .map_err(|error| unreadable("settings of client counts", &error)),
            None => Ok(Settings::default()),
        }
    }

    /// What must be committed to have these settings.
    pub(crate) fn prepare_settings(settings: &Settings) -> Result<Batch, Fault> {
        Ok(Batch::new().put(Key::try_from(SETTINGS)?, to_json(settings)?))
    }

    /// Notes that a token was used.
    pub(crate) fn seen(&self, active: &Active, token: &Token) {
        let month = self.month.load(Ordering::Relaxed);
        if token.counted.load(Ordering::Relaxed) == month
            || !self.is_enabled.load(Ordering::Relaxed)
        {
            return;
        }
        token.counted.store(month, Ordering::Relaxed);
        let Some(id) = client_id(token) else { return };
        let mount = active.mounts.find(&token.record.path);
        let client = Client {
            entity: !token.record.entity_id.is_empty(),
            mount: mount.map_or_else(String::new, |(mount, _)| mount.record.uuid.clone()),
            since: self.clock.now().unix_seconds(),
        };
        let mut pending = self.pending.lock();
        if pending.len() < PENDING_MAX {
            pending.entry((Month(month), id)).or_insert(client);
        } else {
            token.counted.store(0, Ordering::Relaxed);
        }
    }

    /// What the janitor does in its round of this number.
    ///
    /// **Errors**: [`CoreError`] where the storage refuses; what was not written waits.
    pub(crate) async fn round(&self, active: &Active, round: u64) -> Result<(), CoreError> {
        let month = Month::of(self.clock.now())?;
        let before = self.month.swap(month.0, Ordering::Relaxed);
        if before != month.0 || round == 0 {
            self.prune(active, month).await?;
        }
        if round.is_multiple_of(WRITE_ROUNDS) {
            self.write(active).await?;
        }
        Ok(())
    }

    /// Writes the clients that were seen.
    ///
    /// **Errors**: as [`Self::round`].
    pub(crate) async fn write(&self, active: &Active) -> Result<(), CoreError> {
        loop {
            let taken: Vec<_> = {
                let mut pending = self.pending.lock();
                let keys: Vec<_> = pending.keys().take(BATCH).cloned().collect();
                let taken = keys
                    .into_iter()
                    .filter_map(|key| pending.remove_entry(&key));
                taken.collect()
            };
            if taken.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.write_some(active, &taken).await {
                self.pending.lock().extend(taken);
                return Err(error);
            }
        }
    }

    async fn write_some(
        &self,
        active: &Active,
        clients: &[((Month, String), Client)],
    ) -> Result<(), CoreError> {
        let mut batch = Batch::new();
        for ((month, id), client) in clients {
            let key = Key::try_from(format!("{}{id}", month.folder()))?;
            if self.storage.get(&key).await?.is_none() {
                batch = batch.put_if(key, Precondition::Absent, to_json(client)?);
            }
        }
        if !batch.is_empty() {
            active.commit(batch).await?;
        }
        Ok(())
    }

    /// Removes what is older than it is to be kept.
    async fn prune(&self, active: &Active, now: Month) -> Result<(), CoreError> {
        let oldest = now.earlier(self.settings().await?.retention_months);
        for back in 1..=PRUNED_MONTHS {
            let prefix = Key::try_from(oldest.earlier(back).folder())?;
            let mut pages = Pages::new(&*self.storage, prefix, PageOf::Keys, LIST_PAGE);
            while let Some(rows) = pages.next().await? {
                let gone = rows.into_iter().map(|row| row.key);
                active
                    .commit(gone.fold(Batch::new(), Batch::delete))
                    .await?;
            }
        }
        Ok(())
    }

    /// Counts the clients of these months.
    ///
    /// **Errors**: [`Fault::Invalid`] where there are too many.
    pub(crate) async fn report(
        &self,
        active: &Active,
        first: Month,
        last: Month,
    ) -> Result<Report, Fault> {
        self.write(active).await?;
        let (mut report, mut known) = (Report::default(), HashSet::new());
        let (mut month, mut read) = (first, 0_usize);
        while month <= last {
            let (mut all, mut new) = (Tally::default(), Tally::default());
            let prefix = Key::try_from(month.folder())?;
            let mut pages = Pages::new(&*self.storage, prefix.clone(), PageOf::Entries, LIST_PAGE);
            while let Some(rows) = pages.next().await? {
                read += rows.len();
                for row in rows {
                    let Some(entry) = &row.entry else { continue };
                    let client: Client = serde_json::from_slice(&entry.value)
                        .map_err(|error| unreadable("client", &error))?;
                    all.add(&client);
                    if known.insert(sha256(row.key.name_behind(&prefix).as_bytes())) {
                        new.add(&client);
                        report.all.add(&client);
                    }
                }
                if read > REPORTED_MAX {
                    return Err(Fault::invalid(format!(
                        "more than {REPORTED_MAX} clients were seen in these months: ask for fewer"
                    )));
                }
            }
            report.months.push(MonthReport { month, all, new });
            month = month.next();
        }
        Ok(report)
    }
}

/// Whom a token counts as; `None` for nobody.
fn client_id(token: &Token) -> Option<String> {
    let record = &token.record;
    if !record.entity_id.is_empty() {
        return Some(record.entity_id.clone());
    }
    if record.is_root() || record.policies.iter().any(|policy| policy == WRAPPING) {
        return None;
    }
    Some(hex::encode(sha256(record.policies.join("\n").as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        let of = |text: &str| Month::of(Timestamp::parse_rfc3339(text).unwrap()).unwrap();
        let december = of("2026-12-31T23:59:59.999Z");
        assert_eq!(december.to_string(), "2026-12");
        assert_eq!(december.next(), of("2027-01-01T00:00:00Z"));
        assert_eq!(december.next().to_string(), "2027-01");
        assert_eq!(december.earlier(12).to_string(), "2025-12");
        assert_eq!(
            december.start().unwrap().to_rfc3339(),
            "2026-12-01T00:00:00Z"
        );
    }
}
