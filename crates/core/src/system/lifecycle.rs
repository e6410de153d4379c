//! `sys/init`, `sys/unseal`, `sys/seal-status`, `sys/health`, `sys/leader`.

use super::Sys;
use crate::error::barrier;
use crate::lifecycle::Receivers;
use crate::{Core, NodeState, Status};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use secretum_api::VAULT_API_VERSION;
use secretum_api::fields::CommaList;
use secretum_barrier::SealConfig;
use secretum_crypto::{SecretBytes, SecretString};
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Tells whether the vault is initialized.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadInit {}

/// Initializes the vault: makes its keys and a root token, and shows them this once.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Initialize {
    /// Number of shares to split the unseal key into.
    #[serde(default)]
    secret_shares: u64,
    /// Number of shares that unseal.
    #[serde(default)]
    secret_threshold: u64,
    /// PGP public keys in base64, one a share, to encrypt the shares with.
    #[serde(default)]
    pgp_keys: CommaList,
    /// PGP public key in base64 to encrypt the root token with.
    #[serde(default)]
    root_token_pgp_key: String,
    /// Refused: a Shamir seal has no recovery keys.
    #[serde(default)]
    recovery_shares: u64,
    /// Refused: a Shamir seal has no recovery keys.
    #[serde(default)]
    recovery_threshold: u64,
    /// Refused: a Shamir seal has no recovery keys.
    #[serde(default)]
    recovery_pgp_keys: CommaList,
}

impl Initialize {
    /// Refuses what a vault would be made without: it is made once.
    fn check(&self) -> Result<(), Fault> {
        let asked = [
            ("recovery_shares", self.recovery_shares > 0),
            ("recovery_threshold", self.recovery_threshold > 0),
            ("recovery_pgp_keys", !self.recovery_pgp_keys.0.is_empty()),
        ];
        let asked: Vec<&str> = (asked.iter().filter(|(_, asked)| *asked))
            .map(|(name, _)| *name)
            .collect();
        if asked.is_empty() {
            return Ok(());
        }
        let names = asked.join(",");
        Err(Fault::invalid(format!(
            "parameters {names} not applicable to seal type shamir"
        )))
    }
}

/// Gives one share of the unseal key.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Unseal {
    /// The share, in hex or base64.
    #[serde(default)]
    key: String,
    /// Forget the shares given so far.
    #[serde(default)]
    reset: bool,
}

/// Tells how far the seal is open.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadSealStatus {}

/// Tells the health of the node; the status code says the same.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadHealth {}

/// Tells which node leads.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadLeader {}

#[derive(Serialize, JsonSchema)]
pub(crate) struct InitState {
    initialized: bool,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct InitKeys {
    keys: Vec<String>,
    keys_base64: Vec<String>,
    root_token: String,
}

/// Shares and token are gone from memory once they are told.
impl Drop for InitKeys {
    fn drop(&mut self) {
        self.keys.zeroize();
        self.keys_base64.zeroize();
        self.root_token.zeroize();
    }
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct SealState {
    #[serde(rename = "type")]
    kind: String,
    initialized: bool,
    sealed: bool,
    t: u8,
    n: u8,
    progress: usize,
    nonce: String,
    version: String,
    build_date: String,
    commit_date: String,
    migration: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    cluster_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cluster_id: String,
    recovery_seal: bool,
    storage_type: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    initialized: bool,
    sealed: bool,
    standby: bool,
    performance_standby: bool,
    replication_performance_mode: &'static str,
    replication_dr_mode: &'static str,
    server_time_utc: i64,
    version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cluster_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cluster_id: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Leader {
    ha_enabled: bool,
    is_self: bool,
    leader_address: String,
    leader_cluster_address: String,
    performance_standby: bool,
    performance_standby_last_remote_wal: u64,
}

/// When this program was built is not recorded, so that builds can be repeated bit by bit.
pub(super) const BUILD_DATE: &str = "";

/// Nor is what it was built from: an archive of the source has no commit.
const COMMIT_DATE: &str = "";

fn seal_state(core: &Core, status: Status) -> SealState {
    let seal = status.seal;
    let (t, n) = seal
        .config
        .as_ref()
        .map_or((0, 0), |c| (c.threshold, c.shares));
    let (cluster_name, cluster_id) = cluster(core, seal.sealed, seal.config.as_ref());
    SealState {
        kind: "shamir".to_owned(),
        initialized: seal.config.is_some(),
        sealed: seal.sealed,
        t,
        n,
        progress: seal.progress,
        nonce: seal.nonce,
        version: VAULT_API_VERSION.to_owned(),
        build_date: BUILD_DATE.to_owned(),
        commit_date: COMMIT_DATE.to_owned(),
        migration: false,
        cluster_name,
        cluster_id,
        recovery_seal: false,
        storage_type: core.config.storage_kind.to_owned(),
    }
}

/// Name and id of the cluster, which a sealed vault does not tell.
fn cluster(core: &Core, sealed: bool, config: Option<&SealConfig>) -> (String, String) {
    let Some(config) = config.filter(|_| !sealed) else {
        return (String::new(), String::new());
    };
    let configured = &core.config.cluster_name;
    let name = if configured.is_empty() {
        &config.cluster_name
    } else {
        configured
    };
    (name.clone(), config.cluster_id.clone())
}

impl Handle<ReadInit> for Sys {
    type Data = InitState;
    type Error = Fault;

    async fn handle(&self, _: ReadInit, _: &Context) -> Result<Reply<InitState>, Fault> {
        let state = self.core()?.status().await?.state;
        Ok(Reply::data(InitState {
            initialized: state != NodeState::Uninitialized,
        }))
    }
}

impl Handle<Initialize> for Sys {
    type Data = InitKeys;
    type Error = Fault;

    async fn handle(&self, request: Initialize, _: &Context) -> Result<Reply<InitKeys>, Fault> {
        request.check()?;
        let core = self.core()?;
        let config =
            SealConfig::shamir(request.secret_shares, request.secret_threshold).map_err(barrier)?;
        let envelope = core.envelope();
        let shares = envelope.holders(&request.pgp_keys.0, config.shares)?;
        let root_token = match request.root_token_pgp_key.as_str() {
            "" => None,
            key => Some(envelope.key(key, "the PGP key of the root token")?),
        };
        let birth = core
            .initialize(config, None, Receivers { shares, root_token })
            .await?;
        let shares = || birth.shares.iter();
        Ok(Reply::data(InitKeys {
            keys: shares().map(|share| hex::encode(share.expose())).collect(),
            keys_base64: shares()
                .map(|share| STANDARD.encode(share.expose()))
                .collect(),
            root_token: birth.root_token.expose().to_owned(),
        }))
    }
}

impl Handle<Unseal> for Sys {
    type Data = SealState;
    type Error = Fault;

    async fn handle(&self, request: Unseal, _: &Context) -> Result<Reply<SealState>, Fault> {
        let core = self.core()?;
        let key = SecretString::new(request.key);
        let status = if request.reset {
            core.reset_unseal().await?
        } else if key.expose().is_empty() {
            return Err(Fault::invalid(
                "'key' must be specified in request body as JSON, or 'reset' set to true",
            ));
        } else {
            core.unseal(share(&key)?).await?
        };
        Ok(Reply::data(seal_state(&core, status)))
    }
}

/// The bytes of a share, from hex or base64.
fn share(text: &SecretString) -> Result<SecretBytes, Fault> {
    let text = text.expose().trim();
    hex::decode(text)
        .ok()
        .or_else(|| STANDARD.decode(text).ok())
        .map(SecretBytes::new)
        .ok_or_else(|| Fault::invalid("'key' must be a valid hex or base64 string"))
}

impl Handle<ReadSealStatus> for Sys {
    type Data = SealState;
    type Error = Fault;

    async fn handle(&self, _: ReadSealStatus, _: &Context) -> Result<Reply<SealState>, Fault> {
        let core = self.core()?;
        let status = core.status().await?;
        Ok(Reply::data(seal_state(&core, status)))
    }
}

impl Handle<ReadHealth> for Sys {
    type Data = Health;
    type Error = Fault;

    async fn handle(&self, _: ReadHealth, context: &Context) -> Result<Reply<Health>, Fault> {
        let core = self.core()?;
        let status = core.status().await?;
        let sealed = status.state != NodeState::Active;
        let (cluster_name, cluster_id) = cluster(&core, sealed, status.seal.config.as_ref());
        Ok(Reply::data(Health {
            initialized: status.state != NodeState::Uninitialized,
            sealed,
            standby: sealed,
            performance_standby: false,
            replication_performance_mode: "disabled",
            replication_dr_mode: "disabled",
            server_time_utc: context.clock.now().unix_seconds(),
            version: VAULT_API_VERSION.to_owned(),
            cluster_name,
            cluster_id,
        }))
    }
}

impl Handle<ReadLeader> for Sys {
    type Data = Leader;
    type Error = Fault;

    async fn handle(&self, _: ReadLeader, _: &Context) -> Result<Reply<Leader>, Fault> {
        let core = self.core()?;
        let ha_enabled = core.config.storage_kind == "raft";
        let is_self = core.active().is_some();
        // Where other nodes may be, a sealed one cannot tell which of them leads.
        if ha_enabled && !is_self {
            return Err(Fault::Sealed);
        }
        let told = |address: &String| {
            if is_self {
                address.clone()
            } else {
                String::new()
            }
        };
        Ok(Reply::data(Leader {
            ha_enabled,
            is_self,
            leader_address: told(&core.config.api_address),
            leader_cluster_address: told(&core.config.cluster_address),
            performance_standby: false,
            performance_standby_last_remote_wal: 0,
        }))
    }
}
