//! [`Form`]: how a device tells of what it records.

use crate::conceal::{conceal, conceal_text};
use secretum_crypto::HmacKey;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a device shows, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormOptions {
    /// Nothing is concealed.
    pub(crate) log_raw: bool,
    /// Accessors of tokens are concealed.
    pub(crate) hmac_accessor: bool,
    /// Of a list, only its length is told.
    pub(crate) elide_list_responses: bool,
    /// What each line begins with.
    pub(crate) prefix: String,
}

/// The key of a device and what it shows, and a number that no other device of this process has.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) number: u64,
    pub(crate) key: HmacKey,
    pub(crate) options: FormOptions,
}

impl Form {
    pub(crate) fn new(key: &[u8], options: FormOptions) -> Self {
        static DEVICES: AtomicU64 = AtomicU64::new(0);
        Self {
            number: DEVICES.fetch_add(1, Ordering::Relaxed),
            key: HmacKey::new(key),
            options,
        }
    }

    /// Writes JSON text, its strings concealed but for those below the top-level keys `clear`.
    pub(crate) fn json(&self, json: &str, clear: &[String], out: &mut Vec<u8>) {
        if self.options.log_raw {
            out.extend_from_slice(json.as_bytes());
        } else {
            conceal(json, &self.key, clear, out);
        }
    }

    /// Writes a text as a JSON string, concealed; an empty one stays empty.
    pub(crate) fn text(&self, text: &str, out: &mut Vec<u8>) {
        if self.options.log_raw {
            plain(text, out);
            return;
        }
        out.push(b'"');
        if !text.is_empty() {
            conceal_text(text, &self.key, out);
        }
        out.push(b'"');
    }

    /// Writes an accessor of a token as a JSON string.
    pub(crate) fn accessor(&self, accessor: &str, out: &mut Vec<u8>) {
        if self.options.hmac_accessor {
            self.text(accessor, out);
        } else {
            plain(accessor, out);
        }
    }
}

fn plain(text: &str, out: &mut Vec<u8>) {
    // Text cannot fail to become JSON, and memory cannot fail to be written.
    if serde_json::to_writer(&mut *out, text).is_err() {
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
impl Default for FormOptions {
    fn default() -> Self {
        Self {
            log_raw: false,
            hmac_accessor: true,
            elide_list_responses: false,
            prefix: String::new(),
        }
    }
}
