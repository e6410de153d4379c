//! [`Chain`]: what ties a line to all lines before it.

use crate::conceal::push_hex;
use secretum_crypto::Sha256;
use serde::Deserialize;

/// How every record begins.
pub(crate) const RECORD_BEGIN: &[u8] = b"{\"timestamp\":\"";

/// How much of a line's end holds its sequence and chain, in bytes.
pub(crate) const SEAL_BYTES: u64 = 160;

/// The hash over all lines so far, and their number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Chain {
    sequence: u64,
    head: [u8; 32],
}

/// How a line ends.
#[derive(Deserialize)]
struct LineEnd {
    sequence: u64,
    chain: String,
}

impl Chain {
    /// The chain behind a whole line, of which this is the end; a new one behind a line that tells of
    /// none.
    pub(crate) fn behind(line: &[u8]) -> Self {
        let text = String::from_utf8_lossy(line);
        let chain = text
            .rsplit_once(",\"sequence\":")
            .and_then(|(_, end)| serde_json::from_str(&format!("{{\"sequence\":{end}")).ok())
            .and_then(|end: LineEnd| {
                let mut head = [0; 32];
                hex::decode_to_slice(end.chain, &mut head).ok()?;
                let sequence = end.sequence.checked_add(1)?;
                Some(Self { sequence, head })
            });
        chain.unwrap_or_default()
    }

    /// The hash over all lines so far, and the number of the next.
    pub(crate) fn end(&self) -> (&[u8; 32], u64) {
        (&self.head, self.sequence)
    }

    /// Ends the line that stands in `text` from `start` on: adds its sequence, and the hash over the
    /// head before and the line up to there.
    pub(crate) fn seal(&mut self, start: usize, text: &mut Vec<u8>) {
        text.extend_from_slice(format!(",\"sequence\":{}", self.sequence).as_bytes());
        let mut hash = Sha256::new();
        hash.update(&self.head);
        hash.update(text.get(start..).unwrap_or_default());
        self.head = hash.finish();
        self.sequence += 1;
        text.extend_from_slice(b",\"chain\":\"");
        push_hex(&self.head, text);
        text.extend_from_slice(b"\"}\n");
    }
}
