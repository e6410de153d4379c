//! The `audit` stanzas: `audit "file" "main" { options { file_path = "…" } }`.

use super::notice::Notices;
use super::section::{Section, Source};
use super::stanza::Stanza;
use super::{Place, Placed, Problem, values};
use secretum_api::RequestPath;
use secretum_core::DeclaredDevice;
use secretum_hcl::{Body, Value, ValueKind};
use std::collections::BTreeMap;
use std::path::Path;

/// The most audit devices of a vault.
pub const AUDITS_MAX: usize = 64;

const OPTION: &str = "a text in quotes, a number or a flag";

/// How one is written.
pub(crate) fn example(source: &Source) -> String {
    let block = source
        .syntax
        .stanza("audit", "file", "file_path", "/var/log/secretum/audit.log");
    format!("{block}, where `file_path` stands in a block `options`")
}

/// What a stanza says. A device without a name is called as its type.
pub(crate) fn read(
    source: &Source,
    stanza: &Stanza<'_>,
    notices: &mut Notices,
) -> Placed<DeclaredDevice> {
    let mut section = Section::new(source, stanza.body, notices);
    section.knows("type");
    let path = section.text("path").map(|path| path.value);
    let path = path.or_else(|| stanza.name.clone());
    let description = section.text("description").map(|text| text.value);
    let local = section.flag("local").is_some_and(|local| local.value);
    let options = section.block("options");
    let options = options.map(|options| read_options(source, options, section.notices));
    section.finish(&["namespace"]);
    let path = path.unwrap_or_else(|| stanza.kind.clone());
    Placed {
        value: DeclaredDevice {
            path: path.trim_matches('/').to_owned(),
            kind: stanza.kind.clone(),
            description: description.unwrap_or_default(),
            options: options.unwrap_or_default(),
            local,
        },
        place: stanza.place.clone(),
    }
}

fn read_options(
    source: &Source,
    options: &Body,
    notices: &mut Notices,
) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    for item in &options.items {
        match text(&item.value) {
            Some(value) => {
                read.insert(item.key().to_owned(), value);
            }
            None => {
                let problem = Problem::AuditOption {
                    option: values::shortened(item.key()),
                    expected: OPTION,
                    found: values::shown(&item.value),
                };
                notices.push(source.place(item.at), problem);
            }
        }
    }
    read
}

/// An option as the API has it.
fn text(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::Bool(yes) => Some(yes.to_string()),
        _ => values::name(value),
    }
}

/// The devices of all files, without those that are wrong, which is said.
pub(crate) fn finish(
    devices: Vec<Placed<DeclaredDevice>>,
    directory: Option<&Path>,
    notices: &mut Notices,
) -> Vec<DeclaredDevice> {
    let mut first: BTreeMap<String, Place> = BTreeMap::new();
    let mut finished = Vec::new();
    for Placed { value, place } in devices {
        let path = value.path.clone();
        let reason = match first.get(&path) {
            Some(first) => Some(format!("there is another one of this path at {first}")),
            None if first.len() >= AUDITS_MAX => {
                Some(format!("there may be at most {AUDITS_MAX} of them"))
            }
            None => fault(&value, directory),
        };
        first.entry(path.clone()).or_insert(place.clone());
        match reason {
            Some(reason) => notices.push(place, Problem::Audit { path, reason }),
            None => finished.push(value),
        }
    }
    finished
}

/// What is wrong with a device.
fn fault(device: &DeclaredDevice, directory: Option<&Path>) -> Option<String> {
    if device.path.is_empty() {
        return Some("its path is empty".to_owned());
    }
    if let Err(error) = RequestPath::parse(format!("sys/audit/{}", device.path)) {
        return Some(format!("its path cannot be used: {error}"));
    }
    device.check(directory).err()
}
