//! [`conceal`]: JSON text with its strings replaced by HMACs.

use memchr::memchr2;
use secretum_crypto::HmacKey;
use std::borrow::Cow;

/// Copies JSON text, each string that is a value replaced by `hmac-sha256:<hex>` of what it means.
///
/// Keys, numbers, booleans and nulls stay, as do the strings directly below a top-level key that
/// `clear` names. One pass without recursion: depth costs nothing.
///
/// **Shape**: `json` is valid JSON, as a parser accepted it; anything else is copied as far as it
/// goes.
pub fn conceal(json: &str, key: &HmacKey, clear: &[String], out: &mut Vec<u8>) {
    let bytes = json.as_bytes();
    let (mut at, mut depth, mut clear_value) = (0, 0_usize, false);
    while let Some(byte) = bytes.get(at) {
        if *byte != b'"' {
            match byte {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' if depth == 1 => clear_value = false,
                _ => {}
            }
            out.push(*byte);
            at += 1;
            continue;
        }
        let end = string_end(bytes, at);
        let string = json.get(at..end).unwrap_or_default();
        let is_key = bytes.iter().skip(end).find(|b| !b.is_ascii_whitespace()) == Some(&b':');
        if is_key {
            if depth == 1 && !clear.is_empty() {
                let name = unquote(string);
                clear_value = clear.iter().any(|clear| *clear == name);
            }
            out.extend_from_slice(string.as_bytes());
        } else if clear_value {
            out.extend_from_slice(string.as_bytes());
        } else {
            out.push(b'"');
            conceal_text(&unquote(string), key, out);
            out.push(b'"');
        }
        at = end;
    }
}

/// Writes `hmac-sha256:<hex>` of a text.
pub(crate) fn conceal_text(text: &str, key: &HmacKey, out: &mut Vec<u8>) {
    out.extend_from_slice(b"hmac-sha256:");
    push_hex(&key.sign(text.as_bytes()), out);
}

/// Writes the bytes of a tag, hash or signature in lower-case hex.
pub(crate) fn push_hex<const BYTES: usize>(bytes: &[u8; BYTES], out: &mut Vec<u8>) {
    let mut digits = [[0; 2]; BYTES];
    let digits = digits.as_flattened_mut();
    // Its only error is a length that does not fit.
    if hex::encode_to_slice(bytes, digits).is_ok() {
        out.extend_from_slice(digits);
    }
}

/// The index behind the closing quote of the string that opens at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(rest) = bytes.get(at..) {
        match memchr2(b'"', b'\\', rest) {
            Some(found) if rest.get(found) == Some(&b'"') => return at + found + 1,
            Some(found) => at += found + 2,
            None => break,
        }
    }
    bytes.len()
}

/// What a JSON string means.
fn unquote(string: &str) -> Cow<'_, str> {
    let inner = string
        .strip_prefix('"')
        .and_then(|s| s.strip_suffix('"'))
        .unwrap_or(string);
    if inner.contains('\\') {
        // A lone surrogate has no meaning as text; its spelling is concealed instead.
        serde_json::from_str(string).map_or(Cow::Borrowed(inner), Cow::Owned)
    } else {
        Cow::Borrowed(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn concealed(json: &str, clear: &[&str]) -> Value {
        let clear: Vec<String> = clear.iter().map(|name| (*name).to_owned()).collect();
        let mut out = Vec::new();
        conceal(json, &HmacKey::new(b"key"), &clear, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    fn hmac(text: &str) -> String {
        format!(
            "hmac-sha256:{}",
            HmacKey::new(b"key").sign_hex(text.as_bytes())
        )
    }

    #[test]
    fn values_are_concealed_and_the_rest_stays() {
        let shown = concealed(
            r#"{"a":"one","b" : {"c":["two\n",3,true,null]},"é":"\u00e9","d":{"c":"clear?"}}"#,
            &[],
        );
        assert_eq!(shown["a"], hmac("one"));
        assert_eq!(
            shown["b"]["c"],
            serde_json::json!([hmac("two\n"), 3, true, null])
        );
        assert_eq!(shown["é"], hmac("é"));
    }

    #[test]
    fn only_named_top_level_keys_stay_clear() {
        let shown = concealed(r#"{"a":["x",{"b":"y"}],"b":"z","c":{"a":"w"}}"#, &["a"]);
        assert_eq!(shown["a"], serde_json::json!(["x", {"b": "y"}]));
        assert_eq!(shown["b"], hmac("z"));
        assert_eq!(shown["c"]["a"], hmac("w"));
    }

    #[test]
    fn odd_text_neither_panics_nor_shows() {
        for json in [
            r#"{"a":"\ud800secret"}"#,
            "\"",
            "\"\\",
            "{\"a\":\"x",
            "[\"a\",\"\\u0000\"]",
        ] {
            let mut out = Vec::new();
            conceal(json, &HmacKey::new(b"key"), &[], &mut out);
            assert!(!String::from_utf8_lossy(&out).contains("secret"), "{json}");
        }
    }
}
