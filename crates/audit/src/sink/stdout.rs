//! [`Stdout`]: records on the output of the process, for whoever collects that.

use super::{Opened, Place, Sink, Unwritten};
use crate::AuditError;
use crate::chain::Chain;
use crate::queue::Lines;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;

/// The output of the process, beside the standard library's buffer: what is taken has left the process.
pub(crate) struct Stdout {
    out: File,
    /// A failed write left part of a line.
    torn: bool,
}

impl Stdout {
    /// **Errors**: [`AuditError::Unreachable`] where the process has no output.
    pub(crate) fn open() -> Result<Opened, AuditError> {
        let out = std::io::stdout().as_fd().try_clone_to_owned();
        let out = out.map_err(|error| failed(&error))?;
        Ok(Opened {
            sink: Box::new(Self::on(out.into())),
            chain: Chain::default(),
            place: Place::Stdout,
        })
    }

    /// A sink on something that is open already.
    pub(crate) fn on(out: File) -> Self {
        Self { out, torn: false }
    }

    /// Ends the line that a failed write left, so that it stays apart from what follows.
    fn mend(&mut self) -> std::io::Result<()> {
        if self.torn {
            self.out.write_all(b"\n")?;
            self.torn = false;
        }
        Ok(())
    }
}

fn failed(error: &std::io::Error) -> AuditError {
    AuditError::Unreachable {
        place: "stdout".to_owned(),
        reason: error.to_string(),
    }
}

impl Sink for Stdout {
    fn moves_on(&mut self) -> Result<bool, AuditError> {
        Ok(self.torn)
    }

    fn write(&mut self, lines: &Lines) -> Result<(), Unwritten> {
        self.mend()
            .map_err(|error| Unwritten::Nothing(failed(&error)))?;
        let mut bytes = lines.text();
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(written) if written > 0 => {
                    bytes = bytes.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                refused => {
                    let error = refused.err().unwrap_or_else(|| ErrorKind::WriteZero.into());
                    if bytes.len() == lines.text().len() {
                        return Err(Unwritten::Nothing(failed(&error)));
                    }
                    self.torn = true;
                    return Err(Unwritten::Perhaps(failed(&error)));
                }
            }
        }
        Ok(())
    }
}
