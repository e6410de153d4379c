//! `sys/locked-users`: whom too many wrong passwords keep out.
//!
//! An auth method locks its users; while none here has users, nobody is locked.

use super::Sys;
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};

/// Lists the users that are locked, by mount.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadLocked {
    /// Only those of the mount with this accessor.
    #[serde(default)]
    mount_accessor: String,
}

/// Unlocks a user; also one who is not locked.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Unlock {
    /// Accessor of the mount that the user logs in at.
    #[expect(dead_code, reason = "nobody is locked on any mount")]
    mount_accessor: String,
    /// The name that the user logs in with.
    #[expect(dead_code, reason = "nobody is locked on any mount")]
    alias_identifier: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Locked {
    by_namespace: Vec<OfNamespace>,
    total: u64,
}

#[derive(Serialize, JsonSchema)]
struct OfNamespace {
    namespace_id: &'static str,
    namespace_path: &'static str,
    counts: u64,
    mount_accessors: Vec<OfMount>,
}

#[derive(Serialize, JsonSchema)]
struct OfMount {
    mount_accessor: String,
    counts: u64,
    alias_identifiers: Option<Vec<String>>,
}

handler!(ReadLocked, Locked, ask, _context => {
    let asked = Some(ask.mount_accessor).filter(|accessor| !accessor.is_empty());
    let mount_accessors = asked.map(|mount_accessor| OfMount {
        mount_accessor,
        counts: 0,
        alias_identifiers: None,
    });
    Ok(Reply::data(Locked {
        by_namespace: vec![OfNamespace {
            namespace_id: "root",
            namespace_path: "",
            counts: 0,
            mount_accessors: mount_accessors.into_iter().collect(),
        }],
        total: 0,
    }))
});

handler!(Unlock, (), _ask, _context => Ok(Reply::empty()));
