//! `sys/internal`: OpenAPI, and the mounts a caller may know of.

use super::{Sys, System};
use crate::decision;
use crate::mounts::{Mount, MountRecord};
use schemars::JsonSchema;
use secretum_engine::{Class, Context, Fault, Handle, Reply};
use secretum_policy::RulePath;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::mounts::MountInfo;

/// Describes the paths that the caller may know of, as an OpenAPI document; of many mounts, the first.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadOpenApi {}

/// An OpenAPI document.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(crate) struct OpenApi(#[schemars(with = "serde_json::Value")] Arc<RawValue>);

impl Serialize for OpenApi {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Lists the mounts that the caller has some right under; without a token, those whose settings show
/// them to everybody.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListUiMounts {}

/// Describes the mount of a path, for clients that must know its type and version.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadUiMount {
    /// A path below the mount.
    path: String,
}

/// Tells what the HCL policies of the caller's token come to together.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadResultantAcl {}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ResultantAcl {
    root: bool,
    exact_paths: BTreeMap<String, Rights>,
    glob_paths: BTreeMap<String, Rights>,
}

#[derive(Serialize, JsonSchema)]
struct Rights {
    capabilities: Vec<&'static str>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct UiMounts {
    auth: BTreeMap<String, UiMountInfo>,
    secret: BTreeMap<String, UiMountInfo>,
}

/// What may be told of a mount: everything to who is known, little to everybody.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum UiMountInfo {
    Whole(Box<MountInfo>),
    Sign(Sign),
}

/// What a mount shows to everybody.
#[derive(Serialize, JsonSchema)]
struct Sign {
    #[serde(rename = "type")]
    kind: String,
    description: String,
    options: Option<BTreeMap<String, String>>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct UiMount {
    path: String,
    #[serde(flatten)]
    info: MountInfo,
}

/// What is said of rights by paths where Cedar has a say: its statements add up, one by one, under
/// circumstances, and name secrets, which are not the paths of the API.
const BESIDES_CEDAR: &str = "Cedar policies are in force: what they permit is not among these paths, and what \
                             they forbid is; sys/capabilities-self tells of a path";

impl Handle<ReadOpenApi> for Sys {
    type Data = OpenApi;
    type Error = Fault;

    async fn handle(&self, _: ReadOpenApi, context: &Context) -> Result<Reply<OpenApi>, Fault> {
        let system = System::of(context)?;
        let mounts = &system.active.mounts;
        let document = match &system.identity {
            Some(_) => mounts.describe(|mount| may_see(&system, mount)),
            None => mounts.describe_for_everybody(),
        };
        Ok(Reply::data(OpenApi(document?)))
    }
}

impl Handle<ListUiMounts> for Sys {
    type Data = UiMounts;
    type Error = Fault;

    async fn handle(&self, _: ListUiMounts, context: &Context) -> Result<Reply<UiMounts>, Fault> {
        let system = System::of(context)?;
        if system.token.is_some() && system.identity.is_none() {
            return Err(Fault::Denied);
        }
        let visible = |class| {
            let mounts = system.active.mounts.all(class).into_iter();
            mounts
                .filter(|mount| shows_itself(mount) || may_see(&system, mount))
                .map(|mount| (mount.record.path.clone(), ui_info(&system, &mount)))
                .collect()
        };
        Ok(Reply::data(UiMounts {
            auth: visible(Class::Auth),
            secret: visible(Class::Secret),
        }))
    }
}

impl Handle<ReadResultantAcl> for Sys {
    type Data = ResultantAcl;
    type Error = Fault;

    async fn handle(
        &self,
        _: ReadResultantAcl,
        context: &Context,
    ) -> Result<Reply<ResultantAcl>, Fault> {
        let system = System::of(context)?;
        let acl = &system.identity()?.acl;
        let mut all = ResultantAcl {
            root: acl.is_root(),
            exact_paths: BTreeMap::new(),
            glob_paths: BTreeMap::new(),
        };
        for (path, capabilities) in acl.rules() {
            let rights = Rights { capabilities };
            match path {
                RulePath::Exact(path) => all.exact_paths.insert(path.clone(), rights),
                RulePath::Glob(path) => all.glob_paths.insert(path.clone(), rights),
            };
        }
        let reply = Reply::data(all);
        if system.active.cedar.is_empty() {
            return Ok(reply);
        }
        Ok(reply.warn(BESIDES_CEDAR))
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

/// Whether the caller has some right under a mount.
fn may_see(system: &System, mount: &Mount) -> bool {
    let identity = system.identity.as_ref();
    identity.is_some_and(|identity| {
        let who = (&*identity.acl, &*identity.token);
        decision::any_right_below(&system.active, who, &mount.path)
    })
}

/// Whether a mount is shown to everybody.
fn shows_itself(mount: &Mount) -> bool {
    mount.record.settings.config.listing_visibility == "unauth"
}

fn ui_info(system: &System, mount: &Mount) -> UiMountInfo {
    let MountRecord { kind, settings, .. } = &mount.record;
    match &system.identity {
        Some(_) => UiMountInfo::Whole(Box::new(MountInfo::of(mount))),
        None => UiMountInfo::Sign(Sign {
            kind: kind.clone(),
            description: settings.description.clone(),
            options: Some(settings.options.clone()).filter(|options| !options.is_empty()),
        }),
    }
}
