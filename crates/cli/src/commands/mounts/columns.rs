//! Tables of what is enabled: a heading and what stands below it, a column each.

use crate::output::table;
use secretum_client::sys::Mount;
use std::collections::BTreeMap;

/// One column of a table of things by their paths.
pub(crate) struct Column<E> {
    heading: &'static str,
    cell: fn(&str, &E) -> String,
}

impl<E> Column<E> {
    pub(crate) const fn new(heading: &'static str, cell: fn(&str, &E) -> String) -> Self {
        Self { heading, cell }
    }
}

/// The table of these columns.
pub(crate) fn table<E>(columns: &[Column<E>], entries: &BTreeMap<String, E>) -> String {
    let headings: Vec<_> = columns.iter().map(|column| column.heading).collect();
    let row = |(path, entry): (&String, &E)| {
        let cells = columns.iter().map(|column| (column.cell)(path, entry));
        cells.collect()
    };
    table::headed(&headings, entries.iter().map(row).collect())
}

/// Whether it stays in its own cluster, as tables say it.
pub(crate) fn replication(local: bool) -> String {
    if local { "local" } else { "replicated" }.to_owned()
}

/// What is most asked about mounts.
pub(crate) fn brief() -> Vec<Column<Mount>> {
    vec![
        Column::new("Path", |path, _| path.to_owned()),
        Column::new("Type", |_, mount| mount.kind.clone()),
        Column::new("Accessor", |_, mount| mount.accessor.clone()),
        Column::new("Description", |_, mount| mount.description.clone()),
    ]
}

/// All that is known of mounts; `own` is what only this kind of them has.
pub(crate) fn detailed(own: Column<Mount>) -> Vec<Column<Mount>> {
    vec![
        Column::new("Path", |path, _| path.to_owned()),
        Column::new("Plugin", |_, mount| mount.kind.clone()),
        Column::new("Accessor", |_, mount| mount.accessor.clone()),
        Column::new("Default TTL", |_, mount| {
            ttl(mount, mount.config.default_lease_ttl)
        }),
        Column::new("Max TTL", |_, mount| ttl(mount, mount.config.max_lease_ttl)),
        own,
        Column::new("Replication", |_, mount| replication(mount.local)),
        Column::new("Seal Wrap", |_, mount| mount.seal_wrap.to_string()),
        Column::new("External Entropy Access", |_, mount| {
            mount.external_entropy_access.to_string()
        }),
        Column::new("Options", |_, mount| options(mount)),
        Column::new("Description", |_, mount| mount.description.clone()),
        Column::new("UUID", |_, mount| mount.uuid.clone()),
        Column::new("Version", |_, mount| mount.plugin_version.clone()),
        Column::new("Running Version", |_, mount| {
            mount.running_plugin_version.clone()
        }),
        Column::new("Running SHA256", |_, mount| mount.running_sha256.clone()),
        Column::new("Deprecation Status", |_, mount| {
            mount.deprecation_status.clone()
        }),
    ]
}

fn ttl(mount: &Mount, seconds: u64) -> String {
    let leaseless = matches!(mount.kind.as_str(), "system" | "cubbyhole");
    match seconds {
        _ if leaseless => String::new(),
        0 => "system".to_owned(),
        seconds => seconds.to_string(),
    }
}

fn options(mount: &Mount) -> String {
    let options: Vec<_> = mount
        .options
        .iter()
        .flatten()
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    format!("map[{}]", options.join(" "))
}
