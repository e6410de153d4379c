//! What a server answers, as the client reads it.

use secretum_client::{Address, Json};
use serde_json::Value;

/// JSON that is read means the same when it is written and read again, and what serde_json can hold
/// means the same to it. An address never shows a password, which none may hold.
pub(crate) fn answer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(address) = text.parse::<Address>() {
        assert!(address.url().password().is_none());
    }
    let read = Json::parse(text);
    let Ok(json) = read else {
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        return;
    };
    let written = json.to_string();
    assert!(Json::parse(&written).is_ok_and(|again| again == json));
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        let again: Result<Value, _> = serde_json::from_str(&written);
        assert_eq!(again.ok(), Some(value));
    }
}
