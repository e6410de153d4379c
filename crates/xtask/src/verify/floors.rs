//! Crates use lower floors only: read from what their manifests say, tests and build scripts included.
//!
//! What a crate may use follows from [`table::CRATES`]. A dev-dependency looks down like every other: a
//! test that needs a higher floor is a test of that floor. The one exception is `testkit`, which starts
//! whole servers: crates from [`table::TESTKIT_FROM`] on may test with it.

mod table;

use crate::failure::Failure;
use crate::workspace::Workspace;
use cargo_metadata::{DependencyKind, Package};
use table::{CRATES, Crate, ONLY_IN, PREFIX, Place, TESTKIT_FROM};

/// A use of one package by another, as manifests say it.
#[derive(Debug)]
struct Use<'a> {
    user: &'a str,
    used: &'a str,
    in_tests_only: bool,
}

/// Names every use that goes up or sideways, or that [`table`] forbids.
pub(super) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let packages = &workspace.metadata.packages;
    let mut findings: Vec<String> = packages.iter().filter_map(misnamed).collect();
    findings.extend(
        packages
            .iter()
            .flat_map(uses)
            .filter_map(|usage| objection(&usage)),
    );
    Failure::of_findings(findings)
}

/// A package that is not called after its folder, or has no line in the table.
fn misnamed(package: &Package) -> Option<String> {
    let folder = package.manifest_path.parent()?.file_name()?;
    let name = package.name.as_str();
    if name != format!("{PREFIX}{folder}") {
        return Some(format!(
            "`{name}`: a package is called `{PREFIX}` and its folder, `{folder}`"
        ));
    }
    find(name).is_none().then(|| {
        format!(
            "`{name}` stands on no floor: give it a line in crates/xtask/src/verify/floors/table.rs"
        )
    })
}

fn uses(package: &Package) -> impl Iterator<Item = Use<'_>> {
    package.dependencies.iter().map(|dependency| Use {
        user: package.name.as_str(),
        used: &dependency.name,
        in_tests_only: dependency.kind == DependencyKind::Development,
    })
}

/// What is wrong with a use.
fn objection(usage: &Use<'_>) -> Option<String> {
    let user = find(usage.user)?;
    let text = match (usage.used.strip_prefix(PREFIX), find(usage.used)) {
        (Some(_), Some(used)) => objection_to_ours(user, used, usage.in_tests_only)?,
        (Some(folder), None) => format!("there is no crate `{folder}` in the table of floors"),
        (None, _) => objection_to_others(user, usage.used)?,
    };
    Some(format!("`{}` uses `{}`: {text}", usage.user, usage.used))
}

fn objection_to_ours(user: &Crate, used: &Crate, in_tests_only: bool) -> Option<String> {
    match (user.place, used.place) {
        (Place::Floor(own), Place::Floor(other)) if own <= other => Some(format!(
            "floor {own} may not know floor {other}, only lower ones"
        )),
        (Place::Floor(_), Place::Floor(_)) if user.unknown.contains(&used.folder) => Some(format!(
            "design forbids `{}` to know it, though it is lower",
            user.folder
        )),
        (Place::Floor(_) | Place::Tests | Place::Beside, Place::Floor(_)) => None,
        (Place::Floor(own), Place::Tests) if in_tests_only && own >= TESTKIT_FROM => None,
        (Place::Floor(_), Place::Tests) => Some(format!(
            "it is for the tests of floor {TESTKIT_FROM} and above only"
        )),
        (Place::Tests | Place::Beside, Place::Tests) => None,
        (Place::Alone, _) => Some("this crate must build without any of the others".to_owned()),
        (_, Place::Beside | Place::Alone) => Some("nothing may use it".to_owned()),
    }
}

fn objection_to_others(user: &Crate, used: &str) -> Option<String> {
    if user.unknown.contains(&used) {
        return Some(format!("`{}` must not know about that", user.folder));
    }
    let (_, home) = ONLY_IN.iter().find(|(name, _)| *name == used)?;
    (*home != user.folder).then(|| format!("only `{PREFIX}{home}` may"))
}

fn find(package: &str) -> Option<&'static Crate> {
    let folder = package.strip_prefix(PREFIX)?;
    CRATES.iter().find(|known| known.folder == folder)
}

#[cfg(test)]
mod tests;
