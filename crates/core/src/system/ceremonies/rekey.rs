//! `sys/rekey` and `sys/rekey-recovery-key`; the same as `sys/rotate/root` and `sys/rotate/recovery`,
//! as newer clients say it.

use super::{Sent, Sys, System};
use crate::ceremonies::rekey::{
    self, Backup, Given, NewShares, Plan, Status, Verification, Verified,
};
use crate::error::barrier;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use secretum_api::fields::CommaList;
use secretum_barrier::SealConfig;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroize;

/// Tells how far the rekey is.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadRekey {}

/// Begins to give the seal new shares.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct BeginRekey {
    /// Number of new shares.
    #[serde(default)]
    secret_shares: u64,
    /// Number of them that unseal.
    #[serde(default)]
    secret_threshold: u64,
    /// PGP public keys in base64, one a share, to encrypt the new shares with.
    #[serde(default)]
    pgp_keys: CommaList,
    /// Whether the encrypted shares are kept in the vault, too.
    #[serde(default)]
    backup: bool,
    /// Whether the new shares take effect only when they were given back.
    #[serde(default)]
    require_verification: bool,
}

/// Ends the rekey; the shares in force stay.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CancelRekey {
    /// Nonce of the rekey, to end no other one; any where it is left out.
    #[serde(default)]
    nonce: String,
}

/// Gives a share of the seal in force.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct GiveShare {
    /// The share, in hex or base64.
    #[serde(default)]
    #[schemars(with = "String")]
    key: Sent,
    /// Nonce of the rekey.
    #[serde(default)]
    nonce: String,
}

/// Tells how far the verification of the new shares is.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadVerification {}

/// Gives a new share back.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct VerifyShare {
    /// The share, in hex or base64.
    #[serde(default)]
    #[schemars(with = "String")]
    key: Sent,
    /// Nonce of the verification.
    #[serde(default)]
    nonce: String,
}

/// Begins the verification of the new shares anew.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RestartVerification {}

/// Shows the encrypted shares that a rekey kept.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadBackup {}

/// Deletes the encrypted shares that a rekey kept.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeleteBackup {}

/// Recovery keys belong to seals of another kind than this vault has.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Recovery {}

/// Shows recovery keys that a rekey kept: there are none.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadRecoveryBackup {}

#[derive(Serialize, JsonSchema)]
pub(crate) struct RekeyState {
    nonce: String,
    started: bool,
    t: u8,
    n: u8,
    progress: usize,
    /// How many shares of the seal in force are needed.
    required: usize,
    pgp_fingerprints: Option<Vec<String>>,
    backup: bool,
    verification_required: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    verification_nonce: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct RekeyKeys {
    nonce: String,
    complete: bool,
    keys: Vec<String>,
    keys_base64: Vec<String>,
    pgp_fingerprints: Option<Vec<String>>,
    backup: bool,
    verification_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_nonce: Option<String>,
    /// What the holders must know.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

/// Shares are gone from memory once they are told.
impl Drop for RekeyKeys {
    fn drop(&mut self) {
        self.keys.zeroize();
        self.keys_base64.zeroize();
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ShareAnswer {
    /// More shares are needed.
    More(RekeyState),
    /// These are the new ones.
    Done(RekeyKeys),
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct VerificationState {
    nonce: String,
    started: bool,
    t: u8,
    n: u8,
    progress: usize,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct VerificationEnd {
    nonce: String,
    complete: bool,
    /// What the holders must know.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum VerificationAnswer {
    /// More shares are needed.
    More(VerificationState),
    /// The new shares are in force.
    Done(VerificationEnd),
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct BackupAnswer {
    nonce: String,
    keys: BTreeMap<String, Vec<String>>,
    keys_base64: BTreeMap<String, Vec<String>>,
}

impl From<Status> for RekeyState {
    fn from(status: Status) -> Self {
        Self {
            nonce: status.nonce,
            started: status.is_started,
            t: status.threshold,
            n: status.shares,
            progress: status.progress,
            required: status.required,
            pgp_fingerprints: status.fingerprints,
            backup: status.backup,
            verification_required: status.verify,
            verification_nonce: status.verification_nonce,
        }
    }
}

impl From<NewShares> for RekeyKeys {
    fn from(new: NewShares) -> Self {
        let shares = || new.shares.iter();
        Self {
            keys: shares().map(|share| hex::encode(share.expose())).collect(),
            keys_base64: shares()
                .map(|share| STANDARD.encode(share.expose()))
                .collect(),
            complete: true,
            verification_required: new.verification_nonce.is_some(),
            nonce: new.nonce,
            pgp_fingerprints: new.fingerprints,
            backup: new.backup,
            verification_nonce: new.verification_nonce,
            warning: new.warning,
        }
    }
}

impl From<Verification> for VerificationState {
    fn from(verification: Verification) -> Self {
        Self {
            nonce: verification.nonce,
            started: verification.is_started,
            t: verification.threshold,
            n: verification.shares,
            progress: verification.progress,
        }
    }
}

impl TryFrom<Backup> for BackupAnswer {
    type Error = Fault;

    fn try_from(backup: Backup) -> Result<Self, Fault> {
        let mut keys_base64 = BTreeMap::new();
        for (fingerprint, shares) in &backup.keys {
            let encode = |share: &String| hex::decode(share).map(|share| STANDARD.encode(share));
            let shares: Result<Vec<_>, _> = shares.iter().map(encode).collect();
            keys_base64.insert(fingerprint.clone(), shares.map_err(Fault::internal)?);
        }
        Ok(Self {
            nonce: backup.nonce,
            keys: backup.keys,
            keys_base64,
        })
    }
}

impl Handle<ReadRekey> for Sys {
    type Data = RekeyState;
    type Error = Fault;

    async fn handle(&self, _: ReadRekey, context: &Context) -> Result<Reply<RekeyState>, Fault> {
        let system = System::of(context)?;
        Ok(Reply::data(rekey::status(&system.active).await?.into()))
    }
}

impl Handle<BeginRekey> for Sys {
    type Data = RekeyState;
    type Error = Fault;

    async fn handle(&self, ask: BeginRekey, context: &Context) -> Result<Reply<RekeyState>, Fault> {
        let system = System::of(context)?;
        if ask.backup && ask.pgp_keys.0.is_empty() {
            return Err(Fault::invalid(
                "cannot request a backup of the new keys without providing PGP keys for encryption",
            ));
        }
        let config =
            SealConfig::shamir(ask.secret_shares, ask.secret_threshold).map_err(barrier)?;
        let envelope = self.core()?.envelope();
        let plan = Plan {
            holders: envelope.holders(&ask.pgp_keys.0, config.shares)?,
            config,
            backup: ask.backup,
            verify: ask.require_verification,
        };
        Ok(Reply::data(
            rekey::begin(&system.active, plan).await?.into(),
        ))
    }
}

impl Handle<CancelRekey> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, ask: CancelRekey, context: &Context) -> Result<Reply<()>, Fault> {
        rekey::cancel(&System::of(context)?.active, &ask.nonce).await?;
        Ok(Reply::empty())
    }
}

impl Handle<GiveShare> for Sys {
    type Data = ShareAnswer;
    type Error = Fault;

    async fn handle(&self, ask: GiveShare, context: &Context) -> Result<Reply<ShareAnswer>, Fault> {
        let (system, share) = (System::of(context)?, ask.key.share()?);
        let given = rekey::give(&system.active, &context.request_id, ask.nonce, share).await?;
        Ok(Reply::data(match given {
            Given::More(status) => ShareAnswer::More(status.into()),
            Given::Done(new) => ShareAnswer::Done(new.into()),
        }))
    }
}

impl Handle<ReadVerification> for Sys {
    type Data = VerificationState;
    type Error = Fault;

    async fn handle(
        &self,
        _: ReadVerification,
        context: &Context,
    ) -> Result<Reply<VerificationState>, Fault> {
        let verification = rekey::verification(&System::of(context)?.active).await?;
        Ok(Reply::data(verification.into()))
    }
}

impl Handle<VerifyShare> for Sys {
    type Data = VerificationAnswer;
    type Error = Fault;

    async fn handle(
        &self,
        ask: VerifyShare,
        context: &Context,
    ) -> Result<Reply<VerificationAnswer>, Fault> {
        let (system, share) = (System::of(context)?, ask.key.share()?);
        let verified = rekey::verify(&system.active, &context.request_id, ask.nonce, share).await?;
        Ok(Reply::data(match verified {
            Verified::More(verification) => VerificationAnswer::More(verification.into()),
            Verified::Done(end) => VerificationAnswer::Done(VerificationEnd {
                nonce: end.nonce,
                complete: true,
                warning: end.warning,
            }),
        }))
    }
}

impl Handle<RestartVerification> for Sys {
    type Data = VerificationState;
    type Error = Fault;

    async fn handle(
        &self,
        _: RestartVerification,
        context: &Context,
    ) -> Result<Reply<VerificationState>, Fault> {
        let verification = rekey::restart_verification(&System::of(context)?.active).await?;
        Ok(Reply::data(verification.into()))
    }
}

impl Handle<ReadBackup> for Sys {
    type Data = BackupAnswer;
    type Error = Fault;

    async fn handle(&self, _: ReadBackup, context: &Context) -> Result<Reply<BackupAnswer>, Fault> {
        let backup = rekey::read_backup(&System::of(context)?.active).await?;
        Ok(Reply::data(backup.try_into()?))
    }
}

impl Handle<DeleteBackup> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: DeleteBackup, _: &Context) -> Result<Reply<()>, Fault> {
        Ok(Reply::wrote(rekey::delete_backup()?))
    }
}

impl Handle<Recovery> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: Recovery, _: &Context) -> Result<Reply<()>, Fault> {
        Err(Fault::invalid("recovery rekeying not supported"))
    }
}

impl Handle<ReadRecoveryBackup> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: ReadRecoveryBackup, _: &Context) -> Result<Reply<()>, Fault> {
        Err(Fault::invalid("no backed-up keys found"))
    }
}
