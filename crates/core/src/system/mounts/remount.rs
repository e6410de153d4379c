//! `sys/remount`: another path for a mount. Its data stays where it is, below the mount's UUID, so that
//! one record changes, and all is done before the answer is given.

use super::change::end_leases;
use super::{Sys, System, folder};
use crate::leases::leaving_key;
use crate::mounts::{Migration, Mount, MountRecord};
use schemars::JsonSchema;
use secretum_crypto::random_uuid;
use secretum_engine::{Class, Context, Fault, Handle, Reply};
use secretum_storage::Batch;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Moves a mount to another path, with all it holds but its leases, which end.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Remount {
    /// Path of the mount, `auth/` in front for an auth method.
    #[serde(default)]
    from: String,
    /// Path that it gets.
    #[serde(default)]
    to: String,
}

/// Tells how far a move is.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadRemount {
    /// Id that the move was given.
    migration_id: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Moved {
    migration_id: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct MoveState {
    migration_id: String,
    migration_info: MoveInfo,
}

#[derive(Serialize, JsonSchema)]
struct MoveInfo {
    source_mount: String,
    target_mount: String,
    /// `success`: there is no other, since a move is done before it is told of.
    status: &'static str,
}

handler!(Remount, Moved, ask, context => remount(context, &ask).await);
handler!(ReadRemount, MoveState, ask, context => state(context, ask));

async fn remount(context: &Context, ask: &Remount) -> Result<Reply<Moved>, Fault> {
    if ask.from.is_empty() || ask.to.is_empty() {
        return Err(Fault::invalid(
            "both 'from' and 'to' path must be specified as a string",
        ));
    }
    let active = &System::of(context)?.active;
    let change = active.mounts.begin_change(active).await?;
    let (from, to) = (folder(&ask.from)?, folder(&ask.to)?);
    let mount = active
        .mounts
        .at(&from)
        .ok_or_else(|| Fault::invalid(format!("no matching mount at \"{from}\"")))?;
    let moved = moved(&mount, &to)?;
    let batch = active.mounts.prepare_move(change, &moved)?;
    if mount.engine.leases() {
        // The ids of its leases begin with the path that it leaves.
        let ended = end_leases(active, &mount).await;
        // It goes on to hand out, wherever it will be.
        let again = Batch::new().delete(leaving_key(&mount.record.uuid)?);
        active.commit(again).await?;
        ended?;
    }
    let migration_id = random_uuid(&*context.rng).map_err(Fault::internal)?;
    let migration = Migration { from, to };
    active.mounts.migrations.remember(&migration_id, migration);
    Ok(Reply::data(Moved { migration_id }).with_writes(batch))
}

/// The record of a mount at another path.
fn moved(mount: &Arc<Mount>, to: &str) -> Result<MountRecord, Fault> {
    let (record, from) = (&mount.record, &mount.path);
    if record.is_system() {
        return Err(Fault::invalid(format!("cannot remount \"{from}\"")));
    }
    let path = match (record.class(), to.strip_prefix("auth/")) {
        (Class::Auth, Some(path)) if !path.is_empty() => path,
        (Class::Auth, _) => {
            return Err(Fault::invalid(format!(
                "cannot remount auth mount to non-auth mount \"{to}\""
            )));
        }
        (Class::Secret, Some(_)) => {
            return Err(Fault::invalid(format!(
                "cannot remount to destination \"{to}\""
            )));
        }
        (Class::Secret, None) => to,
    };
    Ok(MountRecord {
        path: path.to_owned(),
        ..record.clone()
    })
}

fn state(context: &Context, ask: ReadRemount) -> Result<Reply<MoveState>, Fault> {
    let active = &System::of(context)?.active;
    let migration = active.mounts.migrations.of(&ask.migration_id);
    let Migration { from, to } = migration.ok_or(Fault::NotFound)?;
    Ok(Reply::data(MoveState {
        migration_id: ask.migration_id,
        migration_info: MoveInfo {
            source_mount: from,
            target_mount: to,
            status: "success",
        },
    }))
}
