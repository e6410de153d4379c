//! Bars of long work, on standard error where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// How many bytes are worth a bar.
const WORTH_A_BAR: u64 = 64 << 20;

/// A bar for so many things that are done one by one, and what is done with them.
pub(crate) fn of_things(number: usize, doing: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(number).unwrap_or(u64::MAX));
    styled(bar, "{msg} {bar:40} {pos} of {len}, {eta} left").with_message(doing)
}

/// A bar for so many bytes, where they are enough to wait for.
pub(crate) fn of_bytes(bytes: u64) -> ProgressBar {
    if bytes < WORTH_A_BAR {
        return ProgressBar::hidden();
    }
    let template = "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    styled(ProgressBar::new(bytes), template)
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
