//! [`InFlight`]: the requests under way, for operators who ask what a node is busy with.

use crate::Request;
use parking_lot::Mutex;
use secretum_crypto::Timestamp;
use secretum_engine::Verb;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Requests of different places do not wait for each other.
const PLACES: usize = 16;

/// A request under way.
#[derive(Debug, Clone)]
pub(crate) struct UnderWay {
    pub(crate) id: String,
    pub(crate) verb: Verb,
    pub(crate) path: Box<str>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) since: Timestamp,
}

/// The requests under way.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    places: [Mutex<HashMap<u64, UnderWay>>; PLACES],
    next: AtomicU64,
}

/// A request's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Listed<'f> {
    place: &'f Mutex<HashMap<u64, UnderWay>>,
    number: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.place.lock().remove(&self.number);
    }
}

impl InFlight {
    /// Lists a request until what comes back is dropped.
    pub(crate) fn list(&self, request: &Request, now: Timestamp) -> Option<Listed<'_>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(number % PLACES as u64).ok()?;
        let place = self.places.get(place)?;
        let under_way = UnderWay {
            id: request.id.clone(),
            verb: request.verb,
            path: Box::from(request.path.as_str()),
            address: request.remote_address,
            since: now,
        };
        place.lock().insert(number, under_way);
        Some(Listed { place, number })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.iter().map(|place| place.lock().len()).sum()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<UnderWay> {
        let places = self.places.iter();
        places
            .flat_map(|place| place.lock().values().cloned().collect::<Vec<_>>())
            .collect()
    }
}
