//! `sys/mounts` and `sys/auth`.

mod change;
mod info;
mod remount;
mod tune;

pub(super) use change::{DisableAuth, DisableMount, EnableAuth, EnableMount};
pub(super) use info::MountInfo;
pub(super) use remount::{ReadRemount, Remount};
pub(super) use tune::{ReadAuthTune, ReadMountTune, TuneAuth, TuneMount};

use super::{Sys, System};
use crate::mounts::Mount;
use schemars::JsonSchema;
use secretum_api::RequestPath;
use secretum_engine::{Class, Context, Fault, Handle, Reply};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lists the secret engines.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListMounts {}

/// Lists the auth methods.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListAuth {}

/// Describes a secret engine.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadMount {
    /// Path of the mount.
    path: String,
}

/// Describes an auth method.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadAuth {
    /// Path of the mount.
    path: String,
}

/// A mount path with its slash.
fn folder(path: &str) -> Result<String, Fault> {
    let path = RequestPath::parse(path).map_err(|error| Fault::invalid(error.to_string()))?;
    if path.as_str().is_empty() {
        return Err(Fault::invalid("the path of the mount is missing"));
    }
    Ok(path.into_folder().as_str().to_owned())
}

/// The mount at a path, and only there.
fn mount_at(system: &System, class: Class, path: &str) -> Result<Arc<Mount>, Fault> {
    let folder = folder(path)?;
    let full = if class == Class::Auth {
        format!("auth/{folder}")
    } else {
        folder.clone()
    };
    let found = system
        .active
        .mounts
        .at(&full)
        .filter(|mount| mount.record.class() == class);
    let what = if class == Class::Auth {
        "auth"
    } else {
        "secret engine"
    };
    found.ok_or_else(|| Fault::invalid(format!("No {what} mount at {folder}")))
}

fn info(context: &Context, class: Class, path: &str) -> Result<Reply<MountInfo>, Fault> {
    let system = System::of(context)?;
    Ok(Reply::data(MountInfo::of(&*mount_at(
        &system, class, path,
    )?)))
}

fn infos(context: &Context, class: Class) -> Result<Reply<BTreeMap<String, MountInfo>>, Fault> {
    let mounts = System::of(context)?.active.mounts.all(class);
    let infos = mounts
        .iter()
        .map(|mount| (mount.record.path.clone(), MountInfo::of(mount)));
    Ok(Reply::data(infos.collect()))
}

handler!(ListMounts, BTreeMap<String, MountInfo>, _ask, context => infos(context, Class::Secret));
handler!(ListAuth, BTreeMap<String, MountInfo>, _ask, context => infos(context, Class::Auth));
handler!(ReadMount, MountInfo, ask, context => info(context, Class::Secret, &ask.path));
handler!(ReadAuth, MountInfo, ask, context => info(context, Class::Auth, &ask.path));
