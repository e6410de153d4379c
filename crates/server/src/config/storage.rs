//! The `storage` stanza.

use super::names::STORAGE_UNSERVED;
use super::notice::Notices;
use super::section::{Section, Source, TEXT, URL};
use super::stanza::Stanza;
use super::{NodeUrl, Place, Placed, Problem, values};
use std::path::PathBuf;

/// Where everything is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In memory: all is gone when the server ends. Vault's `inmem`.
    Memory,
    /// In the embedded engine, on this machine's disk. Vault's `raft` and `file`.
    Raft(RaftStorage),
}

impl Storage {
    /// Its name in Vault's API and configuration.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Memory => "inmem",
            Self::Raft(_) => "raft",
        }
    }
}

/// The embedded engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftStorage {
    /// The data directory. It need not exist.
    pub path: Placed<PathBuf>,
    /// This node's name in its cluster. Default: `None`; a name is then made up for a new data
    /// directory.
    pub node_id: Option<String>,
}

/// The kinds that keep nothing.
const MEMORY_KINDS: [&str; 5] = [
    "inmem",
    "inmem_ha",
    "inmem_transactional",
    "inmem_transactional_ha",
    "memory",
];

/// The kinds that are the embedded engine.
const RAFT_KINDS: [&str; 2] = ["raft", "file"];

/// A storage as one file has it.
#[derive(Debug)]
pub(crate) struct StorageDraft {
    pub(crate) place: Place,
    source: Source,
    /// Nothing for a kind that is not served, which was said.
    embedded: Option<bool>,
    path: Option<Placed<PathBuf>>,
    /// Whether there is a path, which may be no path.
    path_is_set: bool,
    node_id: Option<String>,
    /// Older places of `api_addr` and `cluster_addr`.
    pub(crate) api_addr: Option<Placed<NodeUrl>>,
    pub(crate) cluster_addr: Option<Placed<NodeUrl>>,
}

impl StorageDraft {
    /// Reads a stanza of this file.
    pub(crate) fn read(source: &Source, stanza: &Stanza<'_>, notices: &mut Notices) -> Self {
        let kind = stanza.kind.as_str();
        let embedded = if RAFT_KINDS.contains(&kind) {
            Some(true)
        } else if MEMORY_KINDS.contains(&kind) {
            Some(false)
        } else {
            let problem = Problem::UnservedStorage {
                kind: values::shortened(kind),
                example: example(source),
            };
            notices.push(stanza.place.clone(), problem);
            None
        };
        let mut draft = Self {
            place: stanza.place.clone(),
            source: source.clone(),
            embedded,
            path: None,
            path_is_set: false,
            node_id: None,
            api_addr: None,
            cluster_addr: None,
        };
        if embedded.is_some() {
            draft.take(Section::new(source, stanza.body, notices));
        }
        draft
    }

    fn take(&mut self, mut section: Section<'_, '_>) {
        let url = |value: &secretum_hcl::Value| value.as_str().and_then(NodeUrl::parse);
        section.knows("type");
        self.path_is_set = section.has("path");
        self.path = section.path("path");
        self.node_id = section
            .take("node_id", TEXT, values::name)
            .map(|name| name.value);
        let redirect = section.take("redirect_addr", URL, url);
        self.api_addr = redirect.or(section.take("advertise_addr", URL, url));
        self.cluster_addr = section.take("cluster_addr", URL, url);
        section.finish(STORAGE_UNSERVED);
    }

    /// The storage, in which the environment comes before the file; none if that was said, or is now.
    pub(crate) fn finish(
        self,
        environment: impl Fn(&str) -> Option<Placed<String>>,
        notices: &mut Notices,
    ) -> Option<Storage> {
        if !self.embedded? {
            return Some(Storage::Memory);
        }
        let given = environment("RAFT_PATH").map(|path| Placed {
            value: PathBuf::from(path.value),
            place: path.place,
        });
        let Some(path) = given.or(self.path) else {
            if !self.path_is_set {
                let example = self.source.syntax.setting("path", EXAMPLE_PATH);
                notices.push(self.place, Problem::NoStoragePath(example));
            }
            return None;
        };
        let node_id = environment("RAFT_NODE_ID").map(|name| name.value);
        Some(Storage::Raft(RaftStorage {
            path,
            node_id: node_id.or(self.node_id),
        }))
    }
}

const EXAMPLE_PATH: &str = "/var/lib/secretum";

/// How a storage is written in this file.
pub(crate) fn example(source: &Source) -> String {
    source
        .syntax
        .stanza("storage", "raft", "path", EXAMPLE_PATH)
}
