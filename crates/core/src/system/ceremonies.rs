//! The rows of the ceremonies: rekeying, and generating a root token.

mod generate_root;
mod rekey;

use super::{Sys, System};
use crate::OpenCeremonies;
use crate::ceremonies::is_share_length;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_crypto::{SecretBytes, SecretString};
use secretum_engine::{Access, Fault, Routes, Shape, Verb};
use serde::Deserialize;

/// Adds the rows. Who has no token may take part in what is `open` alone.
pub(super) fn rows(routes: Routes<Sys>, open: OpenCeremonies) -> Routes<Sys> {
    let access = |is_open: bool| {
        if is_open {
            Access::Public
        } else {
            Access::Token
        }
    };
    let routes = rekey_rows(routes, access(open.rekey));
    let routes = rotate_root_rows(routes);
    let routes = recovery_rows(routes, access(open.rekey));
    generate_root_rows(routes, access(open.generate_root))
}

fn rekey_rows(routes: Routes<Sys>, access: Access) -> Routes<Sys> {
    use rekey::{
        BeginRekey, CancelRekey, DeleteBackup, GiveShare, ReadBackup, ReadRekey, ReadVerification,
        RestartVerification, VerifyShare,
    };
    routes
        .on::<ReadRekey>(Verb::Read, "rekey/init", access)
        .shape(Shape::Bare)
        .on::<BeginRekey>(Verb::Write, "rekey/init", access)
        .shape(Shape::Bare)
        .on::<CancelRekey>(Verb::Delete, "rekey/init", access)
        .on::<GiveShare>(Verb::Write, "rekey/update", access)
        .shape(Shape::Bare)
        .on::<ReadVerification>(Verb::Read, "rekey/verify", access)
        .shape(Shape::Bare)
        .on::<VerifyShare>(Verb::Write, "rekey/verify", access)
        .shape(Shape::Bare)
        .on::<RestartVerification>(Verb::Delete, "rekey/verify", access)
        .shape(Shape::Bare)
        .on::<ReadBackup>(Verb::Read, "rekey/backup", Access::Sudo)
        .shape(Shape::Lifted)
        .on::<DeleteBackup>(Verb::Delete, "rekey/backup", Access::Sudo)
}

/// The same in the envelope, and never without a token.
fn rotate_root_rows(routes: Routes<Sys>) -> Routes<Sys> {
    use rekey::{
        BeginRekey, CancelRekey, DeleteBackup, GiveShare, ReadBackup, ReadRekey, ReadVerification,
        RestartVerification, VerifyShare,
    };
    routes
        .on::<ReadRekey>(Verb::Read, "rotate/root/init", Access::Token)
        .on::<BeginRekey>(Verb::Write, "rotate/root/init", Access::Token)
        .on::<CancelRekey>(Verb::Delete, "rotate/root/init", Access::Token)
        .on::<GiveShare>(Verb::Write, "rotate/root/update", Access::Token)
        .on::<ReadVerification>(Verb::Read, "rotate/root/verify", Access::Token)
        .on::<VerifyShare>(Verb::Write, "rotate/root/verify", Access::Token)
        .on::<RestartVerification>(Verb::Delete, "rotate/root/verify", Access::Token)
        .on::<ReadBackup>(Verb::Read, "rotate/root/backup", Access::Sudo)
        .shape(Shape::Lifted)
        .on::<DeleteBackup>(Verb::Delete, "rotate/root/backup", Access::Sudo)
}

/// Recovery keys belong to seals of another kind.
fn recovery_rows(mut routes: Routes<Sys>, access: Access) -> Routes<Sys> {
    use rekey::{ReadRecoveryBackup, Recovery};
    for (path, access) in [
        ("rekey-recovery-key/init", access),
        ("rekey-recovery-key/update", access),
        ("rekey-recovery-key/verify", access),
        ("rotate/recovery/init", Access::Token),
        ("rotate/recovery/update", Access::Token),
        ("rotate/recovery/verify", Access::Token),
    ] {
        routes = routes.on::<Recovery>(Verb::Write, path, access);
        if !path.ends_with("update") {
            routes = routes
                .on::<Recovery>(Verb::Read, path, access)
                .on::<Recovery>(Verb::Delete, path, access);
        }
    }
    for path in ["rekey/recovery-key-backup", "rotate/recovery/backup"] {
        routes = routes
            .on::<ReadRecoveryBackup>(Verb::Read, path, Access::Sudo)
            .on::<ReadRecoveryBackup>(Verb::Delete, path, Access::Sudo);
    }
    routes
}

fn generate_root_rows(mut routes: Routes<Sys>, access: Access) -> Routes<Sys> {
    use generate_root::{
        BeginGeneration, CancelGeneration, DecodeToken, GiveRootShare, ReadGeneration,
    };
    for (attempt, update, access, shape) in [
        (
            "generate-root/attempt",
            "generate-root/update",
            access,
            Shape::Bare,
        ),
        (
            "generate-root-token/attempt",
            "generate-root-token/update",
            Access::Token,
            Shape::Envelope,
        ),
    ] {
        routes = routes
            .on::<ReadGeneration>(Verb::Read, attempt, access)
            .shape(shape)
            .on::<BeginGeneration>(Verb::Write, attempt, access)
            .shape(shape)
            .on::<CancelGeneration>(Verb::Delete, attempt, access)
            .on::<GiveRootShare>(Verb::Write, update, access)
            .shape(shape);
    }
    // It computes with what it is given, and knows nothing of the vault.
    routes.on::<DecodeToken>(Verb::Write, "decode-token", Access::Public)
}

/// A share, or a password, as it is sent.
struct Sent(SecretString);

impl Default for Sent {
    fn default() -> Self {
        Self(SecretString::new(String::new()))
    }
}

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SecretString::deserialize(deserializer).map(Self)
    }
}

impl Sent {
    /// The bytes of a share, from hex or base64. Base64 can look like hex: the length tells.
    fn share(&self) -> Result<SecretBytes, Fault> {
        let text = self.0.expose().trim();
        if text.is_empty() {
            return Err(Fault::invalid(
                "'key' must be specified in request body as JSON",
            ));
        }
        let from_hex = hex::decode(text).map(SecretBytes::new).ok();
        let of_length = from_hex.filter(|share| is_share_length(share.len()));
        of_length
            .or_else(|| STANDARD.decode(text).map(SecretBytes::new).ok())
            .ok_or_else(|| Fault::invalid("'key' must be a valid hex or base64 string"))
    }
}
