//! [`EngineKind`]: what can be enabled.

use crate::{Engine, Fault, MountStorage, Mounted, MountedEngine, RouteError, RouteTable, Verb};
use secretum_crypto::{ClockRef, RngRef};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where an engine of a kind is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A secret engine.
    Secret,
    /// An auth method, below `auth/`.
    Auth,
}

/// What an engine is built from.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its own part of the storage.
    pub store: MountStorage,
    /// The options of its mount.
    pub options: BTreeMap<String, String>,
    /// Life of a lease that asks for none, in this mount.
    pub default_lease_ttl: std::time::Duration,
    /// The time.
    pub clock: ClockRef,
    /// Randomness.
    pub rng: RngRef,
}

type Build = Box<dyn Fn(Setup) -> Result<Arc<dyn Mounted>, Fault> + Send + Sync>;

/// A kind of engine that can be enabled, in one or more versions.
pub struct EngineKind {
    name: &'static str,
    about: &'static str,
    class: Class,
    /// By the `version` option of a mount; the first is the one without that option.
    versions: Vec<Version>,
}

/// An engine that serves mounts of a kind with a `version` option.
struct Version {
    name: &'static str,
    build: Build,
    rows: Vec<(Verb, &'static str)>,
}

impl EngineKind {
    /// A secret engine, built by `build`.
    ///
    /// **Errors**: [`RouteError`] where its rows are no table.
    pub fn secret<E: Engine>(build: fn(Setup) -> Result<E, Fault>) -> Result<Self, RouteError> {
        Ok(Self {
            name: E::KIND,
            about: E::ABOUT,
            class: Class::Secret,
            versions: vec![version("", build)?],
        })
    }

    /// Adds an engine that serves mounts whose `version` option is `version`.
    ///
    /// **Errors**: [`RouteError`] where its rows are no table.
    pub fn version<E: Engine>(
        mut self,
        version: &'static str,
        build: fn(Setup) -> Result<E, Fault>,
    ) -> Result<Self, RouteError> {
        self.versions.push(self::version(version, build)?);
        Ok(self)
    }

    /// The word that enables it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// One sentence about it.
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// Where it is mounted.
    pub fn class(&self) -> Class {
        self.class
    }

    /// What the `version` option of a mount may be; empty where a mount need not say it.
    pub fn versions(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.versions.iter().map(|version| version.name)
    }

    /// Verb and path, relative to the mount, of every row of a version.
    pub fn rows(&self, version: &str) -> &[(Verb, &'static str)] {
        let found = self.versions.iter().find(|own| own.name == version);
        found.map_or(&[], |version| &version.rows)
    }

    /// Builds an engine for a mount.
    ///
    /// **Errors**: [`Fault::Invalid`] for a `version` option it does not know.
    pub fn build(&self, setup: Setup) -> Result<Arc<dyn Mounted>, Fault> {
        let wanted = setup.options.get("version").map_or("", String::as_str);
        let chosen = match wanted {
            "" => self.versions.first(),
            _ => self.versions.iter().find(|version| version.name == wanted),
        };
        match chosen {
            Some(version) => (version.build)(setup),
            None => Err(Fault::invalid(format!(
                "`{wanted}` is not a version of `{}`",
                self.name
            ))),
        }
    }
}

fn version<E: Engine>(
    name: &'static str,
    build: fn(Setup) -> Result<E, Fault>,
) -> Result<Version, RouteError> {
    let table = Arc::new(RouteTable::new(E::routes())?);
    let rows = table.rows().iter().map(|row| (row.verb, row.pattern));
    Ok(Version {
        name,
        rows: rows.collect(),
        build: Box::new(move |setup| {
            Ok(Arc::new(MountedEngine::new(
                build(setup)?,
                Arc::clone(&table),
            )))
        }),
    })
}

impl std::fmt::Debug for EngineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineKind")
            .field("name", &self.name)
            .field("class", &self.class)
            .finish()
    }
}
