//! Where credentials come from that no configuration holds: certificates, the token of a pod, the machine, and
//! the developer's tools.

use super::cloud::Cloud;
use super::*;
use crate::test_answers::{answering, http};
use crate::test_process;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

const TEST: &str = "providers::azure::tests::sources::every_source_of_credentials_lets_in";

async fn asked() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let credentials = match variable("SOURCE").as_str() {
        "pod" => AzureCredentials::WorkloadIdentity {
            tenant_id: None,
            client_id: None,
        },
        "application" => AzureCredentials::Certificate {
            tenant_id: variable("AZURE_TENANT_ID"),
            client_id: variable("AZURE_CLIENT_ID"),
            path: variable("CERTIFICATE").into(),
        },
        "machine" => AzureCredentials::ManagedIdentity { client_id: None },
        _ => AzureCredentials::DeveloperTools,
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

/// A folder with the tools of who is logged in, or was: `az` says this, or fails, and so does `azd`.
fn tools(az: Option<&str>, azd: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let told = |token: &str| {
        format!(
            "printf '{{\"accessToken\":\"{token}\",\"expires_on\":32472144000,\"tokenType\":\"Bearer\",\"token\":\"{token}\",\
             \"expiresOn\":\"2999-01-01T00:00:00Z\"}}'"
        )
    };
    for (tool, token) in [("az", az), ("azd", azd)] {
        let does = token.map_or("exit 1".to_owned(), told);
        let tool = folder.path().join(tool);
        std::fs::write(&tool, format!("#!/bin/sh\n{does}\n")).unwrap();
        std::fs::set_permissions(&tool, Permissions::from_mode(0o700)).unwrap();
    }
    folder
}

/// The service of a machine that gives out this token; its address.
fn machine_with(token: &str) -> String {
    let body = format!(
        "{{\"access_token\":\"{token}\",\"expires_on\":\"32472144000\",\
         \"resource\":\"https://vault.azure.net\",\"token_type\":\"Bearer\"}}"
    );
    answering(http("200 OK", "content-type: application/json\r\n", &body))
}

#[tokio::test]
async fn every_source_of_credentials_lets_in() {
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
    let (machine, other) = (machine_with("planted-token"), machine_with("other"));
    let (good, bad) = (Some("planted-token"), Some("other"));
    for (source, held, machine, tools, seen) in [
        ("application", "application", &other, [bad; 2], "let in"),
        (
            "application",
            "stranger",
            &machine,
            [good; 2],
            "credentials",
        ),
        ("pod", "planted-assertion", &other, [bad; 2], "let in"),
        ("pod", "other", &machine, [good; 2], "credentials"),
        ("machine", "other", &machine, [bad; 2], "let in"),
        (
            "machine",
            "planted-assertion",
            &other,
            [good; 2],
            "credentials",
        ),
        ("developer", "other", &other, [good, None], "let in"),
        ("developer", "other", &other, [None, good], "let in"),
        (
            "developer",
            "planted-assertion",
            &machine,
            [bad; 2],
            "credentials",
        ),
        (
            "developer",
            "planted-assertion",
            &machine,
            [None; 2],
            "credentials",
        ),
    ] {
        std::fs::write(token, held).unwrap();
        let certificate = cloud.ca().with_file_name(format!("{held}.pem"));
        let [az, azd] = tools;
        let tools = self::tools(az, azd);
        let path = format!("{}:/usr/bin:/bin", tools.path().display());
        test_process::run(
            TEST,
            &[
                ("SOURCE", source),
                ("CERTIFICATE", certificate.to_str().unwrap()),
                ("PATH", &path),
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
