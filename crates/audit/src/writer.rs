//! [`Writer`]: what a device's thread does: it chains lines, signs heads, and hands them to the [`Sink`].

use crate::AuditError;
use crate::chain::Chain;
use crate::head::{HeadState, Signer};
use crate::queue::{Answer, Batches, Lines};
use crate::sink::{Opened, Place, Sink, Unwritten};
use std::time::Duration;

/// Writes records in the order they come.
pub(crate) struct Writer {
    sink: Box<dyn Sink>,
    chain: Chain,
    place: Place,
    /// What each line begins with.
    prefix: Vec<u8>,
    batch: Lines,
    signer: Signer,
}

impl Batches for Writer {
    /// Writes these records with as few calls as the sink can.
    ///
    /// **Errors**: as the sink says; then none of them counts as written.
    fn write(&mut self, lines: &Lines) -> Answer {
        if lines.is_empty() {
            return Ok(());
        }
        let records = lines.len() as u64;
        let head = (self.signer.is_due_after(records)).then_some(HeadState::Signed);
        self.write_with(Some(lines), head)
    }

    /// In what time a head is due; `None` where none is.
    fn due_in(&self) -> Option<Duration> {
        self.signer.due_in()
    }

    /// Signs what stands behind the last head. Where it cannot be written it is tried again; the next
    /// record says why.
    fn tick(&mut self) {
        if self.write_with(None, Some(HeadState::Signed)).is_err() {
            self.signer.put_off();
        }
    }

    /// Begins anew with what stands at the place now; the chain goes on.
    ///
    /// **Errors**: as the sink says.
    fn reopen(&mut self) -> Answer {
        self.sink.reopen()
    }

    /// Signs what stands behind the last head, as the last that this device writes.
    fn close(&mut self) {
        if self.signer.is_open() {
            // Who reads the log sees that it is missing.
            let _ = self.write_with(None, Some(HeadState::Closed));
        }
    }
}

impl Writer {
    /// A writer on a sink, whose lines begin with a prefix.
    pub(crate) fn new(opened: Opened, prefix: &str, mut signer: Signer) -> Self {
        if opened.chain != Chain::default() {
            signer.resume();
        }
        Self {
            sink: opened.sink,
            chain: opened.chain,
            place: opened.place,
            prefix: prefix.as_bytes().to_vec(),
            batch: Lines::default(),
            signer,
        }
    }

    /// What no other device may write to.
    pub(crate) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Writes a head first where one is due, then records, then a head.
    fn write_with(
        &mut self,
        lines: Option<&Lines>,
        head: Option<HeadState>,
    ) -> Result<(), AuditError> {
        if self.sink.moves_on()? {
            self.signer.begin_anew();
        }
        let Self {
            batch,
            signer,
            prefix,
            ..
        } = self;
        batch.clear();
        let mut chain = self.chain;
        let push_head = |state, batch: &mut Lines, chain: &mut Chain| {
            batch.push_with(|text| {
                let start = text.len();
                text.extend_from_slice(prefix);
                signer.write(state, chain.end(), start, text);
                chain.seal(start, text);
            });
        };
        let before = match (lines, signer.due_before()) {
            // A head of its own follows at once.
            (None, Some(HeadState::Signed)) => None,
            (_, due) => due,
        };
        if let Some(state) = before {
            push_head(state, batch, &mut chain);
        }
        for line in lines.into_iter().flat_map(Lines::iter) {
            batch.push_with(|text| {
                let start = text.len();
                text.extend_from_slice(prefix);
                text.extend_from_slice(line);
                chain.seal(start, text);
            });
        }
        if let Some(state) = head {
            push_head(state, batch, &mut chain);
        }
        match self.sink.write(&self.batch) {
            Ok(()) => {
                self.chain = chain;
                if before.is_some() {
                    self.signer.wrote_head();
                }
                self.signer
                    .wrote_records(lines.map_or(0, Lines::len) as u64);
                if head.is_some() {
                    self.signer.wrote_head();
                }
                Ok(())
            }
            Err(Unwritten::Nothing(error)) => Err(error),
            Err(Unwritten::Perhaps(error)) => {
                self.chain = chain;
                self.signer.begin_anew();
                Err(error)
            }
        }
    }
}
