//! `sys/step-down` and `sys/ha-status`: which node leads, and its handing the lead on.

use super::Sys;
use schemars::JsonSchema;
use secretum_api::VAULT_API_VERSION;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};

/// Has the leading node hand the lead to another one; a node that stands alone keeps it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct StepDown {}

/// Tells of the nodes, and which of them leads.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadHaStatus {}

#[derive(Serialize, JsonSchema)]
pub(crate) struct HaStatus {
    nodes: Vec<Node>,
}

#[derive(Serialize, JsonSchema)]
struct Node {
    /// Name of the machine, as its addresses tell it.
    hostname: String,
    api_address: String,
    cluster_address: String,
    active_node: bool,
    /// When the leading node heard of it; never of itself.
    last_echo: Option<String>,
    version: &'static str,
}

impl Handle<StepDown> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: StepDown, _: &Context) -> Result<Reply<()>, Fault> {
        tracing::info!("asked to hand the lead on: no other node is there to take it");
        Ok(Reply::empty())
    }
}

impl Handle<ReadHaStatus> for Sys {
    type Data = HaStatus;
    type Error = Fault;

    async fn handle(&self, _: ReadHaStatus, _: &Context) -> Result<Reply<HaStatus>, Fault> {
        let core = self.core()?;
        let address = &core.config.api_address;
        let node = Node {
            hostname: host(address).to_owned(),
            api_address: address.clone(),
            cluster_address: core.config.cluster_address.clone(),
            active_node: true,
            last_echo: None,
            version: VAULT_API_VERSION,
        };
        Ok(Reply::data(HaStatus { nodes: vec![node] }))
    }
}

/// The host of a URL.
fn host(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address() {
        for (url, expected) in [
            ("https://vault.example.com:8200", "vault.example.com"),
            ("http://127.0.0.1:8200/", "127.0.0.1"),
            ("https://[::1]:8200", "::1"),
            ("https://vault", "vault"),
            ("", ""),
        ] {
            assert_eq!(host(url), expected);
        }
    }
}
