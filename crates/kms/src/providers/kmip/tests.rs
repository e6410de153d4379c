//! Against a real PyKMIP, whose command `SECRETUM_PYKMIP` names; `./test` sets it. Against a Cosmian KMS,
//! whose binary `SECRETUM_COSMIAN` names; `./test --all` sets it. And against what answers nonsense, or
//! not at all.

mod faults;
mod peers;

use super::*;
use crate::test_certificates::Certificates;
use secretum_crypto::SystemRng;

fn id(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

fn context(text: &str) -> EncryptionContext {
    text.parse().unwrap()
}

fn server_at(made: &Certificates, port: u16) -> KmipServer {
    let mut server = KmipServer::new(
        "127.0.0.1",
        made.path("client.pem"),
        made.path("client-key.pem"),
        made.path("ca.pem"),
    );
    server.port = port;
    server
}

fn provider(server: KmipServer) -> KmipProvider {
    KmipProvider::new(server, Arc::new(SystemRng)).unwrap()
}

#[test]
fn files_that_cannot_be_used_are_told() {
    let made = Certificates::new();
    let refused = |server| KmipProvider::new(server, Arc::new(SystemRng)).unwrap_err();
    let mut server = server_at(&made, 1);
    server.ca = made.path("none.pem");
    assert!(matches!(refused(server), KmsError::File { .. }));
    let mut server = server_at(&made, 1);
    server.ca = made.path("client-key.pem");
    assert!(matches!(refused(server), KmsError::FileContent { .. }));
    let mut server = server_at(&made, 1);
    server.client_key = made.path("server-key.pem");
    assert!(matches!(refused(server), KmsError::FileContent { .. }));
    let mut server = server_at(&made, 1);
    server.version = Some("1.1".to_owned());
    assert!(matches!(refused(server), KmsError::Refused { .. }));
    let key = made.path("client-key.pem");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        refused(server_at(&made, 1)),
        KmsError::FileRights { .. }
    ));
}

#[test]
fn debug_shows_no_key() {
    let made = Certificates::new();
    let shown = format!("{:?}", provider(server_at(&made, 1)));
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}
