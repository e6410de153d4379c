//! Reading and changing the settings of mounts.

use super::info::ConfigInfo;
use super::{Sys, System, handler, mount_at};
use crate::mounts::MountSettings;
use schemars::JsonSchema;
use secretum_api::fields::{CommaList, KeyValues, Seconds};
use secretum_engine::{Class, Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};
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
pub(super) struct Tune {
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
    let config = &system.active.core.config;
    let lives = (config.default_lease_ttl, config.max_lease_ttl);
    Ok(Reply::data(TuneInfo {
        description: settings.description.clone(),
        options: Some(settings.options.clone()).filter(|options| !options.is_empty()),
        config: ConfigInfo::of(&settings.config, class, Some(lives)),
    }))
}

async fn tune(context: &Context, class: Class, path: &str, tune: Tune) -> Result<Reply<()>, Fault> {
    let system = System::of(context)?;
    let mounts = &system.active.mounts;
    let change = mounts.begin_change(&system.active).await?;
    let mut record = mount_at(&system, class, path)?.record.clone();
    tune.apply(&mut record.settings)?;
    Ok(Reply::wrote(mounts.prepare_change(change, &record)?))
}

impl Tune {
    /// Puts what is named in the place of what was.
    pub(super) fn apply(self, settings: &mut MountSettings) -> Result<(), Fault> {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        if let Some(options) = self.options {
            refuse_downgrade(&settings.options, &options.0)?;
            settings.options.extend(options.0);
        }
        if let Some(word @ "") | Some(word @ "unauth") | Some(word @ "hidden") =
            self.listing_visibility.as_deref()
        {
            word.clone_into(&mut settings.config.listing_visibility);
        } else if self.listing_visibility.is_some() {
            return Err(Fault::invalid(
                "listing_visibility must be `unauth` or `hidden`",
            ));
        }
        let config = &mut settings.config;
        set(&mut settings.description, self.description);
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

handler!(ReadMountTune, TuneInfo, ask, context => tuned(context, Class::Secret, &ask.path));
handler!(ReadAuthTune, TuneInfo, ask, context => tuned(context, Class::Auth, &ask.path));
handler!(TuneMount, (), ask, context => tune(context, Class::Secret, &ask.path, ask.tune).await);
handler!(TuneAuth, (), ask, context => tune(context, Class::Auth, &ask.path, ask.tune).await);
