//! Heads: lines of a log by which its device signs the chain.
//!
//! The chain shows what was changed by somebody who cannot compute it anew. A head shows what was changed
//! by somebody who can: it names the chain before it and is signed with a key that never leaves the vault.
//! One opens what a device writes at a place, one follows after some records or some time, and one closes
//! it; what stands behind the last one is covered by the next.

use secretum_crypto::ed25519::{self, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey};
use secretum_crypto::{ClockRef, CryptoError, Key256, hkdf_sha256};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// After so many records a head follows, behind the batch that they came in.
pub(crate) const RECORDS_MAX: u64 = 1_000;

/// So long after a record a head follows.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);

/// What is signed begins with this, so that no other signature of the key can stand for it.
const DOMAIN: &[u8] = b"secretum audit head 1\n";

/// What stands before the signature in a head.
const SIGNATURE: &[u8] = b",\"signature\":\"";

/// Why a head stands where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadState {
    /// A device began to write here, and knows what it wrote before: in a new file, after a loss, or
    /// nothing at all.
    Opened,
    /// A device goes on behind lines that it found here after a start: it does not know that they are
    /// its own, and does not vouch for those behind the last head.
    Resumed,
    /// Records stand before it.
    Signed,
    /// The device ended.
    Closed,
}

impl HeadState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Resumed => "resumed",
            Self::Signed => "signed",
            Self::Closed => "closed",
        }
    }
}

/// What a head says, as far as a verifier needs it.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    pub(crate) state: HeadState,
    /// The chain before it, in hex.
    previous: String,
    /// In hex.
    pub(crate) signature: String,
}

impl Head {
    /// The chain before it.
    pub(crate) fn previous(&self) -> Option<[u8; 32]> {
        let mut chain = [0; 32];
        hex::decode_to_slice(&self.previous, &mut chain).ok()?;
        Some(chain)
    }

    /// Whether the owner of a public key signed it; `line` is all of it, prefix included.
    pub(crate) fn is_signed_by(&self, public_key: &[u8], line: &[u8], sequence: u64) -> bool {
        let mut signature = [0; SIGNATURE_BYTES];
        let is_hex = hex::decode_to_slice(&self.signature, &mut signature).is_ok();
        let signed = memchr::memmem::find(line, SIGNATURE).and_then(|at| line.get(..at));
        is_hex
            && signed.is_some_and(|text| {
                ed25519::verify(public_key, &message(text, sequence), &signature).is_ok()
            })
    }
}

/// What is signed of a head: all before the signature, and its place.
fn message(text: &[u8], sequence: u64) -> Vec<u8> {
    [DOMAIN, text, b"\n", &sequence.to_be_bytes()].concat()
}

/// The key that signs the heads of a device. It follows from the key of its HMACs, so that there is one
/// secret to keep.
///
/// **Errors**: [`CryptoError`], where the library refuses.
pub(crate) fn signing_key(hmac_key: &[u8]) -> Result<SigningKey, CryptoError> {
    let seed = hkdf_sha256(hmac_key, b"secretum", b"audit head signing", 32)?;
    SigningKey::from_seed(Key256::from_slice(seed.expose())?)
}

/// Signs the heads of a device, and knows when one is due.
pub(crate) struct Signer {
    key: SigningKey,
    clock: ClockRef,
    /// Records behind the last head.
    uncovered: u64,
    /// When the first of them was written.
    since: Option<Instant>,
    /// The head that what is written next must begin with, unless one stands there.
    opens_with: Option<HeadState>,
}

impl Signer {
    pub(crate) fn new(key: SigningKey, clock: ClockRef) -> Self {
        Self {
            key,
            clock,
            uncovered: 0,
            since: None,
            opens_with: Some(HeadState::Opened),
        }
    }

    pub(crate) fn public_key(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.key.public_key()
    }

    /// Writes the text of a head, up to where sequence and chain are added; `start` is where its line
    /// begins, with the device's prefix.
    pub(crate) fn write(
        &self,
        state: HeadState,
        (previous, sequence): (&[u8; 32], u64),
        start: usize,
        text: &mut Vec<u8>,
    ) {
        text.extend_from_slice(b"{\"timestamp\":\"");
        text.extend_from_slice(self.clock.now().to_rfc3339().as_bytes());
        text.extend_from_slice(b"\",\"type\":\"head\",\"state\":\"");
        text.extend_from_slice(state.as_str().as_bytes());
        text.extend_from_slice(b"\",\"previous\":\"");
        crate::conceal::push_hex(previous, text);
        text.push(b'"');
        let signed = message(text.get(start..).unwrap_or_default(), sequence);
        let signature = self.key.sign(&signed);
        text.extend_from_slice(SIGNATURE);
        crate::conceal::push_hex(&signature, text);
        text.push(b'"');
    }

    /// What stands at the place from here on begins with a head.
    pub(crate) fn begin_anew(&mut self) {
        self.opens_with = self.opens_with.or(Some(HeadState::Opened));
    }

    /// What is written goes on behind lines that were found.
    pub(crate) fn resume(&mut self) {
        self.opens_with = Some(HeadState::Resumed);
    }

    /// Whether a head must stand before the next record, and why.
    pub(crate) fn due_before(&self) -> Option<HeadState> {
        if self.opens_with.is_some() {
            return self.opens_with;
        }
        (self.due_in() == Some(Duration::ZERO)).then_some(HeadState::Signed)
    }

    /// Whether so many more records make a head due.
    pub(crate) fn is_due_after(&self, records: u64) -> bool {
        self.uncovered + records >= RECORDS_MAX
    }

    /// No head could be written: it is tried again later.
    pub(crate) fn put_off(&mut self) {
        self.since = Some(Instant::now());
    }

    /// In what time a head is due; `None` where all is covered.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        self.since
            .map(|since| PERIOD.saturating_sub(since.elapsed()))
    }

    /// A head was written.
    pub(crate) fn wrote_head(&mut self) {
        self.opens_with = None;
        (self.uncovered, self.since) = (0, None);
    }

    /// So many records were written.
    pub(crate) fn wrote_records(&mut self, records: u64) {
        if records > 0 {
            self.uncovered += records;
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// Whether there is anything to close.
    pub(crate) fn is_open(&self) -> bool {
        self.opens_with.is_none()
    }
}
