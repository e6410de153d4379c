//! Where credentials come from that no configuration holds: the token of a pod, and the machine.

use super::cloud::Cloud;
use super::*;
use crate::test_answers::{answering, http};
use crate::test_process;

const TEST: &str = "providers::azure::tests::sources::pods_and_machines_are_let_in";

async fn asked() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let credentials = match variable("SOURCE").as_str() {
        "pod" => AzureCredentials::WorkloadIdentity {
            tenant_id: None,
            client_id: None,
        },
        _ => AzureCredentials::ManagedIdentity { client_id: None },
    };
    let settings = AzureSettings {
        algorithm: AzureAlgorithm::RsaOaep256,
        authority_host: Some(variable("VAULT")),
        ca: Some(variable("CA").into()),
        verify_challenge_resource: false,
        timeout: Some(Duration::from_secs(30)),
        ..AzureSettings::new(variable("VAULT"), credentials)
    };
    let seen = AzureProvider::new(settings).describe(&id("one")).await;
    let seen = seen.map_or_else(|refused| refused.kind(), |_| "let in");
    assert_eq!(seen, variable("SEEN"));
}

#[tokio::test]
async fn pods_and_machines_are_let_in() {
    if test_process::is_child() {
        return asked().await;
    }
    let Some(cloud) = Cloud::start(AzureAlgorithm::RsaOaep256) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (ca, token) = (cloud.ca(), folder.path().join("token"));
    let (ca, token) = (ca.to_str().unwrap(), token.to_str().unwrap());
    let url = cloud.settings().vault_url;
    let machine = |token: &str| {
        let body = format!(
            "{{\"access_token\":\"{token}\",\"expires_on\":\"32472144000\",\
             \"resource\":\"https://vault.azure.net\",\"token_type\":\"Bearer\"}}"
        );
        answering(http("200 OK", "content-type: application/json\r\n", &body))
    };
    let (machine, other) = (machine("planted-token"), machine("other"));
    for (source, held, machine, seen) in [
        ("pod", "planted-assertion", &other, "let in"),
        ("pod", "other", &machine, "credentials"),
        ("machine", "other", &machine, "let in"),
        ("machine", "planted-assertion", &other, "credentials"),
    ] {
        std::fs::write(token, held).unwrap();
        test_process::run(
            TEST,
            &[
                ("SOURCE", source),
                ("SEEN", seen),
                ("VAULT", &url),
                ("CA", ca),
                ("AZURE_TENANT_ID", "tenant"),
                ("AZURE_CLIENT_ID", "application"),
                ("AZURE_FEDERATED_TOKEN_FILE", token),
                ("IDENTITY_ENDPOINT", machine),
                ("IDENTITY_HEADER", "planted"),
            ],
        );
    }
}
