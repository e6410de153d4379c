//! Data keys wrapped by the key services that a URI names: the real ones where there are such.

use crate::grpc::{ANY_PORT, age_place, channel, data_key};
use crate::peers::{Program, free_port};
use crate::running::{DEADLINE, Place, Running};
use futures::future::join_all;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use std::collections::HashSet;
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;
use tonic::Code;

fn place(shared: &Path, uri: &str) -> Place {
    let (storage, folder) = ("storage://file?path=", shared.display());
    Place::local(&format!(
        "{ANY_PORT}[service.data_keys]\nkms = \"{uri}\"\n\
         storage = \"{storage}{folder}\"\n"
    ))
}

/// Two servers over one storage: whoever asks first, an identifier has one key, which is there when they
/// come back. What is planted in the URI is told by nobody.
pub(crate) async fn one_identifier_has_one_key(uri: &str) {
    let shared = tempfile::tempdir().unwrap();
    let mut services: Vec<Running> = Vec::new();
    let check = place(shared.path(), uri).command().arg("--check").output();
    let check = check.unwrap();
    let told = String::from_utf8_lossy(&[check.stdout, check.stderr].concat()).into_owned();
    assert!(
        check.status.success() && !told.contains("planted"),
        "{told}"
    );
    for _ in 0..2 {
        services.push(place(shared.path(), uri).start());
    }
    let mut channels = Vec::new();
    for service in &mut services {
        channels.push(channel(service).await);
    }
    let asked = (0..100).map(|at| data_key(&channels[at % 2], "volume", 32));
    let keys: HashSet<Vec<u8>> = join_all(asked)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(keys.len(), 1, "{uri}");
    for service in &services {
        assert!(!service.log().contains("planted"), "{}", service.log());
    }
    drop(services);
    let mut again = place(shared.path(), uri).start();
    let channel = channel(&mut again).await;
    let key = data_key(&channel, "volume", 32).await.unwrap();
    assert!(keys.contains(&key));
    let other = data_key(&channel, "other", 32).await.unwrap();
    assert_ne!(key, other);
}

/// A key service without the key is refused at the start.
pub(crate) fn a_missing_key_is_told(uri: &str, wanted: &str) {
    let shared = tempfile::tempdir().unwrap();
    let out = place(shared.path(), uri).command().output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        !out.status.success() && told.contains(wanted),
        "{uri}: {told}"
    );
    assert!(!told.contains("planted"), "{told}");
}

struct Server(
    #[expect(dead_code, reason = "it ends with the value")] Program,
    #[expect(dead_code, reason = "it is deleted at the end")] TempDir,
);

fn wait_for(port: u16) {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < DEADLINE, "nobody listens on {port}");
        std::thread::yield_now();
    }
}

/// An authority, and certificates by it: ECDSA, which is what PyKMIP and rustls have in common.
fn certificates(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, folder.display().to_string());
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let write = |name: String, text: String| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(folder.join(&name), text).unwrap();
        let rights = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.join(name), rights).unwrap();
    };
    write("ca.pem".to_owned(), authority.pem());
    for (name, usage) in [
        ("server", ExtendedKeyUsagePurpose::ServerAuth),
        ("client", ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names.to_vec()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        write(format!("{name}.pem"), certificate.pem());
        write(format!("{name}-key.pem"), key.serialize_pem());
    }
}

/// PyKMIP, and the URI of it without a key.
fn pykmip() -> Option<(Server, String)> {
    let (home, port) = (tempfile::tempdir().unwrap(), free_port());
    certificates(home.path());
    let path = |name: &str| home.path().join(name).display().to_string();
    let program = Program::pykmip(home.path(), port)?;
    let uri = format!(
        "kms://kmip?address=127.0.0.1:{port}&certPath={}&keyPath={}&caPath={}",
        path("client.pem"),
        path("client-key.pem"),
        path("ca.pem"),
    );
    let server = Server(program, home);
    wait_for(port);
    Some((server, uri))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_kmip_wraps() {
    let Some((_server, uri)) = pykmip() else {
        return;
    };
    a_missing_key_is_told(&format!("{uri}&keyName=gone"), "has no key `gone`");
    let uri = format!("{uri}&key_encryption_key_id=kek&use_existing_kek=false");
    one_identifier_has_one_key(&uri).await;
    // Another identifier under the key that is there by now.
    one_identifier_has_one_key(&uri.replace("=false", "=true")).await;
}

/// OpenBao, with both of the engines that are asked for keys.
async fn bao(port: u16) -> Option<(Server, String)> {
    let home = tempfile::tempdir().unwrap();
    let program = Program::bao(home.path(), port, "planted-root", &[])?;
    let server = Server(program, home);
    let address = format!("http://127.0.0.1:{port}");
    let client = reqwest::Client::new();
    for (mount, body) in [
        ("transit", "{\"type\":\"transit\"}"),
        ("kv1", "{\"type\":\"kv\",\"options\":{\"version\":\"1\"}}"),
    ] {
        let began = Instant::now();
        loop {
            let request = client.post(format!("{address}/v1/sys/mounts/{mount}"));
            let request = request.header("x-vault-token", "planted-root").body(body);
            if request
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                break;
            }
            assert!(began.elapsed() < DEADLINE, "OpenBao does not answer");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    Some((server, address))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transit_engine_and_kept_keys_wrap() {
    let Some((_server, address)) = bao(free_port()).await else {
        return;
    };
    let transit = format!("kms://vault?address={address}&token=planted-root");
    a_missing_key_is_told(&format!("{transit}&keyName=gone"), "has no key `gone`");
    let made = "keyName=kek&use_existing_kek=false";
    one_identifier_has_one_key(&format!("{transit}&{made}")).await;
    let kept = format!("kms://rustyvault?address={address}&token=planted-root&mount=kv1&engine=kv");
    one_identifier_has_one_key(&format!("{kept}&{made}")).await;
}

/// A key service that comes later is asked again, and makes its key with the first data key.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_service_that_comes_later_is_waited_for() {
    let port = free_port();
    let address = format!("http://127.0.0.1:{port}");
    let shared = tempfile::tempdir().unwrap();
    let uri = format!("kms://vault?address={address}&token=planted-root&keyName=kek");
    let place = place(shared.path(), &format!("{uri}&use_existing_kek=false"));
    let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
    let impatient =
        "[kms.retry]\nretries_max = 1\n[kms.circuit_breaker]\nfailures_to_open = 1000\n";
    place.write("kms.toml", &(text + impatient));
    let mut service = place.start();
    let channel = channel(&mut service).await;
    let refused = data_key(&channel, "volume", 32).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    let status = service.get("/api/v1/kms/status");
    let (_, status) = crate::running::answer(status).await;
    let other = &status["others"][0];
    let told = ["serves", "backend", "circuit_breaker"].map(|name| other[name].as_str());
    assert_eq!(told, ["data-keys", "vault", "closed"].map(Some), "{status}");
    let retries = other["retries"].as_u64().unwrap();
    assert!(retries > 0 && status["retries"] == 0, "{status}");
    let metrics = service.get("/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for (provider, serves, retries) in [("vault", "data-keys", retries), ("local", "http", 0)] {
        let labels = format!("{{provider=\"{provider}\",serves=\"{serves}\"}}");
        let wanted = format!("secretum_kms_retries_total{labels} {retries}\n");
        assert!(metrics.contains(&wanted), "{wanted}{metrics}");
    }
    if let Some(_server) = bao(port).await {
        let key = data_key(&channel, "volume", 32).await.unwrap();
        assert_eq!(data_key(&channel, "volume", 32).await.unwrap(), key);
    }
    assert!(!service.log().contains("planted"), "{}", service.log());
}

#[tokio::test]
async fn a_configured_provider_makes_the_key_or_says_that_it_makes_none() {
    let uri = "kms://configured?key_encryption_key_id=gone&use_existing_kek=false";
    let shared = tempfile::tempdir().unwrap();
    let mut service = place(shared.path(), uri).start();
    let channel = channel(&mut service).await;
    data_key(&channel, "volume", 32).await.unwrap();
    let keys = std::fs::read_to_string(service.place.path("keys.txt")).unwrap();
    assert!(keys.contains("gone:1:"));

    let storage = format!(
        "storage = \"storage://file?path={}\"\n",
        shared.path().display()
    );
    let settings = format!("{ANY_PORT}[service.data_keys]\nkms = \"{uri}\"\n{storage}");
    let (place, _) = age_place(&settings);
    let out = place.command().output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(told.contains("keys are not made there from here"), "{told}");
}

#[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
mod clouds {
    use super::*;
    use crate::moto::Moto;
    use crate::sops_clouds::{Cloud, google_cloud};
    use reqwest::{Certificate, Client};

    #[tokio::test(flavor = "multi_thread")]
    async fn aws_wraps() {
        let Some(moto) = Moto::start().await else {
            return;
        };
        let uri = format!(
            "kms://aws?region=eu-central-1&accessKeyID=a&accessKey=planted&endpoint={}",
            moto.address
        );
        let named = format!("{uri}&keyName=alias/kek");
        a_missing_key_is_told(&named, "has no key `alias/kek`");
        let nameless = format!("{uri}&keyName=kek&use_existing_kek=false");
        a_missing_key_is_told(&nameless, "write alias/NAME");
        one_identifier_has_one_key(&format!("{named}&use_existing_kek=false")).await;
        one_identifier_has_one_key(&named).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn gcp_wraps() {
        let Some((_cloud, url)) = google_cloud().await else {
            return;
        };
        let uri = format!(
            "kms://gcp?projectID=p&location=global&keyRing=r&endpoint={url}&anonymous=true"
        );
        a_missing_key_is_told(&format!("{uri}&keyName=gone"), "has no key `gone`");
        let elsewhere = uri.replace("keyRing=r", "keyRing=gone");
        let missing = format!("{elsewhere}&keyName=kek&use_existing_kek=false");
        a_missing_key_is_told(&missing, "a key ring that is there");
        one_identifier_has_one_key(&format!("{uri}&keyName=k")).await;
        one_identifier_has_one_key(&format!("{uri}&keyName=kek&use_existing_kek=false")).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn azure_wraps() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let Some(cloud) = Cloud::start("azure/tests/key_vault.py", &ca) else {
            return;
        };
        let url = format!("https://127.0.0.1:{}", cloud.1);
        let pem = Certificate::from_pem(&std::fs::read(&ca).unwrap()).unwrap();
        let client = Client::builder().tls_certs_only([pem]).build().unwrap();
        let request = client.post(format!("{url}/keys/k/create?api-version=7.6"));
        let request = request.bearer_auth("planted-token");
        let made = request.body("{\"kty\":\"RSA\"}").send().await.unwrap();
        assert!(made.status().is_success());
        let uri = format!(
            "kms://azure?vaultName=v&endpoint={url}&authorityHost={url}&tenantID=tenant&clientID=c\
             &clientSecret=planted-secret&caPath={}&verifyChallengeResource=false",
            ca.display()
        );
        let missing = format!("{uri}&keyName=gone");
        a_missing_key_is_told(&missing, "has no key `gone`");
        one_identifier_has_one_key(&format!("{uri}&keyName=k")).await;
        one_identifier_has_one_key(&format!("{uri}&keyName=kek&use_existing_kek=false")).await;
    }
}
