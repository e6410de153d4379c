//! [`Writer`]: what a device's thread does: it chains lines and hands them to the [`Sink`].

use crate::AuditError;
use crate::chain::Chain;
use crate::queue::Lines;
use crate::sink::{Opened, Place, Sink, Unwritten};

/// Writes records in the order they come.
pub(crate) struct Writer {
    sink: Box<dyn Sink>,
    chain: Chain,
    place: Place,
    /// What each line begins with.
    prefix: Vec<u8>,
    batch: Lines,
}

impl Writer {
    /// A writer on a sink, whose lines begin with a prefix.
    pub(crate) fn new(opened: Opened, prefix: &str) -> Self {
        Self {
            sink: opened.sink,
            chain: opened.chain,
            place: opened.place,
            prefix: prefix.as_bytes().to_vec(),
            batch: Lines::default(),
        }
    }

    /// What no other device may write to.
    pub(crate) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Begins anew with what stands at the place now; the chain goes on.
    ///
    /// **Errors**: as the sink says.
    pub(crate) fn reopen(&mut self) -> Result<(), AuditError> {
        self.sink.reopen()
    }

    /// Writes these records with as few calls as the sink can.
    ///
    /// **Errors**: as the sink says; then none of them counts as written.
    pub(crate) fn write(&mut self, lines: &Lines) -> Result<(), AuditError> {
        if lines.is_empty() {
            return Ok(());
        }
        self.batch.clear();
        let mut chain = self.chain;
        for line in lines.iter() {
            self.batch.push_with(|text| {
                let start = text.len();
                text.extend_from_slice(&self.prefix);
                text.extend_from_slice(line);
                chain.seal(start, text);
            });
        }
        match self.sink.write(&self.batch) {
            Ok(()) => self.chain = chain,
            Err(Unwritten::Nothing(error)) => return Err(error),
            Err(Unwritten::Perhaps(error)) => {
                self.chain = chain;
                return Err(error);
            }
        }
        Ok(())
    }
}
