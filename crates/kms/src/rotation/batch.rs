//! [`Batch`]: how many data keys are looked at before it is told, and written down, how far it came.

/// The most data keys of a batch.
pub const BATCH_MAX: usize = 1000;

/// 1 to [`BATCH_MAX`] of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch(usize);

impl Default for Batch {
    fn default() -> Self {
        Self(100)
    }
}

impl Batch {
    pub(super) fn of(data_keys: usize) -> Self {
        Self(data_keys.clamp(1, BATCH_MAX))
    }

    pub(super) fn len(self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_its_edges() {
        for (asked, has) in [
            (0, 1),
            (1, 1),
            (BATCH_MAX, BATCH_MAX),
            (BATCH_MAX + 1, BATCH_MAX),
        ] {
            assert_eq!(Batch::of(asked).len(), has);
        }
    }
}
