//! Keys of SOPS in clouds, as moto and the services of the tests of `secretum-kms` play them.

use crate::grpc::wire::key::KeyType;
use crate::grpc::wire::{AzureKeyVaultKey, GcpKmsKey, KmsKey};
use crate::grpc::{ANY_PORT, address, channel, decrypt, encrypt};
use crate::moto::Moto;
use crate::peers::{Program, peer};
use crate::running::Place;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Certificate, Client};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use tonic::Code;

pub(crate) const RING: &str = "projects/p/locations/global/keyRings/r";

/// A service in Python, on this port.
pub(crate) struct Cloud(
    #[expect(dead_code, reason = "it ends with the value")] Program,
    pub(crate) u16,
);

impl Cloud {
    pub(crate) fn start(program: &str, argument: &Path) -> Option<Self> {
        let python = peer("SECRETUM_PYTHON")?;
        let providers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kms/src/providers");
        let mut process = Command::new(python)
            .arg(providers.join(program))
            .arg(argument)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("port ").unwrap().parse().unwrap();
        Some(Self(process.into(), port))
    }
}

/// Google Cloud's, with the key `k` in [`RING`], and where it is.
pub(crate) async fn google_cloud() -> Option<(Cloud, String)> {
    let cloud = Cloud::start("gcp/tests/cloud_kms.py", Path::new("none"))?;
    let url = format!("http://127.0.0.1:{}", cloud.1);
    for (path, body) in [
        ("/v1/projects/p/locations/global/keyRings?keyRingId=r", "{}"),
        (
            &format!("/v1/{RING}/cryptoKeys?cryptoKeyId=k"),
            "{\"purpose\":\"ENCRYPT_DECRYPT\"}",
        ),
    ] {
        let request = Client::new().post(format!("{url}{path}")).body(body);
        assert!(request.send().await.unwrap().status().is_success());
    }
    Some((cloud, url))
}

fn place(provider: &str, kms: &str) -> Place {
    let place = Place::new();
    let service = format!("{ANY_PORT}[service.sops]\nproviders = [\"{provider}\"]\n");
    place.configure(provider, kms, &service);
    place
}

#[tokio::test]
async fn keys_of_google_cloud_are_served() {
    let Some((_cloud, url)) = google_cloud().await else {
        return;
    };
    let kms = format!(
        "[kms.gcp]\nkey = \"{RING}/cryptoKeys/k\"\nendpoint = \"{url}\"\nanonymous = true\n"
    );
    let place = place("gcp", &kms);
    let mut service = place.start();
    let channel = channel(&mut service).await;
    let key = |name: &str| {
        KeyType::GcpKmsKey(GcpKmsKey {
            resource_id: format!("{RING}/cryptoKeys/{name}"),
        })
    };
    let made = encrypt(&channel, key("k"), b"planted-data-key")
        .await
        .unwrap();
    assert!(STANDARD.decode(&made).is_ok());
    let opened = decrypt(&channel, key("k"), &made).await.unwrap();
    assert_eq!(opened, b"planted-data-key");
    let refused = encrypt(&channel, key("none"), b"x").await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "{refused}");
    let refused = decrypt(&channel, key("k"), b"no base64!")
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
}

#[tokio::test]
async fn keys_of_azure_are_served_of_the_configured_vault_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let Some(cloud) = Cloud::start("azure/tests/key_vault.py", &ca) else {
        return;
    };
    let url = format!("https://127.0.0.1:{}", cloud.1);
    let pem = Certificate::from_pem(&std::fs::read(&ca).unwrap()).unwrap();
    let client = Client::builder().tls_certs_only([pem]).build().unwrap();
    let request = client.post(format!("{url}/keys/k/create?api-version=7.6"));
    let request = request
        .bearer_auth("planted-token")
        .body("{\"kty\":\"RSA\"}");
    let made = request.send().await.unwrap().text().await.unwrap();
    let (_, version) = made.split_once("/keys/k/").unwrap();
    let version = version.split('"').next().unwrap().to_owned();
    let kms = format!(
        "[kms.azure]\nvault_url = \"{url}\"\nkey_name = \"k\"\nauthority_host = \"{url}\"\n\
         tenant_id = \"tenant\"\nclient_id = \"c\"\nclient_secret = \"planted-secret\"\n\
         ca_path = \"{}\"\nverify_challenge_resource = false\n",
        ca.display()
    );
    let place = place("azure", &kms);
    let mut service = place.start();
    let channel = channel(&mut service).await;
    let key = |vault: &str, version: &str| {
        KeyType::AzureKeyvaultKey(AzureKeyVaultKey {
            vault_url: vault.to_owned(),
            name: "k".to_owned(),
            version: version.to_owned(),
        })
    };
    for version in [version.as_str(), ""] {
        let made = encrypt(&channel, key(&url, version), b"planted-data-key").await;
        let made = made.unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(&made).unwrap().len(), 256);
        let opened = decrypt(&channel, key(&url, version), &made).await.unwrap();
        assert_eq!(opened, b"planted-data-key");
    }
    // A file without a version, as SOPS writes it where its key names none, outlives rotations.
    let made = encrypt(&channel, key(&url, ""), b"planted-data-key").await;
    let made = made.unwrap();
    for _ in 0..3 {
        let rotate = client.post(format!("{url}/keys/k/rotate?api-version=7.6"));
        let rotated = rotate.bearer_auth("planted-token").send().await.unwrap();
        assert!(rotated.status().is_success());
    }
    let opened = decrypt(&channel, key(&url, ""), &made).await.unwrap();
    assert_eq!(opened, b"planted-data-key");
    let refused = decrypt(&channel, key(&url, ""), b"AAAA").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let elsewhere = key("https://other.vault.azure.net", &version);
    let refused = encrypt(&channel, elsewhere, b"x").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(!service.log().contains("planted"), "{}", service.log());
}

/// A new key of moto, and a service that has it.
async fn aws(moto: &Moto) -> (String, Place) {
    let request = Client::new().post(&moto.address);
    let signed = "AWS4-HMAC-SHA256 Credential=a/20260101/eu-central-1/kms/aws4_request, \
                  SignedHeaders=host, Signature=x";
    let request = request
        .header("x-amz-target", "TrentService.CreateKey")
        .header("content-type", "application/x-amz-json-1.1")
        .header("authorization", signed)
        .body("{}");
    let made = request.send().await.unwrap().text().await.unwrap();
    let (_, arn) = made.split_once("\"Arn\":").unwrap();
    let arn = arn.split('"').nth(1).unwrap().to_owned();
    let kms = format!(
        "[kms.aws]\nregion = \"eu-central-1\"\nkey_id = \"{arn}\"\nendpoint_url = \"{}\"\n\
         access_key_id = \"a\"\nsecret_access_key = \"planted\"\n",
        moto.address
    );
    (arn, place("aws", &kms))
}

#[tokio::test]
async fn keys_of_aws_are_served_with_their_context() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    let (arn, place) = aws(&moto).await;
    let mut service = place.start();
    let channel = channel(&mut service).await;
    let key = |application: &str, role: &str| {
        KeyType::KmsKey(KmsKey {
            arn: arn.clone(),
            role: role.to_owned(),
            context: [("app".to_owned(), application.to_owned())].into(),
            ..KmsKey::default()
        })
    };
    let made = encrypt(&channel, key("shop", ""), b"planted-data-key").await;
    let made = made.unwrap();
    assert!(STANDARD.decode(&made).is_ok());
    let opened = decrypt(&channel, key("shop", ""), &made).await.unwrap();
    assert_eq!(opened, b"planted-data-key");
    let refused = decrypt(&channel, key("other", ""), &made)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let away = KeyType::KmsKey(KmsKey {
        arn: arn.replace("eu-central-1", "us-east-1"),
        ..KmsKey::default()
    });
    for refused in [
        encrypt(&channel, away.clone(), b"x").await.map(drop),
        decrypt(&channel, away, &made).await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        let told = refused.message();
        assert!(
            told.contains("eu-central-1") && told.contains("us-east-1"),
            "{told}"
        );
    }
    let refused = encrypt(&channel, key("shop", "arn:role"), b"x").await;
    assert_eq!(refused.unwrap_err().code(), Code::FailedPrecondition);
    assert!(!service.log().contains("planted"), "{}", service.log());
}

/// What SOPS encrypts by this service, it opens by itself, and back. `SECRETUM_SOPS` names its command.
#[tokio::test]
async fn sops_opens_what_it_encrypted_by_this_service_without_it() {
    let Some(sops) = peer("SECRETUM_SOPS") else {
        return;
    };
    let Some(moto) = Moto::start().await else {
        return;
    };
    let (arn, place) = aws(&moto).await;
    let mut service = place.start();
    let keys = format!("tcp://{}", address(&mut service));
    let files = Place::new();
    files.write("plain.json", "{\"password\":\"planted-value\"}");
    let run = |by_service: bool, arguments: &[&str], file: &str| {
        let mut command = Command::new(&sops);
        command.args(arguments);
        if by_service {
            command.args(["--keyservice", &keys, "--enable-local-keyservice=false"]);
        } else {
            command.env("AWS_ENDPOINT_URL", &moto.address);
            command.env("AWS_ACCESS_KEY_ID", "a");
            command.env("AWS_SECRET_ACCESS_KEY", "b");
        }
        let run = command.arg(files.path(file)).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{said}");
        String::from_utf8(run.stdout).unwrap()
    };
    let encrypt = ["encrypt", "--kms", &arn, "--encryption-context", "app:shop"];
    for by_service in [true, false] {
        let sealed = run(by_service, &encrypt, "plain.json");
        assert!(!sealed.contains("planted-value"));
        files.write("sealed.json", &sealed);
        let opened = run(!by_service, &["decrypt"], "sealed.json");
        assert!(opened.contains("planted-value"), "{opened}");
    }
}
