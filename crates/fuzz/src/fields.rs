//! Field types of the API: durations, moments, counts, lists, pairs.

use secretum_api::fields::{CommaList, Count, KeyValues, Seconds, go_duration, short_duration};
use secretum_crypto::Timestamp;
use secretum_policy::Policy;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// What is read of a field reads the same in the form in which it is printed.
pub(crate) fn run(data: &[u8]) {
    json::<Seconds>(data);
    json::<Count>(data);
    json::<CommaList>(data);
    json::<KeyValues>(data);
    json::<Timestamp>(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(seconds) = Seconds::parse(text) {
        let duration = seconds.duration();
        for printed in [go_duration(duration), short_duration(duration)] {
            assert_eq!(Seconds::parse(&printed), Ok(seconds), "{printed}");
        }
        check_policy(text, seconds);
    }
    if let Ok(moment) = Timestamp::parse_rfc3339(text) {
        let printed = moment.to_rfc3339();
        assert!(printed.ends_with('Z'));
        assert_eq!(Timestamp::parse_rfc3339(&printed).ok(), Some(moment));
        let nanos = moment.unix_nanos();
        assert_eq!(Timestamp::from_unix_nanos(nanos).unix_nanos(), nanos);
    }
}

fn json<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(data: &[u8]) {
    if let Ok(field) = serde_json::from_slice::<T>(data) {
        let printed = serde_json::to_vec(&field).unwrap_or_default();
        let again: Option<T> = serde_json::from_slice(&printed).ok();
        assert_eq!(again, Some(field));
    }
}

/// A policy takes the same text for the same time, or refuses it.
fn check_policy(text: &str, seconds: Seconds) {
    let quoted = serde_json::Value::from(text);
    let policy = format!("{{\"path\":{{\"a\":{{\"min_wrapping_ttl\":{quoted}}}}}}}");
    let Ok(policy) = Policy::parse("p", &policy) else {
        return;
    };
    let ttl = policy.rules().iter().find_map(|rule| rule.min_wrapping_ttl);
    // Parts of a second may be rounded either way; and a wire duration ends where Go's does.
    let ttl = ttl.unwrap_or_default().as_secs();
    assert!(
        ttl.abs_diff(seconds.0) <= 1 || ttl > seconds.0 && seconds == longest(),
        "{text:?} is {ttl} s to a policy and {} s on the wire",
        seconds.0
    );
}

fn longest() -> Seconds {
    let text = go_duration(Duration::from_secs(u64::from(u32::MAX) * 10));
    Seconds::parse(&text).unwrap_or_default()
}
