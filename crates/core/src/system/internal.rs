//! `sys/internal`: OpenAPI, and the mounts a caller may know of.

use super::{Sys, System};
use crate::mounts::Mount;
use schemars::JsonSchema;
use secretum_engine::openapi::Document;
use secretum_engine::{Class, Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use super::mounts::MountInfo;

/// Describes every path that is mounted, as an OpenAPI document.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadOpenApi {}

/// Lists the mounts that the caller has some right under.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListUiMounts {}

/// Describes the mount of a path, for clients that must know its type and version.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadUiMount {
    /// A path below the mount.
    path: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct UiMounts {
    auth: BTreeMap<String, MountInfo>,
    secret: BTreeMap<String, MountInfo>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct UiMount {
    path: String,
    #[serde(flatten)]
    info: MountInfo,
}

impl Handle<ReadOpenApi> for Sys {
    type Data = Value;
    type Error = Fault;

    async fn handle(&self, _: ReadOpenApi, context: &Context) -> Result<Reply<Value>, Fault> {
        let system = System::of(context)?;
        let mut document = Document::default();
        for class in [Class::Secret, Class::Auth] {
            for mount in system.active.mounts.all(class) {
                if may_see(&system, &mount) {
                    mount
                        .engine
                        .describe(&mut document, &format!("/{}", mount.path), None);
                }
            }
        }
        Ok(Reply::data(document.finish(env!("CARGO_PKG_VERSION"))))
    }
}

impl Handle<ListUiMounts> for Sys {
    type Data = UiMounts;
    type Error = Fault;

    async fn handle(&self, _: ListUiMounts, context: &Context) -> Result<Reply<UiMounts>, Fault> {
        let system = System::of(context)?;
        let visible = |class| {
            let mounts = system.active.mounts.all(class).into_iter();
            mounts
                .filter(|mount| {
                    mount.record.settings.config.listing_visibility == "unauth"
                        || may_see(&system, mount)
                })
                .map(|mount| (mount.record.path.clone(), MountInfo::of(&mount)))
                .collect()
        };
        Ok(Reply::data(UiMounts {
            auth: visible(Class::Auth),
            secret: visible(Class::Secret),
        }))
    }
}

impl Handle<ReadUiMount> for Sys {
    type Data = UiMount;
    type Error = Fault;

    async fn handle(&self, ask: ReadUiMount, context: &Context) -> Result<Reply<UiMount>, Fault> {
        let system = System::of(context)?;
        let found = system.active.mounts.find(&ask.path).map(|(mount, _)| mount);
        match found.filter(|mount| may_see(&system, mount)) {
            Some(mount) => Ok(Reply::data(UiMount {
                path: mount.path.to_string(),
                info: MountInfo::of(&mount),
            })),
            None => Err(Fault::DeniedBecause(
                format!(
                    "preflight capability check returned 403, please ensure client's policies \
                     grant access to path \"{}/\"",
                    ask.path.trim_end_matches('/')
                )
                .into(),
            )),
        }
    }
}

/// Whether the caller has some right under a mount. Everybody may know of those that every vault has.
fn may_see(system: &System, mount: &Mount) -> bool {
    match &system.identity {
        Some(identity) => identity.acl.any_right_below(&mount.path),
        None => mount.record.is_system(),
    }
}
