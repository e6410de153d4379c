use crate::process::run;
use crate::running::{Place, Running, refusal};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use reqwest::{Certificate, Client, Identity};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{ClientConfig, NamedGroup, RootCertStore};
use rustls_pki_types::ServerName;
use serde_json::json;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// An authority, and what it signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Certificate and key in PEM.
    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let names = vec![name.to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, format!("cn-{name}"));
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.0).unwrap();
        (signed.pem(), key.serialize_pem())
    }

    fn client(&self, identity: Option<&(String, String)>) -> Client {
        let root = Certificate::from_pem(self.0.pem().as_bytes()).unwrap();
        let mut builder = Client::builder().tls_certs_only([root]);
        if let Some((certificate, key)) = identity {
            let pem = format!("{certificate}{key}");
            builder = builder.identity(Identity::from_pem(pem.as_bytes()).unwrap());
        }
        builder.build().unwrap()
    }
}

const TLS: &str = "tls_cert_path = \"server.pem\"\ntls_key_path = \"server.key\"\n";

fn server_files(place: &Place, authority: &Authority) {
    let (certificate, key) = authority.sign("localhost", ExtendedKeyUsagePurpose::ServerAuth);
    place.write("server.pem", &certificate);
    place.write("server.key", &key);
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::local(TLS);
    server_files(&place, &Authority::new());
    for (mode, code) in [(0o600, 0), (0o644, 1), (0o640, 1)] {
        let rights = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path("server.key"), rights).unwrap();
        let (ended, _, told) = run(&place, &["--check"]);
        assert_eq!(ended, code, "{mode:o}: {told}");
        assert_eq!(told.contains("chmod 600 server.key"), code == 1, "{told}");
    }
}

async fn hello(service: &Running, client: &Client) -> Result<u16, reqwest::Error> {
    let url = format!("https://{}/api/v1/kms/encrypt", service.address);
    let request = client.post(url).header("content-type", "application/json");
    let response = request
        .body(json!({ "plaintext": "aGk=" }).to_string())
        .send()
        .await?;
    Ok(response.status().as_u16())
}

#[tokio::test]
async fn clients_are_known_by_their_certificates() {
    let authority = Authority::new();
    let service = format!(
        "{TLS}client_ca_path = \"ca.pem\"\n\
         [[service.certificates]]\nname = \"by dns\"\ndns = \"one.example\"\n\
         rights = [{{ operations = [\"encrypt\"], keys = [\"*\"] }}]\n\
         [[service.certificates]]\nname = \"by subject\"\ncommon_name = \"cn-two.example\"\n\
         rights = [{{ operations = [\"decrypt\"], keys = [\"*\"] }}]\n"
    );
    let place = Place::local(&service);
    server_files(&place, &authority);
    place.write("ca.pem", &authority.0.pem());
    let service = place.start();
    let sign = |name| authority.sign(name, ExtendedKeyUsagePurpose::ClientAuth);
    let by = |identity: &(String, String)| authority.client(Some(identity));
    assert_eq!(
        hello(&service, &by(&sign("one.example"))).await.unwrap(),
        200
    );
    assert_eq!(
        hello(&service, &by(&sign("two.example"))).await.unwrap(),
        403
    );
    assert_eq!(
        hello(&service, &by(&sign("three.example"))).await.unwrap(),
        401
    );
    // Without one, and with one of another authority, there is no connection.
    assert!(hello(&service, &authority.client(None)).await.is_err());
    let foreign = Authority::new().sign("one.example", ExtendedKeyUsagePurpose::ClientAuth);
    assert!(hello(&service, &by(&foreign)).await.is_err());
}

#[tokio::test]
async fn certificates_are_read_anew() {
    let old = Authority::new();
    let place = Place::local(TLS);
    server_files(&place, &old);
    let mut service = place.start();
    assert_eq!(hello(&service, &old.client(None)).await.unwrap(), 200);
    let new = Authority::new();
    assert!(hello(&service, &new.client(None)).await.is_err());
    server_files(&service.place, &new);
    service.signal("HUP");
    service.wait_for_log("were read anew");
    assert_eq!(hello(&service, &new.client(None)).await.unwrap(), 200);
    assert!(hello(&service, &old.client(None)).await.is_err());
    // What is no certificate changes nothing.
    service.place.write("server.pem", "nothing");
    service.signal("HUP");
    service.wait_for_log("nothing was read anew");
    assert_eq!(hello(&service, &new.client(None)).await.unwrap(), 200);
}

#[tokio::test]
async fn plain_http_is_no_answer_where_tls_is() {
    let authority = Authority::new();
    let place = Place::local(TLS);
    server_files(&place, &authority);
    let service = place.start();
    assert!(service.get("/api/v1/kms/health").send().await.is_err());
    let url = format!("https://{}/nowhere", service.address);
    assert_eq!(refusal(authority.client(None).get(url)).await.0, 404);
}

/// Asks for a data key over gRPC in TLS: the code that the head tells, and whether there is a message.
async fn data_key(url: &str, client: &Client) -> Result<(Option<String>, bool), reqwest::Error> {
    // `id`, and 32 bytes, in a frame.
    let message = b"\x0a\x02id\x10\x20";
    let mut frame = vec![0, 0, 0, 0, 6];
    frame.extend_from_slice(message);
    let request = client.post(url).header("content-type", "application/grpc");
    let response = request.body(frame).send().await?;
    let code = response.headers().get("grpc-status");
    let code = code.map(|code| code.to_str().unwrap().to_owned());
    Ok((code, response.bytes().await?.len() == 5 + 2 + 32))
}

#[tokio::test]
async fn grpc_has_the_certificates_of_http() {
    let authority = Authority::new();
    let secret = "A".repeat(43);
    let configured = format!(
        "{TLS}client_ca_path = \"ca.pem\"\n\
         [[service.certificates]]\nname = \"one\"\ndns = \"one.example\"\n\
         rights = [{{ operations = [\"data-key\"], keys = [\"id\"] }}]\n\
         [[service.certificates]]\nname = \"two\"\ndns = \"two.example\"\n\
         rights = [{{ operations = [\"data-key\"], keys = [\"other\"] }}]\n\
         [service.grpc]\naddress = \"127.0.0.1:0\"\n\
         [service.data_keys]\nkms = \"kms://cluster-kms?key={secret}&salt={secret}\"\n"
    );
    let place = Place::local(&configured);
    server_files(&place, &authority);
    place.write("ca.pem", &authority.0.pem());
    let mut service = place.start();
    let address = crate::grpc::address(&mut service);
    let url = format!("https://{address}/kms.API/GetDataKey");
    let sign = |name| authority.sign(name, ExtendedKeyUsagePurpose::ClientAuth);
    for (name, code, given) in [
        ("one.example", None, true),
        ("two.example", Some("7"), false),
        ("three.example", Some("16"), false),
    ] {
        let client = authority.client(Some(&sign(name)));
        let (told, message) = data_key(&url, &client).await.unwrap();
        assert_eq!((told.as_deref(), message), (code, given), "{name}");
    }
    assert!(data_key(&url, &authority.client(None)).await.is_err());
}

/// What is agreed on with a client that lists these groups.
async fn agreed(
    service: &Running,
    roots: &RootCertStore,
    groups: &[&'static dyn SupportedKxGroup],
) -> NamedGroup {
    let provider = CryptoProvider {
        kx_groups: groups.to_vec(),
        ..aws_lc_rs::default_provider()
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    let stream = TcpStream::connect(&service.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.unwrap();
    let session = stream.get_ref().1;
    session.negotiated_key_exchange_group().unwrap().name()
}

#[tokio::test]
async fn the_hybrid_key_agreement_is_taken_whatever_the_client_prefers() {
    let authority = Authority::new();
    let place = Place::local(TLS);
    server_files(&place, &authority);
    let service = place.start();
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let (hybrid, classic) = (kx_group::X25519MLKEM768, kx_group::X25519);
    for (groups, taken) in [
        (&[hybrid, classic][..], NamedGroup::X25519MLKEM768),
        (&[classic, hybrid], NamedGroup::X25519MLKEM768),
        (&[classic], NamedGroup::X25519),
    ] {
        assert_eq!(agreed(&service, &roots, groups).await, taken);
    }
}
