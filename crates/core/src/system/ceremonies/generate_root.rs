//! `sys/generate-root` and `sys/decode-token`; the first also as `sys/generate-root-token`, as newer
//! clients say it.

use super::{Sent, Sys, System};
use crate::ceremonies::root::{self, Status};
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Tells how far the generation of a root token is.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadGeneration {}

/// Begins to generate a root token.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct BeginGeneration {
    /// A password to cover the token with, of as many characters; the vault makes one without it.
    #[serde(default)]
    #[schemars(with = "String")]
    otp: Sent,
    /// PGP public key in base64, to encrypt the token with instead.
    #[serde(default)]
    pgp_key: String,
}

/// Ends the generation of a root token.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CancelGeneration {
    /// Nonce of the generation, to end no other one; any where it is left out.
    #[serde(default)]
    nonce: String,
}

/// Gives a share to generate a root token.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct GiveRootShare {
    /// The share, in hex or base64.
    #[serde(default)]
    #[schemars(with = "String")]
    key: Sent,
    /// Nonce of the generation.
    #[serde(default)]
    nonce: String,
}

/// Takes the cover of its password off a token.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DecodeToken {
    /// The token as its generation gave it.
    #[serde(default)]
    encoded_token: String,
    /// The password.
    #[serde(default)]
    #[schemars(with = "String")]
    otp: Sent,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct GenerationState {
    nonce: String,
    started: bool,
    progress: usize,
    required: usize,
    complete: bool,
    encoded_token: String,
    encoded_root_token: String,
    pgp_fingerprint: String,
    otp: String,
    otp_length: usize,
}

/// What covers the token, and the token with it, are gone from memory once they are told.
impl Drop for GenerationState {
    fn drop(&mut self) {
        self.encoded_token.zeroize();
        self.encoded_root_token.zeroize();
        self.otp.zeroize();
    }
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Decoded {
    token: String,
}

impl Drop for Decoded {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

impl From<Status> for GenerationState {
    fn from(status: Status) -> Self {
        let otp = status.otp.as_ref();
        Self {
            nonce: status.nonce,
            started: status.is_started,
            progress: status.progress,
            required: status.required,
            complete: !status.encoded_token.is_empty(),
            encoded_root_token: status.encoded_token.clone(),
            encoded_token: status.encoded_token,
            pgp_fingerprint: status.fingerprint,
            otp: otp.map(|otp| otp.expose().to_owned()).unwrap_or_default(),
            otp_length: root::otp_length(),
        }
    }
}

impl Handle<ReadGeneration> for Sys {
    type Data = GenerationState;
    type Error = Fault;

    async fn handle(
        &self,
        _: ReadGeneration,
        context: &Context,
    ) -> Result<Reply<GenerationState>, Fault> {
        let status = root::status(&System::of(context)?.active).await?;
        Ok(Reply::data(status.into()))
    }
}

impl Handle<BeginGeneration> for Sys {
    type Data = GenerationState;
    type Error = Fault;

    async fn handle(
        &self,
        ask: BeginGeneration,
        context: &Context,
    ) -> Result<Reply<GenerationState>, Fault> {
        let active = &System::of(context)?.active;
        let status = root::begin(active, ask.otp.0, &ask.pgp_key).await?;
        Ok(Reply::data(status.into()))
    }
}

impl Handle<CancelGeneration> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, ask: CancelGeneration, context: &Context) -> Result<Reply<()>, Fault> {
        root::cancel(&System::of(context)?.active, &ask.nonce).await?;
        Ok(Reply::empty())
    }
}

impl Handle<GiveRootShare> for Sys {
    type Data = GenerationState;
    type Error = Fault;

    async fn handle(
        &self,
        ask: GiveRootShare,
        context: &Context,
    ) -> Result<Reply<GenerationState>, Fault> {
        let (system, share) = (System::of(context)?, ask.key.share()?);
        let status = root::give(&system.active, &context.request_id, ask.nonce, share).await?;
        Ok(Reply::data(status.into()))
    }
}

impl Handle<DecodeToken> for Sys {
    type Data = Decoded;
    type Error = Fault;

    async fn handle(&self, ask: DecodeToken, _: &Context) -> Result<Reply<Decoded>, Fault> {
        if ask.encoded_token.is_empty() || ask.otp.0.is_empty() {
            return Err(Fault::invalid("provided 'encoded_token' or 'otp' is empty"));
        }
        let token = root::decode(&ask.encoded_token, &ask.otp.0)?;
        Ok(Reply::data(Decoded {
            token: token.expose().to_owned(),
        }))
    }
}
