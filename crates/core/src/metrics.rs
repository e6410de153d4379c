//! [`Metrics`]: what is counted and measured of a vault.
//!
//! Cells of a fixed table, made when they are first needed: recording is two steps into arrays and
//! three atomic additions, and no label grows with paths or callers. A crate for metrics would make a
//! key of the labels and look it up on each request. `report` writes what is there, as Prometheus and
//! as Vault have it.

mod histogram;
mod leases;
mod process;
mod report;

pub use report::Report;

pub(crate) use leases::run as count_leases;

use crate::Core;
use crate::mounts::Mount;
use histogram::Histogram;
use leases::LeaseCounts;
use report::{Family, Kind, Sample};
use secretum_engine::{Fault, Operation};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Kinds of mounts that no engine of the one list has.
const SYSTEM_KINDS: [&str; 4] = ["cubbyhole", "identity", "system", "token"];

/// What stands for a kind that is none.
const NO_KIND: &str = "none";

const OPERATIONS: [Operation; 8] = [
    Operation::Create,
    Operation::Read,
    Operation::Update,
    Operation::Patch,
    Operation::Delete,
    Operation::List,
    Operation::Scan,
    Operation::Help,
];

/// Status codes that answers have; another one counts as the first.
const STATUSES: [u16; 20] = [
    0, 200, 202, 204, 400, 403, 404, 405, 408, 413, 415, 429, 472, 473, 500, 501, 502, 503, 504,
    507,
];

/// What is counted and measured of a vault.
#[derive(Debug)]
pub struct Metrics {
    /// Kinds of mounts, sorted; the last cells of a table are those of none.
    kinds: Vec<&'static str>,
    /// By operation, kind and status.
    requests: Vec<OnceLock<Box<Histogram>>>,
    /// By kind.
    auth_failures: Vec<AtomicU64>,
    commits: Histogram,
    leases: LeaseCounts,
}

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    operation: usize,
    kind: usize,
}

impl Metrics {
    /// For mounts of these kinds.
    pub(crate) fn new(kinds: impl Iterator<Item = &'static str>) -> Self {
        let mut kinds: Vec<_> = kinds.chain(SYSTEM_KINDS).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let cells = (kinds.len() + 1) * OPERATIONS.len() * STATUSES.len();
        Self {
            requests: (0..cells).map(|_| OnceLock::new()).collect(),
            auth_failures: (0..=kinds.len()).map(|_| AtomicU64::new(0)).collect(),
            commits: Histogram::default(),
            leases: LeaseCounts::default(),
            kinds,
        }
    }

    /// What a request of this operation counts as, on a mount or on none.
    pub(crate) fn measured(&self, operation: Operation, mount: Option<&Mount>) -> Measured {
        let kind = mount.map(|mount| &*mount.record.kind);
        Measured {
            operation: OPERATIONS
                .iter()
                .position(|own| *own == operation)
                .unwrap_or_default(),
            kind: self.kind(kind),
        }
    }

    fn kind(&self, kind: Option<&str>) -> usize {
        let none = self.kinds.len();
        let found = kind.and_then(|kind| self.kinds.binary_search(&kind).ok());
        found.unwrap_or(none)
    }

    /// A request was answered with a status after so long.
    pub fn answered(&self, measured: Measured, status: u16, took: Duration) {
        let status = STATUSES.iter().position(|own| *own == status);
        let row = measured.kind * OPERATIONS.len() + measured.operation;
        let cell = row * STATUSES.len() + status.unwrap_or_default();
        if let Some(cell) = self.requests.get(cell) {
            cell.get_or_init(Box::default).observe(took);
        }
    }

    /// A login, or a token, was refused.
    pub(crate) fn auth_failed(&self, method: &str) {
        if let Some(count) = self.auth_failures.get(self.kind(Some(method))) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A batch was committed after so long.
    pub(crate) fn committed(&self, took: Duration) {
        self.commits.observe(took);
    }

    /// The operation and the type of the mount that a request counts as.
    pub fn words(&self, measured: Measured) -> (&'static str, &'static str) {
        let operation = OPERATIONS.get(measured.operation);
        let operation = operation.map_or(NO_KIND, |operation| operation.as_str());
        (operation, self.kind_name(measured.kind))
    }

    fn kind_name(&self, index: usize) -> &'static str {
        self.kinds.get(index).copied().unwrap_or(NO_KIND)
    }

    fn requests(&self) -> Family {
        let mut family = Family::new(
            "secretum_vault_request_duration_seconds",
            "How long requests took, by operation, type of the mount and status.",
            Kind::Histogram,
        );
        let rows = self.requests.chunks(STATUSES.len()).enumerate();
        for (row, cells) in rows {
            let operation = OPERATIONS.get(row % OPERATIONS.len());
            let operation = operation.map_or(NO_KIND, |operation| operation.as_str());
            let kind = self.kind_name(row / OPERATIONS.len());
            for (cell, status) in cells.iter().zip(STATUSES) {
                if let Some(histogram) = cell.get() {
                    family.samples.push(Sample::histogram(histogram).with(&[
                        ("operation", operation.to_owned()),
                        ("mount_type", kind.to_owned()),
                        ("status", status.to_string()),
                    ]));
                }
            }
        }
        family
    }

    fn auth_failures(&self) -> Family {
        let mut family = Family::new(
            "secretum_vault_auth_failures_total",
            "Logins and tokens that were refused, by method.",
            Kind::Counter,
        );
        for (index, count) in self.auth_failures.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            let name = self.kind_name(index);
            if count > 0 || name == "token" {
                let sample = Sample::whole(count);
                family
                    .samples
                    .push(sample.with(&[("method", name.to_owned())]));
            }
        }
        family
    }
}

/// Whether a fault refuses somebody who wanted to log in.
pub(crate) fn is_refusal(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Denied | Fault::DeniedBecause(_) | Fault::BadToken | Fault::Invalid(_)
    )
}

impl Core {
    /// What is counted and measured.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// All metrics, in a form: `prometheus`, or Vault's own JSON where it is empty.
    ///
    /// **Errors**: [`Fault::Invalid`] for another form.
    pub fn report(&self, form: &str) -> Result<Report, Fault> {
        let families = self.families();
        match form {
            "" | "json" => Report::json(&families, self.config.clock.now()),
            "prometheus" => Ok(Report::text(&families)),
            _ => Err(Fault::invalid("`format` must be `prometheus` or empty")),
        }
    }

    fn families(&self) -> Vec<Family> {
        let metrics = &self.metrics;
        let active = self.active();
        let gauge = |name, help, value: f64| {
            let mut family = Family::new(name, help, Kind::Gauge);
            family.samples.push(Sample::number(value));
            family
        };
        let sealed = if active.is_some() { 0.0 } else { 1.0 };
        let mut commits = Family::new(
            "secretum_vault_storage_commit_duration_seconds",
            "How long the storage took to commit a batch.",
            Kind::Histogram,
        );
        commits.samples.push(Sample::histogram(&metrics.commits));
        #[expect(clippy::cast_precision_loss, reason = "no such number of requests")]
        let in_flight = self.in_flight.len() as f64;
        let mut families = vec![
            metrics.requests(),
            metrics.auth_failures(),
            commits,
            gauge(
                "secretum_vault_in_flight_requests",
                "Requests under way.",
                in_flight,
            ),
            gauge(
                "secretum_vault_seal_state",
                "1 while the vault is sealed or not initialized, 0 while it serves.",
                sealed,
            ),
            leader_changes(self),
        ];
        if let Some(active) = &active {
            families.extend(metrics.leases.families());
            families.push(audit_failures(active));
        }
        families.extend(process::families());
        families
    }
}

fn leader_changes(core: &Core) -> Family {
    // No counter by its type: that would have to end in `_total`.
    let mut family = Family::new(
        "secretum_vault_raft_leader_changes",
        "How often this node began or ceased to lead since it started.",
        Kind::Gauge,
    );
    let changes = core.config.storage.leadership().borrow().changes;
    family.samples.push(Sample::whole(changes));
    family
}

fn audit_failures(active: &crate::active::Active) -> Family {
    let mut family = Family::new(
        "secretum_vault_audit_failures_total",
        "Audit records that a device did not take, by device.",
        Kind::Counter,
    );
    for device in active.audits.broker.devices().iter() {
        let sample = Sample::whole(device.failures());
        let device = device.path().to_owned();
        family.samples.push(sample.with(&[("device", device)]));
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_own_labels() {
        let metrics = Metrics::new(["kv", "pki"].into_iter());
        let kv = metrics.kind(Some("kv"));
        for operation in 0..OPERATIONS.len() {
            let measured = Measured {
                operation,
                kind: kv,
            };
            metrics.answered(measured, 200, Duration::from_millis(3));
        }
        let none = Measured {
            operation: 1,
            kind: metrics.kind(Some("unheard of")),
        };
        metrics.answered(none, 418, Duration::ZERO);
        let text = Report::text(&[metrics.requests()]).to_string();
        for operation in OPERATIONS {
            let line = format!(
                "secretum_vault_request_duration_seconds_count{{operation=\"{}\",mount_type=\"kv\",status=\"200\"}} 1",
                operation.as_str()
            );
            assert_eq!(text.matches(&line).count(), 1, "{line}\n{text}");
        }
        assert!(text.contains("{operation=\"read\",mount_type=\"none\",status=\"0\"} 1"));
    }

    #[test]
    fn refusals_are_counted_by_method() {
        let metrics = Metrics::new(["userpass"].into_iter());
        metrics.auth_failed("userpass");
        metrics.auth_failed("userpass");
        let text = Report::text(&[metrics.auth_failures()]).to_string();
        assert!(text.contains("_total{method=\"userpass\"} 2\n"), "{text}");
        assert!(text.contains("_total{method=\"token\"} 0\n"), "{text}");
    }
}
