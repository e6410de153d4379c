use super::*;
use crate::Client;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::io::{Read, Write};

fn config(address: &str) -> ClientConfig {
    ClientConfig::new(address.parse().unwrap())
}

#[test]
fn a_tls_name_replaces_the_host_but_not_the_host_header() {
    let mut config = config("https://127.0.0.1:8200/prefix");
    config.tls.skip_verify = true;
    config.tls.server_name = Some("vault.example".to_owned());
    let transport = Transport::new(&config).unwrap();
    assert_eq!(transport.base.as_str(), "https://vault.example:8200/prefix");
    assert_eq!(transport.host.unwrap(), "127.0.0.1:8200");
}

#[test]
fn loopback_addresses_are_local() {
    for address in [
        "http://localhost:1",
        "https://127.0.0.9",
        "http://[::1]:8200",
    ] {
        assert!(is_local(&config(address).address), "{address}");
    }
    assert!(!is_local(&config("http://10.0.0.1").address));
}

/// An authority of a name that no other one has: trust is looked up by it.
fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut authority = CertificateParams::new(vec!["vault.example".to_owned()]).unwrap();
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap()
}

/// A server over TLS with a certificate for `vault.example`; its address, and the certificate of the
/// authority that signed its own.
fn tls_server() -> (String, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = authority(&listener.local_addr().unwrap().to_string());
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["vault.example".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority).unwrap();
    let address = serve(listener, certificate.der().clone(), &key);
    (address, authority.pem())
}

/// Answers every request over TLS with an envelope; gives the address.
fn serve(
    listener: std::net::TcpListener,
    certificate: rustls::pki_types::CertificateDer<'static>,
    key: &KeyPair,
) -> String {
    let address = format!("https://{}", listener.local_addr().unwrap());
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::Stream::new(&mut connection, &mut stream);
            let mut buffer = [0; 4096];
            // A client that does not trust the server, or speaks no TLS, breaks off here.
            if tls.read(&mut buffer).is_ok_and(|count| count > 0) {
                let host = String::from_utf8_lossy(&buffer).contains("host: 127.0.0.1:");
                let body = format!("{{\"data\":{{\"host\":{host}}}}}");
                let length = body.len();
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close");
                tls.write_all(format!("{head}\r\n\r\n{body}").as_bytes())
                    .unwrap();
            }
        }
    });
    address
}

async fn read(address: &str, tls: crate::TlsConfig) -> Result<String, String> {
    let mut config = config(address);
    config.tls = tls;
    config.retries_max = 0;
    let client = Client::new(config).map_err(|error| error.to_string())?;
    let found = client.read("a").await.map_err(|error| error.to_string())?;
    Ok(found.unwrap().data.to_string())
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_and_its_name() {
    let (address, authority) = tls_server();
    let authority = Some(authority.into_bytes());
    let name = Some("vault.example".to_owned());
    let with = |ca_cert_pem, server_name, skip_verify| crate::TlsConfig {
        ca_cert_pem,
        server_name,
        skip_verify,
        ..crate::TlsConfig::default()
    };
    let found = read(&address, with(authority.clone(), name.clone(), false)).await;
    assert_eq!(found.unwrap(), r#"{"host":true}"#);
    let wrong_name = read(&address, with(authority, None, false))
        .await
        .unwrap_err();
    assert!(wrong_name.contains("vault.example"), "{wrong_name}");
    let (_, stranger) = tls_server();
    let stranger = read(&address, with(Some(stranger.into_bytes()), name, false))
        .await
        .unwrap_err();
    assert!(stranger.contains("VAULT_CACERT"), "{stranger}");
    assert!(read(&address, with(None, None, true)).await.is_ok());
}

#[tokio::test]
async fn a_server_with_the_certificate_of_an_authority_is_told_from_a_stranger() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = authority("an authority that serves");
    let address = serve(listener, authority.der().clone(), authority.key());
    let tls = crate::TlsConfig {
        ca_cert_pem: Some(authority.pem().into_bytes()),
        server_name: Some("vault.example".to_owned()),
        ..crate::TlsConfig::default()
    };
    let refused = read(&address, tls).await.unwrap_err();
    assert!(refused.contains("CA:FALSE"), "{refused}");
}

#[tokio::test]
async fn plain_http_to_a_tls_server_is_told() {
    let (address, _) = tls_server();
    let plain = address.replace("https://", "http://");
    let refused = read(&plain, crate::TlsConfig::default()).await;
    let refused = refused.unwrap_err();
    assert!(refused.contains("begins with https://"), "{refused}");
}

#[tokio::test]
async fn that_nobody_is_there_is_told_from_a_server_that_is_not_trusted() {
    let mut nobody = config("http://127.0.0.1:0");
    nobody.retries_max = 0;
    let error = Client::new(nobody).unwrap().read("a").await.unwrap_err();
    assert!(error.is_nobody_there(), "{error}");
    let mut stranger = config(&tls_server().0);
    stranger.retries_max = 0;
    let error = Client::new(stranger).unwrap().read("a").await.unwrap_err();
    assert!(!error.is_nobody_there(), "{error}");
}
