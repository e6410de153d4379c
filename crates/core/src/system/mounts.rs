//! `sys/mounts` and `sys/auth`.

use super::{Sys, System};
use crate::mounts::{Mount, MountConfig, MountRecord, Mounts, NewMount, RecordClass};
use schemars::JsonSchema;
use secretum_api::RequestPath;
use secretum_api::fields::{CommaList, KeyValues, Seconds};
use secretum_engine::{Class, Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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

/// Enables a secret engine.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct EnableMount(Enable);

/// Enables an auth method.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct EnableAuth(Enable);

/// Enables an engine.
#[derive(Deserialize, JsonSchema)]
struct Enable {
    /// Path of the mount.
    path: String,
    /// The type of engine: `kv`…
    #[serde(rename = "type", default)]
    kind: String,
    /// A text for people.
    #[serde(default)]
    description: String,
    /// Settings, as tuning takes them.
    #[serde(default)]
    config: Tune,
    /// Options of the engine, such as `version`.
    #[serde(default)]
    options: KeyValues,
    /// Whether the mount belongs to this cluster alone.
    #[serde(default)]
    local: bool,
    /// Whether its values are encrypted by the seal, too.
    #[serde(default)]
    seal_wrap: bool,
    /// Accepted for compatibility.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    external_entropy_access: bool,
}

/// Disables a secret engine; what it held is deleted.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DisableMount {
    /// Path of the mount.
    path: String,
}

/// Disables an auth method; what it held is deleted.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DisableAuth {
    /// Path of the mount.
    path: String,
}

/// Reads the settings of a secret engine.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadMountTune {
    /// Path of the mount.
    path: String,
}

/// Reads the settings of an auth method.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadAuthTune {
    /// Path of the mount.
    path: String,
}

/// Changes settings of a secret engine; what is not named stays.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TuneMount {
    /// Path of the mount.
    path: String,
    /// The settings.
    #[serde(rename = "settings")]
    tune: Tune,
}

/// Changes settings of an auth method; what is not named stays.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TuneAuth {
    /// Path of the mount.
    path: String,
    /// The settings.
    #[serde(rename = "settings")]
    tune: Tune,
}

/// Settings of a mount; what is not named stays.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Tune {
    /// Life of a lease that asks for none; 0 for the system's.
    default_lease_ttl: Option<Seconds>,
    /// The longest life of a lease; 0 for the system's.
    max_lease_ttl: Option<Seconds>,
    /// A text for people.
    description: Option<String>,
    /// Options of the engine.
    options: Option<KeyValues>,
    /// Accepted for compatibility: nothing is cached that the storage does not vouch for.
    force_no_cache: Option<bool>,
    /// `unauth` shows the mount to everybody, `hidden` to those with a right under it.
    listing_visibility: Option<String>,
    /// The type of tokens that an auth method issues.
    token_type: Option<String>,
    /// Top-level keys of request bodies that audit logs show in the clear.
    audit_non_hmac_request_keys: Option<CommaList>,
    /// Top-level keys of answers that audit logs show in the clear.
    audit_non_hmac_response_keys: Option<CommaList>,
    /// Headers that the engine may see.
    passthrough_request_headers: Option<CommaList>,
    /// Headers that the engine may set.
    allowed_response_headers: Option<CommaList>,
}

/// What may be told of a mount.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MountInfo {
    #[serde(rename = "type")]
    kind: String,
    description: String,
    accessor: String,
    uuid: String,
    local: bool,
    seal_wrap: bool,
    external_entropy_access: bool,
    options: Option<BTreeMap<String, String>>,
    config: ConfigInfo,
    deprecation_status: &'static str,
    plugin_version: &'static str,
    running_plugin_version: String,
    running_sha256: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ConfigInfo {
    default_lease_ttl: u64,
    max_lease_ttl: u64,
    force_no_cache: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    listing_visibility: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    audit_non_hmac_request_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    audit_non_hmac_response_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    passthrough_request_headers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_response_headers: Vec<String>,
}

/// The settings in force.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TuneInfo {
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    config: ConfigInfo,
}

impl MountInfo {
    pub(crate) fn of(mount: &Mount) -> Self {
        let record = &mount.record;
        Self {
            kind: record.kind.clone(),
            description: record.description.clone(),
            accessor: record.accessor.clone(),
            uuid: record.uuid.clone(),
            local: record.local,
            seal_wrap: record.seal_wrap,
            external_entropy_access: false,
            options: Some(record.options.clone()).filter(|options| !options.is_empty()),
            config: ConfigInfo::of(&record.config, record.class(), None),
            deprecation_status: "supported",
            plugin_version: "",
            running_plugin_version: format!("v{}+builtin", env!("CARGO_PKG_VERSION")),
            running_sha256: "",
        }
    }
}

impl ConfigInfo {
    /// The settings as they are, or with the system's lives where there are none of its own.
    fn of(config: &MountConfig, class: Class, system: Option<(Duration, Duration)>) -> Self {
        let config = config.clone();
        let or = |own: u64, system: Option<u64>| if own == 0 { system.unwrap_or(0) } else { own };
        Self {
            default_lease_ttl: or(config.default_lease_ttl, system.map(|s| s.0.as_secs())),
            max_lease_ttl: or(config.max_lease_ttl, system.map(|s| s.1.as_secs())),
            force_no_cache: config.force_no_cache,
            listing_visibility: config.listing_visibility,
            token_type: (class == Class::Auth).then(|| match config.token_type.as_str() {
                "" => "default-service".to_owned(),
                _ => config.token_type,
            }),
            audit_non_hmac_request_keys: config.audit_non_hmac_request_keys,
            audit_non_hmac_response_keys: config.audit_non_hmac_response_keys,
            passthrough_request_headers: config.passthrough_request_headers,
            allowed_response_headers: config.allowed_response_headers,
        }
    }
}

impl Tune {
    /// Puts what is named in the place of what was.
    fn apply(self, record: &mut MountRecord) -> Result<(), Fault> {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        if let Some(options) = self.options {
            refuse_downgrade(record, &options.0)?;
            record.options.extend(options.0);
        }
        if let Some(word @ "") | Some(word @ "unauth") | Some(word @ "hidden") =
            self.listing_visibility.as_deref()
        {
            word.clone_into(&mut record.config.listing_visibility);
        } else if self.listing_visibility.is_some() {
            return Err(Fault::invalid(
                "listing_visibility must be `unauth` or `hidden`",
            ));
        }
        let config = &mut record.config;
        set(&mut record.description, self.description);
        set(
            &mut config.default_lease_ttl,
            self.default_lease_ttl.map(|ttl| ttl.0),
        );
        set(
            &mut config.max_lease_ttl,
            self.max_lease_ttl.map(|ttl| ttl.0),
        );
        set(&mut config.force_no_cache, self.force_no_cache);
        set(&mut config.token_type, self.token_type);
        let list = |list: Option<CommaList>| list.map(|list| list.0);
        set(
            &mut config.audit_non_hmac_request_keys,
            list(self.audit_non_hmac_request_keys),
        );
        set(
            &mut config.audit_non_hmac_response_keys,
            list(self.audit_non_hmac_response_keys),
        );
        set(
            &mut config.passthrough_request_headers,
            list(self.passthrough_request_headers),
        );
        set(
            &mut config.allowed_response_headers,
            list(self.allowed_response_headers),
        );
        if config.max_lease_ttl > 0 && config.default_lease_ttl > config.max_lease_ttl {
            return Err(Fault::invalid(format!(
                "default_lease_ttl of {} seconds is greater than max_lease_ttl of {} seconds",
                config.default_lease_ttl, config.max_lease_ttl
            )));
        }
        Ok(())
    }
}

/// A version holds what an older one cannot read.
fn refuse_downgrade(record: &MountRecord, new: &BTreeMap<String, String>) -> Result<(), Fault> {
    let version = |options: &BTreeMap<String, String>| {
        options
            .get("version")
            .map_or(Ok(1), |version| version.parse::<u32>())
    };
    match (version(&record.options), version(new)) {
        (Ok(old), Ok(new_version)) if new.contains_key("version") && new_version < old => Err(
            Fault::invalid(format!("cannot downgrade mount from version {old}")),
        ),
        (_, Err(_)) => Err(Fault::invalid("the option `version` must be a number")),
        _ => Ok(()),
    }
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

async fn enable(context: &Context, class: RecordClass, ask: Enable) -> Result<Reply<()>, Fault> {
    let mut options = ask.options.0;
    let mut kind = ask.kind;
    // `kv-v1` and `kv-v2` are other words for the versions of `kv`.
    for version in ["1", "2"] {
        if kind == format!("kv-v{version}") {
            "kv".clone_into(&mut kind);
            options.insert("version".to_owned(), version.to_owned());
        }
    }
    if kind.is_empty() {
        return Err(Fault::invalid(
            "the type of the engine is missing: `type` must be specified",
        ));
    }
    let new = NewMount {
        class,
        path: folder(&ask.path)?,
        kind,
        description: ask.description,
        config: MountConfig::default(),
        options,
        local: ask.local,
        seal_wrap: ask.seal_wrap,
    };
    // The settings are checked as tuning checks them.
    let mut record = new.record(String::new(), String::new());
    ask.config.apply(&mut record)?;
    let new = NewMount {
        class,
        path: record.path,
        kind: record.kind,
        description: record.description,
        config: record.config,
        options: record.options,
        local: record.local,
        seal_wrap: record.seal_wrap,
    };
    let active = &System::of(context)?.active;
    let change = active.mounts.begin_change(active).await?;
    Ok(Reply::wrote(active.mounts.prepare(change, new)?))
}

async fn disable(context: &Context, class: Class, path: &str) -> Result<Reply<()>, Fault> {
    let system = System::of(context)?;
    let change = system.active.mounts.begin_change(&system.active).await?;
    // Disabling what is not there is done already, as clients expect.
    let Ok(mount) = mount_at(&system, class, path) else {
        return Ok(Reply::empty());
    };
    if mount.record.is_system() {
        return Err(Fault::invalid(format!("cannot unmount \"{}\"", mount.path)));
    }
    Ok(Reply::wrote(Mounts::prepare_removal(change, &mount)?))
}

fn tuned(context: &Context, class: Class, path: &str) -> Result<Reply<TuneInfo>, Fault> {
    let system = System::of(context)?;
    let mount = mount_at(&system, class, path)?;
    let config = &system.active.core.config;
    let lives = (config.default_lease_ttl, config.max_lease_ttl);
    Ok(Reply::data(TuneInfo {
        description: mount.record.description.clone(),
        options: Some(mount.record.options.clone()).filter(|options| !options.is_empty()),
        config: ConfigInfo::of(&mount.record.config, class, Some(lives)),
    }))
}

async fn tune(context: &Context, class: Class, path: &str, tune: Tune) -> Result<Reply<()>, Fault> {
    let system = System::of(context)?;
    let mounts = &system.active.mounts;
    let change = mounts.begin_change(&system.active).await?;
    let mut record = mount_at(&system, class, path)?.record.clone();
    tune.apply(&mut record)?;
    Ok(Reply::wrote(mounts.prepare_change(change, &record)?))
}

/// Implements a handler of `Sys` in one line.
macro_rules! handler {
    ($request:ty, $data:ty, $ask:ident, $context:ident => $body:expr) => {
        impl Handle<$request> for Sys {
            type Data = $data;
            type Error = Fault;

            async fn handle(
                &self,
                $ask: $request,
                $context: &Context,
            ) -> Result<Reply<$data>, Fault> {
                $body
            }
        }
    };
}

handler!(ListMounts, BTreeMap<String, MountInfo>, _ask, context => infos(context, Class::Secret));
handler!(ListAuth, BTreeMap<String, MountInfo>, _ask, context => infos(context, Class::Auth));
handler!(ReadMount, MountInfo, ask, context => info(context, Class::Secret, &ask.path));
handler!(ReadAuth, MountInfo, ask, context => info(context, Class::Auth, &ask.path));
handler!(EnableMount, (), ask, context => enable(context, RecordClass::Secret, ask.0).await);
handler!(EnableAuth, (), ask, context => enable(context, RecordClass::Auth, ask.0).await);
handler!(DisableMount, (), ask, context => disable(context, Class::Secret, &ask.path).await);
handler!(DisableAuth, (), ask, context => disable(context, Class::Auth, &ask.path).await);
handler!(ReadMountTune, TuneInfo, ask, context => tuned(context, Class::Secret, &ask.path));
handler!(ReadAuthTune, TuneInfo, ask, context => tuned(context, Class::Auth, &ask.path));
handler!(TuneMount, (), ask, context => tune(context, Class::Secret, &ask.path, ask.tune).await);
handler!(TuneAuth, (), ask, context => tune(context, Class::Auth, &ask.path, ask.tune).await);
