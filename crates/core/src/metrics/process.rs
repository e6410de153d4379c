//! The process itself, under the names that Prometheus' own libraries give it (Linux).

use super::report::{Family, Kind, Sample};

/// Bytes of a page and ticks of a second, on every machine that this is built for.
const PAGE_BYTES: f64 = 4_096.0;
const TICKS: f64 = 100.0;

/// What the system tells of the process; nothing where it tells nothing.
pub(super) fn families() -> Vec<Family> {
    let memory = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = memory.split(' ').map(str::parse::<f64>);
    let mut bytes = || Some(pages.next()?.ok()? * PAGE_BYTES);
    let (all, resident) = (bytes(), bytes());
    let files = std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    #[expect(clippy::cast_precision_loss, reason = "no such number of files")]
    let files = files.ok().map(|files| files as f64);
    [
        (
            "process_cpu_seconds_total",
            "Time of processors that the process took.",
            Kind::Counter,
            cpu_seconds(),
        ),
        (
            "process_open_fds",
            "Files and sockets that are open.",
            Kind::Gauge,
            files,
        ),
        (
            "process_resident_memory_bytes",
            "Memory in use.",
            Kind::Gauge,
            resident,
        ),
        (
            "process_virtual_memory_bytes",
            "Memory that is reserved.",
            Kind::Gauge,
            all,
        ),
    ]
    .into_iter()
    .filter_map(|(name, help, kind, value)| {
        let mut family = Family::new(name, help, kind);
        family.samples.push(Sample::number(value?));
        Some(family)
    })
    .collect()
}

fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in brackets, and may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_seen() {
        let text = super::super::Report::text(&families()).to_string();
        for name in [
            "process_cpu_seconds_total",
            "process_open_fds",
            "process_resident_memory_bytes",
        ] {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value >= 0.0, "{line}");
        }
    }
}
