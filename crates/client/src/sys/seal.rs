//! Making, opening and closing the vault, and how it fares.

use super::Sys;
use crate::{ClientError, Json, Request};
use secretum_crypto::SecretString;
use serde::{Deserialize, Serialize};

/// How a new vault's root key is shared out.
#[derive(Debug, Clone, Serialize)]
pub struct Init {
    /// How many shares there are.
    pub secret_shares: u64,
    /// How many of them open the vault.
    pub secret_threshold: u64,
    /// OpenPGP keys (base64), one a share, to encrypt the shares for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pgp_keys: Vec<String>,
    /// OpenPGP key to encrypt the root token for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_token_pgp_key: Option<String>,
    /// How many recovery shares there are, where another service unseals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_shares: Option<u64>,
    /// How many of them are needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_threshold: Option<u64>,
    /// OpenPGP keys for the recovery shares.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recovery_pgp_keys: Vec<String>,
}

/// The shares and the root token of a new vault.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct InitAnswer {
    /// The shares in hexadecimal.
    #[serde(default)]
    pub keys: Vec<SecretString>,
    /// The shares in base64.
    #[serde(default)]
    pub keys_base64: Vec<SecretString>,
    /// The recovery shares in hexadecimal.
    #[serde(default)]
    pub recovery_keys: Option<Vec<SecretString>>,
    /// The recovery shares in base64.
    #[serde(default)]
    pub recovery_keys_base64: Option<Vec<SecretString>>,
    /// The first token.
    pub root_token: SecretString,
}

/// Whether the vault is open, and how far it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SealStatus {
    /// `shamir`, or the service that unseals.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether there is a vault at all.
    pub initialized: bool,
    /// Whether it is closed.
    pub sealed: bool,
    /// How many shares open it.
    pub t: u64,
    /// How many shares there are.
    pub n: u64,
    /// How many have been given.
    pub progress: u64,
    /// Names this attempt; empty without one.
    pub nonce: String,
    /// The server's version.
    pub version: String,
    /// When it was built.
    pub build_date: String,
    /// The date of its newest change.
    pub commit_date: String,
    /// Whether the seal is being changed.
    pub migration: bool,
    /// Name of the cluster; empty while sealed.
    pub cluster_name: String,
    /// Id of the cluster; empty while sealed.
    pub cluster_id: String,
    /// Whether the shares are recovery shares.
    pub recovery_seal: bool,
    /// The storage.
    pub storage_type: String,
}

/// How the server fares.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Health {
    /// Whether there is a vault at all.
    pub initialized: bool,
    /// Whether it is closed.
    pub sealed: bool,
    /// Whether another node is active.
    pub standby: bool,
    /// The server's clock, in seconds since 1970.
    pub server_time_utc: i64,
    /// The server's version.
    pub version: String,
    /// Name of the cluster.
    pub cluster_name: String,
    /// Id of the cluster.
    pub cluster_id: String,
}

/// Which node is active.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Leader {
    /// Whether nodes stand in for one another.
    pub ha_enabled: bool,
    /// Whether the asked node is the active one.
    pub is_self: bool,
    /// Since when it is.
    pub active_time: String,
    /// The active node's address.
    pub leader_address: String,
    /// Its address for other nodes.
    pub leader_cluster_address: String,
    /// The newest entry of the Raft log that is committed.
    pub raft_committed_index: u64,
    /// The newest entry that is applied.
    pub raft_applied_index: u64,
}

/// The newest key of the keyring.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct KeyStatus {
    /// Its number.
    pub term: u64,
    /// When it came, RFC 3339.
    pub install_time: String,
    /// How often it encrypted.
    pub encryptions: u64,
}

#[derive(Serialize)]
struct Unseal<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    reset: bool,
    migrate: bool,
}

impl Sys<'_> {
    /// Whether there is a vault.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn initialized(&self) -> Result<bool, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            initialized: bool,
        }
        let answer: Answer = self.client.bare(Request::get("sys/init")).await?;
        Ok(answer.initialized)
    }

    /// Makes the vault.
    ///
    /// **Errors**: as [`crate::Client::send`]; 400 where there is one.
    pub async fn init(&self, init: &Init) -> Result<InitAnswer, ClientError> {
        self.client.bare(Request::put("sys/init").json(init)?).await
    }

    /// Whether the vault is open.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn seal_status(&self) -> Result<SealStatus, ClientError> {
        self.client.bare(Request::get("sys/seal-status")).await
    }

    /// Gives one share, in hexadecimal or base64.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn unseal(&self, key: &SecretString, migrate: bool) -> Result<Json, ClientError> {
        let body = Unseal {
            key: Some(key.expose()),
            reset: false,
            migrate,
        };
        self.client
            .bare(Request::put("sys/unseal").json(&body)?)
            .await
    }

    /// Forgets the shares given so far.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn unseal_reset(&self) -> Result<Json, ClientError> {
        let body = Unseal {
            key: None,
            reset: true,
            migrate: false,
        };
        self.client
            .bare(Request::put("sys/unseal").json(&body)?)
            .await
    }

    /// Closes the vault.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn seal(&self) -> Result<(), ClientError> {
        self.client.done(Request::put("sys/seal")).await
    }

    /// How the server fares; a sealed, standing-by or empty one is an answer too.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn health(&self) -> Result<Health, ClientError> {
        let codes = ["uninitcode", "sealedcode", "standbycode", "drsecondarycode"];
        let request = Request::get("sys/health").query("perfstandbyok", "true");
        let request = codes
            .iter()
            .fold(request, |request, code| request.query(*code, "299"));
        self.client.bare(request).await
    }

    /// Which node is active.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn leader(&self) -> Result<Leader, ClientError> {
        self.client.bare(Request::get("sys/leader")).await
    }

    /// The newest key of the keyring.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn key_status(&self) -> Result<KeyStatus, ClientError> {
        self.client.data(Request::get("sys/key-status")).await
    }

    /// Adds a key to the keyring; what is written from now on is encrypted under it.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn rotate(&self) -> Result<(), ClientError> {
        self.client.done(Request::post("sys/rotate")).await
    }
}
