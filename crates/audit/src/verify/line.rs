//! [`Line`]: a line of a log, taken apart where its writer put it together.

use crate::chain::RECORD_BEGIN;
use crate::head::Head;
use secretum_crypto::Sha256;

const TYPE_HEAD: &[u8] = b"\",\"type\":\"head\",";

const SEQUENCE: &[u8] = b",\"sequence\":";

const CHAIN: &[u8] = b",\"chain\":\"";

const END: &[u8] = b"\"}\n";

/// Digits of a chain in hex.
const CHAIN_DIGITS: usize = 64;

/// The longest prefix of a device that is looked for, in bytes.
const PREFIX_BYTES_MAX: usize = 4_096;

/// How the lines of a log stand in its files.
#[derive(Debug, Clone, Default)]
pub enum Layout {
    /// As its device wrote them.
    #[default]
    AsWritten,
    /// Each behind what others put before it, among lines of others: as a syslog daemon, a journal or the
    /// runtime of a container keeps them.
    Relayed {
        /// What the device itself puts before each record.
        prefix: String,
    },
}

impl Layout {
    /// What a device wrote of a line, and how long its prefix is, which each of its lines begins with;
    /// `None` where a line is of others.
    pub(super) fn written<'t>(
        &self,
        text: &'t [u8],
        known: Option<usize>,
    ) -> Option<(&'t [u8], usize)> {
        match self {
            Self::AsWritten => {
                let prefix = known.or_else(|| timestamp_at(text));
                Some((text, prefix.unwrap_or_default()))
            }
            Self::Relayed { prefix } => {
                let at = timestamp_at(text)?.checked_sub(prefix.len())?;
                let text = text.get(at..)?;
                text.starts_with(prefix.as_bytes())
                    .then_some((text, prefix.len()))
            }
        }
    }
}

/// A whole line.
pub(super) struct Line<'t> {
    /// What is hashed of it.
    body: &'t [u8],
    pub(super) sequence: u64,
    pub(super) chain: [u8; 32],
    pub(super) head: Option<Head>,
    /// When it was made, RFC 3339.
    pub(super) timestamp: &'t str,
}

/// Where the record of a line begins: behind the prefix of its device.
fn timestamp_at(text: &[u8]) -> Option<usize> {
    let begin = text.get(..text.len().min(PREFIX_BYTES_MAX + RECORD_BEGIN.len()))?;
    memchr::memmem::find(begin, RECORD_BEGIN)
}

/// Whether a text can be what a write that was cut off left of a line.
pub(super) fn is_torn(text: &[u8], prefix: usize) -> bool {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let record = text.get(prefix..).unwrap_or_default();
    let begins = record.starts_with(RECORD_BEGIN) || RECORD_BEGIN.starts_with(record);
    begins && !record.ends_with(b"}")
}

impl<'t> Line<'t> {
    /// Takes a line apart; `None` where it is no whole line of a log.
    pub(super) fn of(text: &'t [u8], prefix: usize) -> Option<Self> {
        let record = text.get(prefix..)?;
        let behind = record.strip_prefix(RECORD_BEGIN)?;
        let rest = text.strip_suffix(END)?;
        let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(CHAIN_DIGITS)?)?;
        let mut chain = [0; 32];
        hex::decode_to_slice(digits, &mut chain).ok()?;
        let body = rest.strip_suffix(CHAIN)?;
        let number = body
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (before, number) = body.split_at_checked(body.len() - number)?;
        before.strip_suffix(SEQUENCE)?;
        let sequence = std::str::from_utf8(number).ok()?.parse().ok()?;
        let quote = memchr::memchr(b'"', behind)?;
        let is_head = behind.get(quote..)?.starts_with(TYPE_HEAD);
        let head = match is_head {
            true => Some(serde_json::from_slice(record).ok()?),
            false => None,
        };
        Some(Self {
            body,
            sequence,
            chain,
            head,
            timestamp: std::str::from_utf8(behind.get(..quote)?).ok()?,
        })
    }

    /// The chain behind this line, where this one is before it.
    pub(super) fn chain_behind(&self, before: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(before);
        hash.update(self.body);
        hash.finish()
    }
}
