//! What an audit record shows of a body.

use secretum_audit::conceal as conceal_json;
use secretum_audit::verify::{Layout, Verifier, first};
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

/// Whatever a log holds, its lines are counted and no record is made up: each is a line, and what is no
/// record or head is a finding or part of a torn line.
pub(crate) fn verify(data: &[u8]) {
    let prefix = "p: ".to_owned();
    for layout in [Layout::AsWritten, Layout::Relayed { prefix }] {
        verify_as(data, &layout);
    }
}

fn verify_as(data: &[u8], layout: &Layout) {
    let mut verifier = Verifier::new(vec![vec![0; 32]]).with_layout(layout.clone());
    let mut seen = 0;
    let read = verifier.read("log", data, |bytes| seen += bytes);
    assert!(read.is_ok());
    assert_eq!(seen, data.len() as u64);
    let report = verifier.finish();
    assert_eq!(report.bytes, data.len() as u64);
    let lines = data.split_inclusive(|byte| *byte == b'\n').count() as u64;
    assert!(report.records + report.heads + report.torn + report.others <= lines);
    assert_eq!(
        report.first_sequence.is_some(),
        report.records + report.heads > 0
    );
    // Nobody has this key.
    assert!(report.heads <= report.findings);
    let first = first(data, layout).map(|first| first.map(|first| first.sequence));
    assert_eq!(first.ok(), Some(report.first_sequence));
}
