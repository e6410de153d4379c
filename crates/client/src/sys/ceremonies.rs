//! What the holders of shares do together: new shares, and a root token.
//!
//! Answers come as they are, for the fields that the server has; [`RekeyStatus`] and its like are read
//! out of them.

use super::Sys;
use crate::{ClientError, Json, Request};
use secretum_crypto::SecretString;
use serde::{Deserialize, Serialize};

/// New shares that are wanted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Rekey {
    /// How many shares there are to be.
    pub secret_shares: u64,
    /// How many of them are to open the vault.
    pub secret_threshold: u64,
    /// OpenPGP keys (base64), one a share, to encrypt the shares for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pgp_keys: Vec<String>,
    /// Whether the encrypted shares are kept in the vault, too.
    pub backup: bool,
    /// Whether the new shares take effect only when they were given back.
    pub require_verification: bool,
}

/// How far a rekey is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RekeyStatus {
    /// Names the rekey.
    pub nonce: String,
    /// Whether there is one.
    pub started: bool,
    /// How many of the new shares are to open the vault.
    pub t: u64,
    /// How many new shares there are to be.
    pub n: u64,
    /// How many shares were given.
    pub progress: u64,
    /// How many are needed.
    pub required: u64,
    /// Of the keys that the new shares are encrypted for.
    pub pgp_fingerprints: Option<Vec<String>>,
    /// Whether the encrypted shares are kept.
    pub backup: bool,
    /// Whether the new shares must be given back.
    pub verification_required: bool,
    /// Names the verification; empty before.
    pub verification_nonce: String,
    /// Whether this was the last share.
    pub complete: bool,
}

/// New shares.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NewShares {
    /// Names the rekey.
    pub nonce: String,
    /// The shares in hexadecimal.
    pub keys: Vec<SecretString>,
    /// The shares in base64.
    pub keys_base64: Vec<SecretString>,
    /// Of the keys that they are encrypted for.
    pub pgp_fingerprints: Option<Vec<String>>,
    /// Whether the encrypted shares are kept.
    pub backup: bool,
    /// Whether they must be given back.
    pub verification_required: bool,
    /// Names the verification.
    pub verification_nonce: String,
    /// What their holders must know.
    pub warning: Option<String>,
}

/// How far a root token is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RootStatus {
    /// Names the attempt.
    pub nonce: String,
    /// Whether there is one.
    pub started: bool,
    /// How many shares were given.
    pub progress: u64,
    /// How many are needed.
    pub required: u64,
    /// Whether this was the last share.
    pub complete: bool,
    /// The token under its cover; empty before.
    pub encoded_token: String,
    /// The same, as older servers name it.
    pub encoded_root_token: String,
    /// Of the key that the token is encrypted for.
    pub pgp_fingerprint: String,
    /// The password that covers the token, where the server made it.
    pub otp: String,
    /// How many characters a password has.
    pub otp_length: usize,
}

/// What a ceremony is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceremony {
    /// New shares.
    Rekey,
    /// Giving the new shares back.
    Verification,
    /// A root token.
    Root,
}

impl Ceremony {
    fn status_path(self) -> &'static str {
        match self {
            Self::Rekey => "sys/rekey/init",
            Self::Verification => "sys/rekey/verify",
            Self::Root => "sys/generate-root/attempt",
        }
    }

    fn update_path(self) -> &'static str {
        match self {
            Self::Rekey => "sys/rekey/update",
            Self::Verification => "sys/rekey/verify",
            Self::Root => "sys/generate-root/update",
        }
    }
}

#[derive(Serialize)]
struct Share<'a> {
    key: &'a str,
    nonce: &'a str,
}

impl Sys<'_> {
    /// How far a ceremony is.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn ceremony(&self, ceremony: Ceremony) -> Result<Json, ClientError> {
        let request = Request::get(ceremony.status_path());
        self.client.bare(request).await
    }

    /// Gives one share to a ceremony, in hexadecimal or base64.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn give_share(
        &self,
        ceremony: Ceremony,
        nonce: &str,
        key: &SecretString,
    ) -> Result<Json, ClientError> {
        let key = key.expose();
        let request = Request::put(ceremony.update_path()).json(&Share { key, nonce })?;
        self.client.bare(request).await
    }

    /// Ends a ceremony; a verification begins anew.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn cancel_ceremony(&self, ceremony: Ceremony) -> Result<(), ClientError> {
        let request = Request::delete(ceremony.status_path());
        self.client.done(request).await
    }

    /// Begins to give the seal new shares.
    ///
    /// **Errors**: as [`crate::Client::send`]; 400 where that is under way.
    pub async fn begin_rekey(&self, rekey: &Rekey) -> Result<Json, ClientError> {
        let request = Request::put("sys/rekey/init").json(rekey)?;
        self.client.bare(request).await
    }

    /// Begins to make a root token, under a password or for the holder of an OpenPGP key (base64);
    /// without either the server makes a password.
    ///
    /// **Errors**: as [`crate::Client::send`]; 400 where that is under way.
    pub async fn begin_root(&self, otp: &str, pgp_key: &str) -> Result<Json, ClientError> {
        #[derive(Serialize)]
        struct Begin<'a> {
            otp: &'a str,
            pgp_key: &'a str,
        }
        let request = Request::put("sys/generate-root/attempt").json(&Begin { otp, pgp_key })?;
        self.client.bare(request).await
    }

    /// Deletes the encrypted shares that a rekey kept.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn delete_rekey_backup(&self) -> Result<(), ClientError> {
        self.client.done(Request::delete("sys/rekey/backup")).await
    }

    /// Hands the lead to another node.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn step_down(&self) -> Result<(), ClientError> {
        self.client.done(Request::put("sys/step-down")).await
    }
}
