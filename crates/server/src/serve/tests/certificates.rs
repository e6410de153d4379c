//! Certificates of clients: who must show one, and where it stands in a request.

use super::{DEADLINE, House, Probe, Server, patient};
use crate::listener::ListenerConfig;
use crate::tls::{self, Clients, Offer, TlsFiles, Versions};
use bytes::Bytes;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A certificate and its key, in files and for use.
struct Identity {
    file: PathBuf,
    key_file: PathBuf,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn identity(folder: &tempfile::TempDir, name: &str) -> Identity {
    let (certificate, key) = tls::development_certificate().unwrap();
    let file = folder.path().join(format!("{name}.pem"));
    let key_file = folder.path().join(format!("{name}.key"));
    std::fs::write(&file, &certificate).unwrap();
    std::fs::write(&key_file, &key).unwrap();
    Identity {
        certificate: CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap(),
        key: PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        file,
        key_file,
    }
}

/// What `/certificates` answers to a client with this identity; an error where it gets no answer.
async fn ask(
    house: &House,
    server: &Identity,
    client: Option<&Identity>,
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(server.certificate.clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some(client) => {
            let chain = vec![client.certificate.clone()];
            config
                .with_client_auth_cert(chain, client.key.clone_key())
                .unwrap()
        }
    };
    let stream = TcpStream::connect(house.server.addresses().next().unwrap()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let request = b"GET /certificates HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(DEADLINE, read).await.unwrap()?;
    Ok(answer.split("\r\n\r\n").nth(1).unwrap().to_owned())
}

async fn house(server: &Identity, clients: Clients) -> House {
    let files = TlsFiles {
        certificate: server.file.clone(),
        key: server.key_file.clone(),
        versions: Versions::Both,
        clients,
    };
    let address = "127.0.0.1:0".parse().unwrap();
    let config = ListenerConfig::tcp(address, Some(Offer::read(files).unwrap()), patient());
    let probe = Arc::new(Probe::new(Bytes::new()));
    let server = Server::start_with(vec![config], |_, _| Arc::clone(&probe)).await;
    House {
        server: server.unwrap(),
        probe,
    }
}

#[tokio::test]
async fn verified_certificates_stand_in_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = identity(&folder, "server");
    let (client, stranger) = (identity(&folder, "client"), identity(&folder, "stranger"));
    let shown = hex::encode(&client.certificate);
    let required = house(&server, Clients::Required(client.file.clone())).await;
    assert_eq!(ask(&required, &server, Some(&client)).await.unwrap(), shown);
    assert!(ask(&required, &server, None).await.is_err());
    assert!(ask(&required, &server, Some(&stranger)).await.is_err());
    let optional = house(&server, Clients::Optional(client.file.clone())).await;
    assert_eq!(ask(&optional, &server, Some(&client)).await.unwrap(), shown);
    assert_eq!(ask(&optional, &server, None).await.unwrap(), "none");
    assert!(ask(&optional, &server, Some(&stranger)).await.is_err());
    let not_asked = house(&server, Clients::NotAsked).await;
    let answer = ask(&not_asked, &server, Some(&client)).await;
    assert_eq!(answer.unwrap(), "none");
}
