//! Enabling and disabling mounts.

use super::tune::Tune;
use super::{Sys, System, folder, handler, mount_at};
use crate::mounts::{MountSettings, Mounts, NewMount, RecordClass};
use schemars::JsonSchema;
use secretum_api::fields::KeyValues;
use secretum_engine::{Class, Context, Fault, Handle, Reply};
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
    let mut settings = MountSettings {
        description: ask.description,
        options,
        ..MountSettings::default()
    };
    ask.config.apply(&mut settings)?;
    let new = NewMount {
        class,
        path: folder(&ask.path)?,
        kind,
        settings,
        local: ask.local,
        seal_wrap: ask.seal_wrap,
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

handler!(EnableMount, (), ask, context => enable(context, RecordClass::Secret, ask.0).await);
handler!(EnableAuth, (), ask, context => enable(context, RecordClass::Auth, ask.0).await);
handler!(DisableMount, (), ask, context => disable(context, Class::Secret, &ask.path).await);
handler!(DisableAuth, (), ask, context => disable(context, Class::Auth, &ask.path).await);
