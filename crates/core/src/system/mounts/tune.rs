//! Reading and changing the settings of mounts.

use super::info::ConfigInfo;
use super::{Sys, System, mount_at};
use crate::mounts::MountSettings;
use schemars::JsonSchema;
use secretum_api::fields::{CommaList, JsonObject, KeyValues, Seconds};
use secretum_engine::{Class, Context, Fault, Handle, Reply, read_object};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

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
    #[serde(default)]
    settings: Settings,
}

/// Changes settings of an auth method; what is not named stays.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TuneAuth {
    /// Path of the mount.
    path: String,
    /// The settings.
    #[serde(default)]
    settings: Settings,
}

/// Settings of a mount; what is not named stays.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Tune {
    /// Life of a lease that asks for none; 0 or `system` for the system's.
    #[schemars(with = "Option<Seconds>")]
    default_lease_ttl: Option<LeaseLife>,
    /// The longest life of a lease; 0 or `system` for the system's.
    #[schemars(with = "Option<Seconds>")]
    max_lease_ttl: Option<LeaseLife>,
    /// A text for people.
    description: Option<String>,
    /// Options of the engine.
    options: Option<KeyValues>,
    /// Accepted for compatibility: nothing is cached that the storage does not vouch for.
    force_no_cache: Option<bool>,
    /// `unauth` shows the mount to everybody, `hidden` to those with a right under it.
    listing_visibility: Option<String>,
    /// The type of tokens that an auth method issues: `default-service` or `service`.
    token_type: Option<String>,
    /// Top-level keys of request bodies that audit logs show in the clear.
    audit_non_hmac_request_keys: Option<CommaList>,
    /// Top-level keys of answers that audit logs show in the clear.
    audit_non_hmac_response_keys: Option<CommaList>,
    /// Headers that the engine may see. Stored, without effect in this version.
    passthrough_request_headers: Option<CommaList>,
    /// Headers that the engine may set. Stored, without effect in this version.
    allowed_response_headers: Option<CommaList>,
    /// Managed keys that the engine may use. Stored, without effect in this version.
    allowed_managed_keys: Option<CommaList>,
    /// Auth methods that the engine may pass logins to. Stored, without effect in this version.
    delegated_auth_accessors: Option<CommaList>,
    /// The key that signs the engine's identity tokens. Stored, without effect in this version.
    identity_token_key: Option<String>,
    /// Not served by this version: engines are built in.
    plugin_version: Option<String>,
    /// Not served by this version.
    user_lockout_config: Option<JsonObject>,
}

/// A duration in seconds, or the word `system`, which is 0.
#[derive(Debug, Clone, Copy)]
struct LeaseLife(u64);

impl<'de> Deserialize<'de> for LeaseLife {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = serde_json::Value::deserialize(deserializer)?;
        if given.as_str() == Some("system") {
            return Ok(Self(0));
        }
        let Seconds(seconds) = Seconds::deserialize(given).map_err(D::Error::custom)?;
        Ok(Self(seconds))
    }
}

/// Settings as they came, and what they say.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Settings(#[schemars(with = "Tune")] Option<JsonObject>);

/// The settings in force.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TuneInfo {
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    config: ConfigInfo,
}

fn tuned(context: &Context, class: Class, path: &str) -> Result<Reply<TuneInfo>, Fault> {
    let system = System::of(context)?;
    let mount = mount_at(&system, class, path)?;
    let settings = &mount.record.settings;
    let lives = system.active.mounts.lives(&settings.config);
    Ok(Reply::data(TuneInfo {
        description: settings.description.clone(),
        options: Some(settings.options.clone()).filter(|options| !options.is_empty()),
        config: ConfigInfo::of(&settings.config, class, lives),
    }))
}

async fn tune(
    context: &Context,
    class: Class,
    path: &str,
    settings: Settings,
) -> Result<Reply<()>, Fault> {
    let system = System::of(context)?;
    let mounts = &system.active.mounts;
    let change = mounts.begin_change(&system.active).await?;
    let mut record = mount_at(&system, class, path)?.record.clone();
    let warnings = settings.apply("", class, &record.kind, &mut record.settings)?;
    let reply = Reply::wrote(mounts.prepare_change(change, &record)?);
    Ok(warnings.into_iter().fold(reply, Reply::warn))
}

/// The warning over a setting that is kept for those who read it back.
pub(super) fn idle(setting: &str) -> String {
    format!("`{setting}` is stored and has no effect in this version")
}

/// Refuses any version of a plugin: there is the one that is built in.
pub(super) fn refuse_plugin_version(version: &str) -> Result<(), Fault> {
    if version.is_empty() {
        return Ok(());
    }
    Err(Fault::invalid(
        "`plugin_version` is not served by this version: engines are built in",
    ))
}

impl Settings {
    /// Puts what is named in the place of what was, for an engine of this class and kind; `prefix`
    /// stands before the names in warnings. Returns what the caller should know.
    pub(super) fn apply(
        self,
        prefix: &str,
        class: Class,
        kind: &str,
        settings: &mut MountSettings,
    ) -> Result<Vec<String>, Fault> {
        let Some(object) = &self.0 else {
            return Ok(Vec::new());
        };
        let (tune, unknown) = read_object::<Tune>(object)?;
        tune.refuse_unserved(class, kind)?;
        let idle = tune
            .idle()
            .map(|setting| idle(&format!("{prefix}{setting}")));
        let mut warnings: Vec<String> = idle.collect();
        if !unknown.is_empty() {
            let names = unknown.iter().map(|name| format!("{prefix}{name}"));
            let names = names.collect::<Vec<_>>().join(", ");
            warnings.push(format!(
                "Endpoint ignored these unrecognized parameters: [{names}]"
            ));
        }
        tune.apply(settings)?;
        Ok(warnings)
    }
}

impl Tune {
    /// Refuses what would be believed to work and does not.
    fn refuse_unserved(&self, class: Class, kind: &str) -> Result<(), Fault> {
        let refuse = |text: &'static str| Err(Fault::invalid(text));
        refuse_plugin_version(self.plugin_version.as_deref().unwrap_or_default())?;
        if self
            .user_lockout_config
            .as_ref()
            .is_some_and(|c| !c.is_empty())
        {
            return refuse("`user_lockout_config` is not served by this version");
        }
        let Some(token_type) = self.token_type.as_deref().filter(|word| !word.is_empty()) else {
            return Ok(());
        };
        match token_type {
            _ if class != Class::Auth => refuse("`token_type` can be set for auth methods only"),
            _ if kind == "token" => {
                refuse("`token_type` cannot be set for the auth method `token`")
            }
            "default-service" | "service" => Ok(()),
            "default-batch" | "batch" => {
                refuse("no auth method that can be enabled issues batch tokens in this version")
            }
            _ => refuse("`token_type` must be `default-service` or `service`"),
        }
    }

    /// The settings that are named, kept, and change nothing.
    fn idle(&self) -> impl Iterator<Item = &'static str> {
        let lists = [
            (
                "passthrough_request_headers",
                &self.passthrough_request_headers,
            ),
            ("allowed_response_headers", &self.allowed_response_headers),
            ("allowed_managed_keys", &self.allowed_managed_keys),
            ("delegated_auth_accessors", &self.delegated_auth_accessors),
        ];
        let named = |list: &Option<CommaList>| list.as_ref().is_some_and(|l| !l.0.is_empty());
        let lists = lists.map(|(setting, list)| (setting, named(list)));
        let key = self.identity_token_key.as_ref();
        let key = ("identity_token_key", key.is_some_and(|key| !key.is_empty()));
        let all = lists.into_iter().chain([key]);
        all.filter_map(|(setting, named)| named.then_some(setting))
    }

    fn apply(self, settings: &mut MountSettings) -> Result<(), Fault> {
        if let Some(options) = self.options {
            refuse_downgrade(&settings.options, &options.0)?;
            settings.options.extend(options.0);
        }
        let config = &mut settings.config;
        match self.listing_visibility.as_deref() {
            None => {}
            Some(word @ ("" | "unauth" | "hidden")) => {
                word.clone_into(&mut config.listing_visibility);
            }
            Some(_) => {
                return Err(Fault::invalid(
                    "listing_visibility must be `unauth` or `hidden`",
                ));
            }
        }
        let seconds = |ttl: LeaseLife| ttl.0;
        let list = |list: CommaList| list.0;
        set(&mut settings.description, self.description);
        set(
            &mut config.default_lease_ttl,
            self.default_lease_ttl.map(seconds),
        );
        set(&mut config.max_lease_ttl, self.max_lease_ttl.map(seconds));
        set(&mut config.force_no_cache, self.force_no_cache);
        set(&mut config.token_type, self.token_type);
        set(&mut config.identity_token_key, self.identity_token_key);
        for (place, given) in [
            (
                &mut config.audit_non_hmac_request_keys,
                self.audit_non_hmac_request_keys,
            ),
            (
                &mut config.audit_non_hmac_response_keys,
                self.audit_non_hmac_response_keys,
            ),
            (
                &mut config.passthrough_request_headers,
                self.passthrough_request_headers,
            ),
            (
                &mut config.allowed_response_headers,
                self.allowed_response_headers,
            ),
            (&mut config.allowed_managed_keys, self.allowed_managed_keys),
            (
                &mut config.delegated_auth_accessors,
                self.delegated_auth_accessors,
            ),
        ] {
            set(place, given.map(list));
        }
        Ok(())
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// A version holds what an older one cannot read.
fn refuse_downgrade(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Result<(), Fault> {
    let version = |options: &BTreeMap<String, String>| {
        options
            .get("version")
            .map_or(Ok(1), |version| version.parse::<u32>())
    };
    match (version(old), version(new)) {
        (Ok(old), Ok(new_version)) if new.contains_key("version") && new_version < old => Err(
            Fault::invalid(format!("cannot downgrade mount from version {old}")),
        ),
        (_, Err(_)) => Err(Fault::invalid("the option `version` must be a number")),
        _ => Ok(()),
    }
}

/// What stands below `mounts/`: auth methods, too, at the path that clients tune them at.
fn class_of(path: &str) -> (Class, &str) {
    match path.strip_prefix("auth/") {
        Some(rest) => (Class::Auth, rest),
        None => (Class::Secret, path),
    }
}

handler!(ReadMountTune, TuneInfo, ask, context => {
    let (class, path) = class_of(&ask.path);
    tuned(context, class, path)
});
handler!(ReadAuthTune, TuneInfo, ask, context => tuned(context, Class::Auth, &ask.path));
handler!(TuneMount, (), ask, context => {
    let (class, path) = class_of(&ask.path);
    tune(context, class, path, ask.settings).await
});
handler!(TuneAuth, (), ask, context => tune(context, Class::Auth, &ask.path, ask.settings).await);
