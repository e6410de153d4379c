//! [`Model`]: KV version 2 as a plain map, after the behaviour of Vault.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Versions kept where nothing says how many.
const KEPT: u64 = 10;

/// The longest value that is stored with its metadata while it is the newest, in bytes of JSON.
pub(super) const VALUE_BESIDE_BYTES_MAX: usize = 4_096;

/// A mount.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) settings: Settings,
    pub(super) secrets: BTreeMap<String, Secret>,
    /// Seconds since the beginning.
    pub(super) now: u64,
}

/// The settings of a mount or a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) max_versions: u64,
    pub(super) cas_required: bool,
    pub(super) delete_after: u64,
}

/// A secret.
#[derive(Debug, Clone, Default)]
pub(super) struct Secret {
    pub(super) settings: Settings,
    pub(super) versions: BTreeMap<u64, Version>,
    pub(super) current: u64,
    pub(super) oldest: u64,
}

/// A version of a secret.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) data: Map<String, Value>,
    pub(super) deleted: Option<u64>,
    pub(super) destroyed: bool,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Done,
    Version(u64),
    /// Of a version that is there no more.
    Gone(u64),
    Missing,
    CasMismatch,
    CasRequired,
}

impl Version {
    pub(super) fn is_alive(&self, now: u64) -> bool {
        !self.destroyed && self.deleted.is_none_or(|deleted| deleted > now)
    }
}

impl Model {
    pub(super) fn put(&mut self, path: &str, data: Map<String, Value>, cas: Option<u64>) -> Told {
        let secret = self.secrets.get(path);
        if let Some(refusal) = self.refusal(secret, cas) {
            return refusal;
        }
        let (settings, now) = (self.settings, self.now);
        let secret = self.secrets.entry(path.to_owned()).or_default();
        secret.add(data, settings, now)
    }

    pub(super) fn patch(
        &mut self,
        path: &str,
        patch: Map<String, Value>,
        cas: Option<u64>,
    ) -> Told {
        let Some(secret) = self.secrets.get(path) else {
            return Told::Missing;
        };
        let Some(newest) = secret.versions.get(&secret.current) else {
            return Told::Missing;
        };
        if let Some(refusal) = self.refusal(Some(secret), cas) {
            return refusal;
        }
        if !newest.is_alive(self.now) {
            return Told::Gone(secret.current);
        }
        let mut data = newest.data.clone();
        for (name, value) in patch {
            if value.is_null() {
                data.remove(&name);
            } else {
                data.insert(name, value);
            }
        }
        let (settings, now) = (self.settings, self.now);
        let secret = self.secrets.entry(path.to_owned()).or_default();
        secret.add(data, settings, now)
    }

    fn refusal(&self, secret: Option<&Secret>, cas: Option<u64>) -> Option<Told> {
        let own = secret.is_some_and(|secret| secret.settings.cas_required);
        match cas {
            Some(cas) if cas != secret.map_or(0, |secret| secret.current) => {
                Some(Told::CasMismatch)
            }
            None if own || self.settings.cas_required => Some(Told::CasRequired),
            _ => None,
        }
    }

    /// Changes versions of a secret; the newest where none is named.
    pub(super) fn change(
        &mut self,
        path: &str,
        versions: Option<&[u64]>,
        change: impl Fn(&mut Version, u64),
    ) -> Told {
        let now = self.now;
        if let Some(secret) = self.secrets.get_mut(path) {
            let newest = [secret.current];
            for version in versions.unwrap_or(&newest) {
                if let Some(version) = secret.versions.get_mut(version) {
                    change(version, now);
                }
            }
        }
        Told::Done
    }

    pub(super) fn settings(&mut self, path: &str, settings: Settings) -> Told {
        self.secrets.entry(path.to_owned()).or_default().settings = settings;
        Told::Done
    }

    pub(super) fn remove(&mut self, path: &str) -> Told {
        self.secrets.remove(path);
        Told::Done
    }

    /// Names directly below a folder.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let below = self
            .secrets
            .keys()
            .filter_map(|path| path.strip_prefix(folder));
        let names = below.map(|rest| match rest.split_once('/') {
            Some((name, _)) => format!("{name}/"),
            None => rest.to_owned(),
        });
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Every key that the storage may hold, no more and no fewer.
    pub(super) fn keys(&self, is_configured: bool) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        keys.extend(is_configured.then(|| "config".to_owned()));
        for (path, secret) in &self.secrets {
            keys.insert(format!("meta/{path}"));
            let kept = secret.versions.iter();
            let kept = kept.filter(|(number, version)| {
                let is_beside =
                    **number == secret.current && version.bytes() <= VALUE_BESIDE_BYTES_MAX;
                !version.destroyed && !is_beside
            });
            keys.extend(kept.map(|(number, _)| format!("data/{path}\u{1}{number}")));
        }
        keys
    }
}

impl Version {
    fn bytes(&self) -> usize {
        serde_json::to_string(&self.data).unwrap().len()
    }
}

impl Secret {
    fn add(&mut self, data: Map<String, Value>, mount: Settings, now: u64) -> Told {
        let lives = [self.settings.delete_after, mount.delete_after];
        let life = lives.into_iter().filter(|life| *life > 0).min();
        self.current += 1;
        let version = Version {
            data,
            deleted: life.map(|life| now + life),
            destroyed: false,
        };
        self.versions.insert(self.current, version);
        let kept = match self.settings.max_versions.max(mount.max_versions) {
            0 => KEPT,
            kept => kept,
        };
        while u64::try_from(self.versions.len()).unwrap() > kept {
            self.versions.pop_first();
            self.oldest = *self.versions.keys().next().unwrap();
        }
        Told::Version(self.current)
    }
}
