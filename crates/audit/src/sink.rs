//! [`Sink`]: where bytes go. A kind of device is one of these; queue, batches, chain, and how long a
//! device may hang are the same for all.

pub(crate) mod socket;
pub(crate) mod stdout;
pub(crate) mod syslog;

use crate::AuditError;
use crate::chain::Chain;
use crate::file::FileId;
use crate::queue::Lines;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the lines of a device go. Its calls may block; they are made on the device's own thread.
pub(crate) trait Sink: Send {
    /// Takes these lines in their order. Each ends with a line feed.
    ///
    /// **Errors**: [`Unwritten`], which says of all of them what became of them.
    fn write(&mut self, lines: &Lines) -> Result<(), Unwritten>;

    /// Follows the place where it moved; whether what is written next stands somewhere else than what was
    /// written before.
    ///
    /// **Errors**: as the kind says, where nothing can be written.
    fn moves_on(&mut self) -> Result<bool, AuditError> {
        Ok(false)
    }

    /// Begins anew with what stands at the place now, after that was moved away or replaced.
    ///
    /// **Errors**: as the kind says; it then goes on as it was.
    fn reopen(&mut self) -> Result<(), AuditError> {
        Ok(())
    }
}

/// Why lines were not taken.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// Nothing of them is at the place: the chain goes on as if they had never been.
    Nothing(AuditError),
    /// Some may have arrived. The chain goes on behind them, so that what is missing shows as a gap, and
    /// no two lines have the same place in it.
    Perhaps(AuditError),
}

/// A sink that is ready, and what its device has to know of it.
pub(crate) struct Opened {
    pub(crate) sink: Box<dyn Sink>,
    /// Where its lines go on.
    pub(crate) chain: Chain,
    pub(crate) place: Place,
}

impl Opened {
    /// A sink that does not know what was written there before, and that devices can share.
    pub(crate) fn elsewhere(sink: impl Sink + 'static) -> Self {
        Self {
            sink: Box::new(sink),
            chain: Chain::default(),
            place: Place::Elsewhere,
        }
    }
}

/// What two devices must not share.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A file: its name, and what it is now.
    File {
        path: PathBuf,
        id: Arc<Mutex<FileId>>,
    },
    /// The output of the process.
    Stdout,
    /// Whoever receives it tells the senders apart.
    Elsewhere,
}

/// Takes everything and keeps nothing.
pub(crate) struct Discard;

impl Sink for Discard {
    fn write(&mut self, _: &Lines) -> Result<(), Unwritten> {
        Ok(())
    }
}
