//! Enabling and disabling mounts.

use super::tune::{Settings, idle, refuse_plugin_version};
use super::{Sys, System, folder, mount_at};
use crate::Core;
use crate::active::Active;
use crate::leases::{Force, How, Place, leaving_key};
use crate::mounts::{Mount, MountSettings, Mounts, NewMount};
use schemars::JsonSchema;
use secretum_api::fields::KeyValues;
use secretum_engine::{Class, Context, Fault, Handle, Reply};
use secretum_storage::Batch;
use serde::Deserialize;

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
    config: Settings,
    /// Options of the engine, such as `version`.
    #[serde(default)]
    options: KeyValues,
    /// Whether the mount belongs to this cluster alone. Stored, without effect in this version.
    #[serde(default)]
    local: bool,
    /// Whether its values are encrypted by the seal, too. Stored, without effect in this version.
    #[serde(default)]
    seal_wrap: bool,
    /// Whether it may take randomness from outside. Stored, without effect in this version.
    #[serde(default)]
    external_entropy_access: bool,
    /// Not served by this version: engines are built in.
    #[serde(default)]
    plugin_version: String,
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

async fn enable(context: &Context, class: Class, ask: Enable) -> Result<Reply<()>, Fault> {
    let active = &System::of(context)?.active;
    let (new, warnings) = ask.mount(class, &active.core)?;
    let change = active.mounts.begin_change(active).await?;
    let reply = Reply::wrote(active.mounts.prepare(change, new)?);
    Ok(warnings.into_iter().fold(reply, Reply::warn))
}

impl Enable {
    /// The mount that is wanted, and what its maker should know.
    fn mount(self, class: Class, core: &Core) -> Result<(NewMount, Vec<String>), Fault> {
        let mut options = self.options.0;
        let (kind, version) = core.engine_word(&self.kind);
        if let Some(version) = version {
            options.insert("version".to_owned(), version.to_owned());
        }
        if kind.is_empty() {
            return Err(Fault::invalid(
                "the type of the engine is missing: `type` must be specified",
            ));
        }
        refuse_plugin_version(&self.plugin_version)?;
        let mut settings = MountSettings {
            description: self.description,
            options,
            ..MountSettings::default()
        };
        let mut warnings = self.config.apply("config.", class, kind, &mut settings)?;
        for (setting, named) in [
            ("local", self.local),
            ("seal_wrap", self.seal_wrap),
            ("external_entropy_access", self.external_entropy_access),
        ] {
            warnings.extend(named.then(|| idle(setting)));
        }
        let new = NewMount {
            class: class.into(),
            path: folder(&self.path)?,
            kind: kind.to_owned(),
            settings,
            local: self.local,
            seal_wrap: self.seal_wrap,
            external_entropy_access: self.external_entropy_access,
        };
        Ok((new, warnings))
    }
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
    if mount.engine.leases() {
        end_leases(&system.active, &mount).await?;
    }
    Ok(Reply::wrote(Mounts::prepare_removal(change, &mount)?))
}

/// Ends all that a mount handed out. From here on it hands out nothing more, also where it stays since
/// something could not be ended.
pub(super) async fn end_leases(active: &Active, mount: &Mount) -> Result<(), Fault> {
    let fence = Batch::new().put(leaving_key(&mount.record.uuid)?, Vec::new());
    active.commit(fence).await?;
    let all = Place::folder(&mount.record.uuid, "")?;
    let ended = active
        .leases
        .revoke_below(active, all, How::Now(Force::No))
        .await;
    ended.map(drop).map_err(|fault| match fault {
        Fault::Unavailable(told) => Fault::invalid(format!(
            "{told}; the mount hands out nothing more, and stays where it is until this is done again: \
             give its leases up with sys/leases/revoke-force/{} where they cannot be ended",
            mount.path
        )),
        other => other,
    })
}

handler!(EnableMount, (), ask, context => enable(context, Class::Secret, ask.0).await);
handler!(EnableAuth, (), ask, context => enable(context, Class::Auth, ask.0).await);
handler!(DisableMount, (), ask, context => disable(context, Class::Secret, &ask.path).await);
handler!(DisableAuth, (), ask, context => disable(context, Class::Auth, &ask.path).await);
