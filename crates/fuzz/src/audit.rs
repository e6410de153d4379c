//! What an audit record shows of a body.

use secretum_audit::conceal as conceal_json;
use secretum_crypto::HmacKey;
use serde_json::Value;
use serde_json::value::RawValue;

const CLEAR: &str = "clear";

/// What is concealed is JSON of the same form, in which every text is its HMAC, but for those
/// directly below a key that is to stay clear.
pub(crate) fn conceal(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let key = HmacKey::new(b"key");
    let mut shown = Vec::new();
    conceal_json(text, &key, &[CLEAR.to_owned()], &mut shown);
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return;
    }
    let Ok(seen) = serde_json::from_slice::<&RawValue>(&shown) else {
        unreachable!("`{}` is no JSON", String::from_utf8_lossy(&shown));
    };
    // Where a value holds what no text can, such as half a surrogate pair, its form cannot be told.
    let (Ok(seen), Ok(value)) = (
        serde_json::from_str::<Value>(seen.get()),
        serde_json::from_str::<Value>(text),
    ) else {
        return;
    };
    match (&seen, &value) {
        (Value::Object(seen), Value::Object(value)) => {
            assert!(seen.keys().eq(value.keys()));
            for (name, value) in value {
                if let Some(seen) = seen.get(name) {
                    check(seen, value, &key, name == CLEAR);
                }
            }
        }
        _ => check(&seen, &value, &key, false),
    }
}

fn check(seen: &Value, value: &Value, key: &HmacKey, clear: bool) {
    match (seen, value) {
        (Value::String(seen), Value::String(text)) if !clear => {
            let hmac = format!("hmac-sha256:{}", key.sign_hex(text.as_bytes()));
            assert_eq!(*seen, hmac);
        }
        (Value::Array(seen), Value::Array(values)) => {
            assert_eq!(seen.len(), values.len());
            for (seen, value) in seen.iter().zip(values) {
                check(seen, value, key, clear);
            }
        }
        (Value::Object(seen), Value::Object(values)) => {
            assert!(seen.keys().eq(values.keys()));
            for (seen, value) in seen.values().zip(values.values()) {
                check(seen, value, key, clear);
            }
        }
        (seen, value) => assert_eq!(seen, value),
    }
}
