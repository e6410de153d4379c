//! [`LeaseCount`]: how many leases there may be.
//!
//! What is counted is a set of hashes of the places of leases, 8 bytes each: a put does not tell whether
//! the lease is new. It is filled once behind the requests; until then none is let in.

use crate::leases::Place;
use parking_lot::Mutex;
use secretum_engine::Fault;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// A limit, and the leases that count.
#[derive(Debug)]
pub(super) struct LeaseCount {
    most: u64,
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Requests that were given room and have not got their lease yet.
    reserved: u64,
}

#[derive(Debug)]
enum Phase {
    /// Nobody counts yet.
    New,
    /// They are being counted: what changed meanwhile, and whether it is there.
    Counting(HashMap<u64, bool>),
    Counted(HashSet<u64>),
}

/// Room for one more lease, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room(Arc<LeaseCount>);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.state.lock().reserved -= 1;
    }
}

impl LeaseCount {
    pub(super) fn new(most: u64) -> Self {
        Self {
            most,
            hasher: RandomState::new(),
            state: Mutex::new(State {
                phase: Phase::New,
                reserved: 0,
            }),
        }
    }

    /// How many there are, once they are counted.
    pub(super) fn count(&self) -> Option<u64> {
        match &self.state.lock().phase {
            Phase::Counted(leases) => Some(leases.len() as u64),
            Phase::New | Phase::Counting(_) => None,
        }
    }

    /// Whether it was not begun to count them; from here on it is.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        let is_new = matches!(state.phase, Phase::New);
        if is_new {
            state.phase = Phase::Counting(HashMap::new());
        }
        is_new
    }

    /// What stands for a lease.
    pub(super) fn hash(&self, place: &Place) -> u64 {
        self.hasher.hash_one((&place.mount, &place.path))
    }

    /// It was counted what is there; what changed meanwhile is known better.
    pub(super) fn finish(&self, mut leases: HashSet<u64>) {
        let mut state = self.state.lock();
        if let Phase::Counting(changed) = &state.phase {
            for (place, is_there) in changed {
                if *is_there {
                    leases.insert(*place);
                } else {
                    leases.remove(place);
                }
            }
            state.phase = Phase::Counted(leases);
        }
    }

    /// They could not be counted.
    pub(super) fn give_up(&self) {
        self.state.lock().phase = Phase::New;
    }

    /// A lease came or went.
    pub(super) fn changed(&self, place: &Place, is_there: bool) {
        let place = self.hash(place);
        match &mut self.state.lock().phase {
            Phase::New => {}
            Phase::Counting(changed) => {
                changed.insert(place, is_there);
            }
            Phase::Counted(leases) if is_there => {
                leases.insert(place);
            }
            Phase::Counted(leases) => {
                leases.remove(&place);
            }
        }
    }

    /// Room for one more.
    pub(super) fn room(self: Arc<Self>) -> Result<Room, Fault> {
        let mut state = self.state.lock();
        let Phase::Counted(leases) = &state.phase else {
            return Err(Fault::Unavailable(
                "leases are being counted, for a quota: try again".into(),
            ));
        };
        if leases.len() as u64 + state.reserved >= self.most {
            return Err(Fault::TooManyLeases);
        }
        state.reserved += 1;
        drop(state);
        Ok(Room(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_while_it_is_counted_is_counted_right() {
        let count = Arc::new(LeaseCount::new(3));
        assert!(matches!(
            Arc::clone(&count).room(),
            Err(Fault::Unavailable(_))
        ));
        assert!(count.begin() && !count.begin());
        let place = |path: &str| Place {
            mount: "m".to_owned(),
            path: path.to_owned(),
        };
        count.changed(&place("came"), true);
        count.changed(&place("went"), false);
        let seen = ["went", "stays"].map(|path| count.hash(&place(path)));
        count.finish(seen.into_iter().collect());
        assert_eq!(count.count(), Some(2));
        let room = Arc::clone(&count).room().unwrap();
        assert!(matches!(
            Arc::clone(&count).room(),
            Err(Fault::TooManyLeases)
        ));
        drop(room);
        count.changed(&place("third"), true);
        count.changed(&place("third"), true);
        assert!(matches!(
            Arc::clone(&count).room(),
            Err(Fault::TooManyLeases)
        ));
        count.changed(&place("third"), false);
        drop(Arc::clone(&count).room().unwrap());
    }
}
