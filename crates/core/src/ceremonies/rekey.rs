//! Rekeying: the holders of enough shares give the seal new ones.
//!
//! Shares gather until there are enough; then new ones are drawn. They take effect at once, or, where
//! verification was asked for, when as many of them were given back as are to open the vault: until
//! then the old ones stay in force, so that shares that were lost on the way lose nobody the vault.

mod backup;

pub(crate) use backup::{Backup, delete_backup, read_backup};

use super::confirm::Undo;
use super::{Begun, check_length, collect, nonce, required, whole};
use crate::active::Active;
use crate::error::barrier;
use crate::holders::Holders;
use secretum_barrier::{NewSeal, SealConfig};
use secretum_crypto::SecretBytes;
use secretum_engine::Fault;
use std::sync::Arc;

/// What is wanted of a rekey.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) config: SealConfig,
    /// Whom the new shares are encrypted for.
    pub(crate) holders: Holders,
    /// Whether the encrypted shares are stored, too.
    pub(crate) backup: bool,
    /// Whether the new shares must be given back before they take effect.
    pub(crate) verify: bool,
}

/// A rekey under way.
#[derive(Debug)]
pub(crate) struct Rekey {
    plan: Plan,
    /// The seal that waits to be verified.
    drawn: Option<Drawn>,
}

#[derive(Debug)]
struct Drawn {
    nonce: String,
    seal: NewSeal,
    backup: Option<Backup>,
    /// The new shares that were given back so far.
    shares: Vec<SecretBytes>,
}

/// How far a rekey is.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) nonce: String,
    pub(crate) is_started: bool,
    pub(crate) threshold: u8,
    pub(crate) shares: u8,
    pub(crate) progress: usize,
    /// How many shares of the seal in force are needed.
    pub(crate) required: usize,
    pub(crate) fingerprints: Option<Vec<String>>,
    pub(crate) backup: bool,
    pub(crate) verify: bool,
    /// Empty unless new shares wait to be verified.
    pub(crate) verification_nonce: String,
}

/// How far a verification is.
#[derive(Debug, Default)]
pub(crate) struct Verification {
    pub(crate) nonce: String,
    pub(crate) is_started: bool,
    pub(crate) threshold: u8,
    pub(crate) shares: u8,
    pub(crate) progress: usize,
}

/// What a share brought about.
#[derive(Debug)]
pub(crate) enum Given {
    /// More are needed.
    More(Status),
    /// These are the new ones.
    Done(NewShares),
}

/// What a new share that was given back brought about.
#[derive(Debug)]
pub(crate) enum Verified {
    /// More are needed.
    More(Verification),
    /// The new shares are in force.
    Done(Outcome),
}

/// How a verification ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) nonce: String,
    pub(crate) warning: Option<&'static str>,
}

/// The new shares, shown this once.
#[derive(Debug)]
pub(crate) struct NewShares {
    pub(crate) nonce: String,
    /// As they are handed out.
    pub(crate) shares: Vec<SecretBytes>,
    pub(crate) fingerprints: Option<Vec<String>>,
    pub(crate) backup: bool,
    /// Where they take effect only when they are verified: under this nonce.
    pub(crate) verification_nonce: Option<String>,
    pub(crate) warning: Option<&'static str>,
}

/// What holders are told where the storage failed in the middle.
const IN_DOUBT: &str = "the storage failed, and it is not known whether the new shares took effect: \
                        keep them and the old ones until the vault was unsealed again";

impl Begun<Rekey> {
    fn status(&self, required: usize) -> Status {
        let plan = &self.what.plan;
        let drawn = self.what.drawn.as_ref();
        Status {
            nonce: self.nonce.clone(),
            is_started: true,
            threshold: plan.config.threshold,
            shares: plan.config.shares,
            progress: self.shares.len(),
            required,
            fingerprints: plan.holders.fingerprints(),
            backup: plan.backup,
            verify: plan.verify,
            verification_nonce: drawn.map(|drawn| drawn.nonce.clone()).unwrap_or_default(),
        }
    }

    fn verification(&self) -> Verification {
        let config = &self.what.plan.config;
        let drawn = self.what.drawn.as_ref();
        Verification {
            nonce: drawn.map(|drawn| drawn.nonce.clone()).unwrap_or_default(),
            is_started: drawn.is_some(),
            threshold: config.threshold,
            shares: config.shares,
            progress: drawn.map_or(0, |drawn| drawn.shares.len()),
        }
    }
}

/// How far the rekey is.
pub(crate) async fn status(active: &Active) -> Result<Status, Fault> {
    let required = required(active).await?;
    let place = active.ceremonies.rekey.enter(active).await;
    Ok(match &*place {
        Some(begun) => begun.status(required),
        None => Status {
            required,
            ..Status::default()
        },
    })
}

/// Begins a rekey.
///
/// **Errors**: [`Fault::Invalid`] where one is under way.
pub(crate) async fn begin(active: &Active, plan: Plan) -> Result<Status, Fault> {
    let required = required(active).await?;
    let mut place = active.ceremonies.rekey.enter(active).await;
    if place.is_some() {
        return Err(Fault::invalid("rekey already in progress"));
    }
    let begun = Begun::new(active, Rekey { plan, drawn: None })?;
    let (config, verify) = (&begun.what.plan.config, begun.what.plan.verify);
    let (nonce, shares, threshold) = (&begun.nonce, config.shares, config.threshold);
    tracing::info!(nonce, shares, threshold, verify, "a rekey begins");
    Ok(place.insert(begun).status(required))
}

/// Ends a rekey without effect. A nonce, where one is given, must be that of the rekey.
pub(crate) async fn cancel(active: &Active, given: &str) -> Result<(), Fault> {
    let mut place = active.ceremonies.rekey.enter(active).await;
    if let Some(begun) = place.as_ref().filter(|_| !given.is_empty()) {
        begun.check_nonce(given, "rekey")?;
    }
    if place.take().is_some() {
        tracing::info!("the rekey is cancelled");
    }
    Ok(())
}

/// Takes a share of the seal in force; with the last of them, draws the new shares.
///
/// **Errors**: [`Fault::Invalid`]; where the shares together are wrong, all are forgotten.
pub(crate) async fn give(
    active: &Arc<Active>,
    request_id: &str,
    given: String,
    share: SecretBytes,
) -> Result<Given, Fault> {
    check_length(&share)?;
    let request_id = request_id.to_owned();
    whole(active, |active| async move {
        let required = required(&active).await?;
        let mut place = active.ceremonies.rekey.enter(&active).await;
        let begun = place
            .as_mut()
            .ok_or_else(|| Fault::invalid("no barrier rekey in progress"))?;
        begun.refuse_drawn()?;
        begun.check_nonce(&given, "rekey")?;
        let Some(shares) = begun.collect(&active, share, required)? else {
            return Ok(Given::More(begun.status(required)));
        };
        let verified = active.core.barrier.verify_shares(&shares).await;
        verified.map_err(barrier)?;
        let (drawn, mut new) = begun.draw(&active)?;
        if begun.what.plan.verify {
            new.verification_nonce = Some(drawn.nonce.clone());
            begun.what.drawn = Some(drawn);
        } else {
            new.warning = commit(&active, &request_id, drawn).await?;
            *place = None;
        }
        Ok(Given::Done(new))
    })
    .await
}

impl Begun<Rekey> {
    fn refuse_drawn(&self) -> Result<(), Fault> {
        match &self.what.drawn {
            Some(drawn) => Err(Fault::invalid(format!(
                "rekey operation already finished; verification must be performed; nonce for the \
                 verification operation is \"{}\"",
                drawn.nonce
            ))),
            None => Ok(()),
        }
    }

    /// Draws the new shares, which protect nothing yet.
    fn draw(&self, active: &Active) -> Result<(Drawn, NewShares), Fault> {
        let plan = &self.what.plan;
        let (seal, shares) = active
            .core
            .barrier
            .draw_seal(plan.config.clone())
            .map_err(barrier)?;
        let envelope = active.core.envelope();
        let shares = envelope.hand_out(&plan.holders, &shares)?;
        let fingerprints = plan.holders.fingerprints();
        let backup = fingerprints.as_ref().filter(|_| plan.backup);
        let drawn = Drawn {
            nonce: nonce(active)?,
            seal,
            backup: backup.map(|prints| Backup::new(&self.nonce, prints, &shares)),
            shares: Vec::new(),
        };
        let new = NewShares {
            nonce: self.nonce.clone(),
            shares,
            fingerprints,
            backup: plan.backup,
            verification_nonce: None,
            warning: None,
        };
        Ok((drawn, new))
    }
}

/// Puts the new shares in force; a warning where it is not known whether they are.
async fn commit(
    active: &Active,
    request_id: &str,
    drawn: Drawn,
) -> Result<Option<&'static str>, Fault> {
    let (write, unwrite) = backup::exchange(active, drawn.backup.as_ref()).await?;
    let rekeyed = active.core.barrier.rekey(&drawn.seal, write).await;
    let rekeyed = rekeyed.map_err(barrier)?;
    let warning = rekeyed.doubt.as_ref().map(|error| {
        tracing::error!(%error, "it is not known whether the new shares are in force");
        IN_DOUBT
    });
    let (shares, threshold) = (drawn.seal.shares(), drawn.seal.threshold());
    tracing::info!(shares, threshold, "the vault has new shares");
    let undo = Undo::Seal {
        rekeyed,
        along: unwrite,
    };
    let unconfirmed = &active.ceremonies.unconfirmed;
    unconfirmed.done(active, request_id, undo).await;
    Ok(warning)
}

/// How far the verification of the new shares is.
pub(crate) async fn verification(active: &Active) -> Result<Verification, Fault> {
    let place = active.ceremonies.rekey.enter(active).await;
    let begun = place.as_ref().map(Begun::verification);
    begun.ok_or_else(|| Fault::invalid("no rekey configuration found"))
}

/// Forgets the new shares that were given back, under another nonce.
pub(crate) async fn restart_verification(active: &Active) -> Result<Verification, Fault> {
    let mut place = active.ceremonies.rekey.enter(active).await;
    let begun = place
        .as_mut()
        .ok_or_else(|| Fault::invalid("no rekey configuration found"))?;
    if let Some(drawn) = &mut begun.what.drawn {
        drawn.shares.clear();
        drawn.nonce = nonce(active)?;
    }
    Ok(begun.verification())
}

/// Takes a new share back; with the last of them, they are in force.
///
/// **Errors**: [`Fault::Invalid`]; where the shares together are wrong, all are forgotten.
pub(crate) async fn verify(
    active: &Arc<Active>,
    request_id: &str,
    given: String,
    share: SecretBytes,
) -> Result<Verified, Fault> {
    check_length(&share)?;
    let request_id = request_id.to_owned();
    whole(active, |active| async move {
        let mut place = active.ceremonies.rekey.enter(&active).await;
        let begun = place
            .as_mut()
            .ok_or_else(|| Fault::invalid("no rekey in progress"))?;
        begun.touched = active.core.config.clock.now();
        let drawn = begun
            .what
            .drawn
            .as_mut()
            .ok_or_else(|| Fault::invalid("no rekey verification in progress"))?;
        super::check_nonce(&given, &drawn.nonce, "verify")?;
        let threshold = usize::from(drawn.seal.threshold());
        let Some(shares) = collect(&mut drawn.shares, share, threshold, "verify")? else {
            return Ok(Verified::More(begun.verification()));
        };
        if !drawn.seal.is_made_of(&shares) {
            drawn.nonce = nonce(&active)?;
            return Err(Fault::invalid(
                "rekey verification failed; incorrect key shares supplied",
            ));
        }
        let nonce = drawn.nonce.clone();
        let Some(drawn) = begun.what.drawn.take() else {
            return Err(Fault::internal("the drawn seal is gone"));
        };
        let warning = commit(&active, &request_id, drawn).await?;
        *place = None;
        Ok(Verified::Done(Outcome { nonce, warning }))
    })
    .await
}
