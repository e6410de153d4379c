//! Generating a root token: the holders of enough shares make one, for whoever began it.
//!
//! The token leaves covered, by a one-time password that the beginner alone knows or by a PGP key, so
//! that none of the holders learns it.

use super::confirm::Undo;
use super::{Begun, check_length, required, whole};
use crate::active::Active;
use crate::error::barrier;
use crate::tokens::{NewToken, token_length};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use secretum_barrier::BarrierError;
use secretum_crypto::{PgpKey, SecretBytes, SecretString, random_base62};
use secretum_engine::Fault;
use std::sync::Arc;

/// A root token in the making.
#[derive(Debug)]
pub(crate) struct RootGeneration {
    cover: Cover,
}

/// What the token leaves under.
#[derive(Debug)]
enum Cover {
    Otp(SecretString),
    Pgp(Box<PgpKey>),
}

/// How far it is.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) nonce: String,
    pub(crate) is_started: bool,
    pub(crate) progress: usize,
    pub(crate) required: usize,
    pub(crate) fingerprint: String,
    /// The token under its cover, once it is made.
    pub(crate) encoded_token: String,
    /// The password, where the vault made it: told at the beginning alone.
    pub(crate) otp: Option<SecretString>,
}

/// Characters of a password: as many as a root token has.
pub(crate) fn otp_length() -> usize {
    token_length()
}

impl Begun<RootGeneration> {
    fn status(&self, required: usize) -> Status {
        let fingerprint = match &self.what.cover {
            Cover::Pgp(key) => key.fingerprint().to_owned(),
            Cover::Otp(_) => String::new(),
        };
        Status {
            nonce: self.nonce.clone(),
            is_started: true,
            progress: self.shares.len(),
            required,
            fingerprint,
            ..Status::default()
        }
    }
}

/// How far the root token is.
pub(crate) async fn status(active: &Active) -> Result<Status, Fault> {
    let required = required(active).await?;
    let place = active.ceremonies.root.enter(active).await;
    Ok(match &*place {
        Some(begun) => begun.status(required),
        None => Status {
            required,
            ..Status::default()
        },
    })
}

/// Begins to make a root token, under a password or for the holder of a key. Without either, the vault
/// makes a password, which is told this once.
///
/// **Errors**: [`Fault::Invalid`] where one is under way, or password or key cannot be used.
pub(crate) async fn begin(
    active: &Active,
    otp: SecretString,
    pgp_key: &str,
) -> Result<Status, Fault> {
    let required = required(active).await?;
    let (cover, told) = cover(active, otp, pgp_key)?;
    let mut place = active.ceremonies.root.enter(active).await;
    if place.is_some() {
        return Err(Fault::invalid("root generation already in progress"));
    }
    let begun = Begun::new(active, RootGeneration { cover })?;
    tracing::info!(nonce = begun.nonce, "the generation of a root token begins");
    Ok(Status {
        otp: told,
        ..place.insert(begun).status(required)
    })
}

fn cover(
    active: &Active,
    otp: SecretString,
    pgp_key: &str,
) -> Result<(Cover, Option<SecretString>), Fault> {
    if !otp.is_empty() && !pgp_key.is_empty() {
        return Err(Fault::invalid(
            "`otp` and `pgp_key` exclude each other: the token leaves under one of them",
        ));
    }
    if !pgp_key.is_empty() {
        let key = active.core.envelope().key(pgp_key, "the PGP key")?;
        return Ok((Cover::Pgp(Box::new(key)), None));
    }
    if otp.is_empty() {
        let rng = &*active.core.config.rng;
        let otp = random_base62(rng, otp_length()).map_err(Fault::internal)?;
        return Ok((Cover::Otp(otp.duplicate()), Some(otp)));
    }
    if otp.len() != otp_length() {
        return Err(Fault::invalid(format!(
            "OTP string is wrong length: it has {} characters, and a token {}",
            otp.len(),
            otp_length()
        )));
    }
    Ok((Cover::Otp(otp), None))
}

/// Ends the generation without effect. A nonce, where one is given, must be its own.
pub(crate) async fn cancel(active: &Active, given: &str) -> Result<(), Fault> {
    let mut place = active.ceremonies.root.enter(active).await;
    if let Some(begun) = place.as_ref().filter(|_| !given.is_empty()) {
        begun.check_nonce(given, "root generation")?;
    }
    if place.take().is_some() {
        tracing::info!("the generation of a root token is cancelled");
    }
    Ok(())
}

/// Takes a share; with the last of them, makes the token.
///
/// **Errors**: [`Fault::Invalid`]; where the shares together are wrong, all are forgotten.
pub(crate) async fn give(
    active: &Arc<Active>,
    request_id: &str,
    given: String,
    share: SecretBytes,
) -> Result<Status, Fault> {
    check_length(&share)?;
    let request_id = request_id.to_owned();
    whole(active, |active| async move {
        let required = required(&active).await?;
        let mut place = active.ceremonies.root.enter(&active).await;
        let begun = place
            .as_mut()
            .ok_or_else(|| Fault::invalid("no root generation in progress"))?;
        begun.check_nonce(&given, "root generation")?;
        let Some(shares) = begun.collect(&active, share, required)? else {
            return Ok(begun.status(required));
        };
        let verified = active.core.barrier.verify_shares(&shares).await;
        verified.map_err(aborted)?;
        let encoded_token = make(&active, &request_id, &begun.what.cover).await?;
        let made = Status {
            encoded_token,
            progress: required,
            ..begun.status(required)
        };
        *place = None;
        tracing::info!(nonce = made.nonce, "a root token is generated");
        Ok(made)
    })
    .await
}

fn aborted(error: BarrierError) -> Fault {
    match error {
        BarrierError::WrongShares => Fault::invalid(format!("root generation aborted: {error}")),
        other => barrier(other),
    }
}

/// Makes a root token, and gives it under its cover.
async fn make(active: &Active, request_id: &str, cover: &Cover) -> Result<String, Fault> {
    let (token, batch) = active.tokens.prepare(NewToken::root(None))?;
    let encoded = match cover {
        Cover::Otp(otp) => STANDARD_NO_PAD.encode(xor(&token, otp)?.expose()),
        Cover::Pgp(key) => STANDARD.encode(active.core.envelope().seal(key, &token)?),
    };
    active.commit(batch).await?;
    let id = active.tokens.id(token.expose());
    let unconfirmed = &active.ceremonies.unconfirmed;
    unconfirmed
        .done(active, request_id, Undo::Token { id })
        .await;
    Ok(encoded)
}

/// Takes the cover of a password off a token.
///
/// **Errors**: [`Fault::Invalid`] where it is not the password of this token.
pub(crate) fn decode(encoded: &str, otp: &SecretString) -> Result<SecretString, Fault> {
    let refuse = |why: &str| Fault::invalid(format!("the token cannot be decoded: {why}"));
    let encoded = encoded.trim().trim_end_matches('=');
    let covered = STANDARD_NO_PAD
        .decode(encoded)
        .map_err(|_| refuse("it is not in base64"))?;
    if covered.len() != otp.len() {
        return Err(refuse("it and the password differ in length"));
    }
    let bytes = covered.iter().zip(otp.expose().bytes());
    let bytes = bytes.map(|(one, other)| one ^ other).collect();
    let token = String::from_utf8(bytes).map_err(|_| refuse("it is of another password"))?;
    Ok(SecretString::new(token))
}

fn xor(token: &SecretString, otp: &SecretString) -> Result<SecretBytes, Fault> {
    if token.len() != otp.len() {
        return Err(Fault::internal("a root token is not as long as its cover"));
    }
    let bytes = token.expose().bytes().zip(otp.expose().bytes());
    Ok(SecretBytes::new(
        bytes.map(|(one, other)| one ^ other).collect(),
    ))
}
