//! Against a real PyKMIP, whose command `SECRETUM_PYKMIP` names; `./test` sets it. Against a Cosmian KMS,
//! whose binary `SECRETUM_COSMIAN` names; `./test --all` sets it. And against what answers nonsense, or
//! not at all.

mod faults;
mod peers;

use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use secretum_crypto::SystemRng;
use std::path::Path;
use tempfile::TempDir;

fn id(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

fn context(text: &str) -> EncryptionContext {
    text.parse().unwrap()
}

/// An authority, and certificates by it in files: ECDSA P-256, which is what PyKMIP and rustls have in
/// common.
pub(crate) struct Certificates {
    pub(crate) folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Trust is looked up by the name, so it is that of no other authority.
        let name = folder.path().display().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        let this = Self { folder, authority };
        this.write("ca.pem", &this.authority.pem());
        this.issue("server", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        this.issue("client", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        });
        this
    }

    /// A certificate for this machine, and its key, in `NAME.pem` and `NAME-key.pem`.
    pub(crate) fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names.to_vec()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}-key.pem"), &key.serialize_pem());
    }

    /// The same, but it has expired.
    pub(crate) fn issue_expired(&self, name: &str) {
        self.issue(name, |params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 2, 1);
        });
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        private(&path);
    }

    fn server(&self, port: u16) -> KmipServer {
        let mut server = KmipServer::new(
            "127.0.0.1",
            self.path("client.pem"),
            self.path("client-key.pem"),
            self.path("ca.pem"),
        );
        server.port = port;
        server
    }
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn provider(server: KmipServer) -> KmipProvider {
    KmipProvider::new(server, Arc::new(SystemRng)).unwrap()
}

#[test]
fn files_that_cannot_be_used_are_told() {
    let made = Certificates::new();
    let refused = |server| KmipProvider::new(server, Arc::new(SystemRng)).unwrap_err();
    let mut server = made.server(1);
    server.ca = made.path("none.pem");
    assert!(matches!(refused(server), KmsError::File { .. }));
    let mut server = made.server(1);
    server.ca = made.path("client-key.pem");
    assert!(matches!(refused(server), KmsError::FileContent { .. }));
    let mut server = made.server(1);
    server.client_key = made.path("server-key.pem");
    assert!(matches!(refused(server), KmsError::FileContent { .. }));
    let mut server = made.server(1);
    server.version = Some("1.1".to_owned());
    assert!(matches!(refused(server), KmsError::Refused { .. }));
    let key = made.path("client-key.pem");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        refused(made.server(1)),
        KmsError::FileRights { .. }
    ));
}

#[test]
fn debug_shows_no_key() {
    let made = Certificates::new();
    let shown = format!("{:?}", provider(made.server(1)));
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}
