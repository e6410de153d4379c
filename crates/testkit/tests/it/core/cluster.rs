//! Which node leads, and handing the lead on, where there is one node.

use crate::support::vault::{Vault, ask};
use secretum_engine::{Fault, Verb};
use serde_json::json;

#[tokio::test]
async fn a_node_that_stands_alone_keeps_the_lead() {
    let vault = Vault::open().await;
    let leader = async || ask(Verb::Read, "sys/leader").of(&vault.core).await.unwrap();
    let before = leader().await.data;
    assert_eq!(before["is_self"], true);
    let stepped = vault.write("sys/step-down", json!({})).await.unwrap();
    assert!(stepped.data.is_null());
    assert_eq!(leader().await.data, before);
    let nodes = vault.read("sys/ha-status").await.unwrap().data["nodes"].clone();
    assert_eq!(nodes.as_array().unwrap().len(), 1);
    assert_eq!(nodes[0]["active_node"], true);
    assert_eq!(nodes[0]["api_address"], before["leader_address"]);
    assert_eq!(
        nodes[0]["cluster_address"],
        before["leader_cluster_address"]
    );
    assert_eq!(nodes[0]["hostname"], "127.0.0.1");
    assert!(nodes[0]["last_echo"].is_null());
}

#[tokio::test]
async fn stepping_down_takes_sudo() {
    let vault = Vault::open().await;
    let may =
        |more: &str| format!("path \"sys/step-down\" {{ capabilities = [\"update\"{more}] }}");
    let updater = vault.token_under("updater", &may("")).await;
    let sudoer = vault.token_under("sudoer", &may(", \"sudo\"")).await;
    let refused = vault.write_as(&updater, "sys/step-down", json!({})).await;
    assert!(matches!(refused, Err(Fault::Denied)));
    vault
        .write_as(&sudoer, "sys/step-down", json!({}))
        .await
        .unwrap();
    let stranger = ask(Verb::Read, "sys/ha-status").of(&vault.core).await;
    assert!(matches!(stranger, Err(Fault::Denied)));
    vault.core.seal().await;
    let sealed = vault.write("sys/step-down", json!({})).await;
    assert!(matches!(sealed, Err(Fault::Sealed)));
}
