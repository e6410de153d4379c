//! How often it changed whether this node leads.

use super::report::{Family, Kind, Sample};
use crate::Core;
use secretum_storage::{Leadership, LeadershipWatch};
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often it changed whether this node leads, since it started.
#[derive(Debug, Default)]
pub(super) struct LeaderChanges(AtomicU64);

impl LeaderChanges {
    pub(super) fn family(&self) -> Family {
        // No counter by its type: that would have to end in `_total`.
        let mut family = Family::new(
            "secretum_vault_raft_leader_changes",
            "How often this node began or ceased to lead since it started.",
            Kind::Gauge,
        );
        let changes = self.0.load(Ordering::Relaxed);
        family.samples.push(Sample::whole(changes));
        family
    }

    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts for as long as the core lives. To lead from the start is the first change.
pub(crate) async fn run(core: Weak<Core>, mut watch: LeadershipWatch) {
    let mut known = Leadership::Follower;
    loop {
        let now = *watch.borrow_and_update();
        if now != known {
            known = now;
            let Some(core) = core.upgrade() else { return };
            core.metrics.leader_changes.count();
        }
        if watch.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_counted() {
        let changes = LeaderChanges::default();
        let text = |changes: &LeaderChanges| {
            let families = [changes.family()];
            super::super::Report::text(&families).to_string()
        };
        assert!(text(&changes).contains("secretum_vault_raft_leader_changes 0\n"));
        changes.count();
        assert!(text(&changes).contains("secretum_vault_raft_leader_changes 1\n"));
    }
}
