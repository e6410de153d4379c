//! The service as `cloud_kms.py` plays it.

use super::*;
use crate::conformance::{self, Harness, Subject};
use crate::test_python::Server;
use crate::{Ciphertext, KeyManagementService, ProviderKms};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The head of programs of Google's client: `kms` is one, `ring` the key ring.
const HEAD: &str = "
import base64, sys
from google.auth.credentials import AnonymousCredentials
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import (
    KeyManagementServiceRestTransport as Transport)
transport = Transport(host='127.0.0.1:' + sys.argv[1], credentials=AnonymousCredentials(),
    url_scheme='http')
kms = kms_v1.KeyManagementServiceClient(transport=transport)
ring = 'projects/p/locations/global/keyRings/r'
state = kms_v1.CryptoKeyVersion.CryptoKeyVersionState
def create(name, purpose='ENCRYPT_DECRYPT', ring=ring):
    kms.create_crypto_key(parent=ring, crypto_key_id=name, crypto_key={'purpose': purpose})
def show(data):
    print(base64.b64encode(data).decode())
";

pub(super) struct Cloud(Server);

impl Cloud {
    pub(super) fn start() -> Option<Self> {
        let cloud = Self(Server::start("providers/gcp/tests/cloud_kms.py", &[])?);
        cloud.client(
            "for name in 'r', 's':\n\
             \x20   kms.create_key_ring(parent='projects/p/locations/global', key_ring_id=name, key_ring={})\n\
             create('one'), create('two'), create('signs', 'MAC'), create('slow'), create('late')",
        );
        Some(cloud)
    }

    /// Runs a program of Google's client; what it prints.
    fn client(&self, program: &str) -> String {
        let port = self.0.port.to_string();
        self.0.run(&format!("{HEAD}{program}"), &[&port])
    }

    /// Writes the file of a service account.
    pub(super) fn write_account(&self, path: &std::path::Path) {
        self.0.run(
            "import json, os, sys
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import rsa
key = rsa.generate_private_key(65537, 2048)
pem = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY, 0o600)
os.write(file, json.dumps({'type': 'service_account', 'client_email': 'a@p.example',
    'private_key_id': 'i', 'private_key': pem, 'project_id': 'closed'}).encode())",
            &[path.to_str().unwrap()],
        );
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    fn provider(&self) -> GcpProvider {
        provider_of(settings("p", &self.url()))
    }

    fn kms(&self) -> ProviderKms {
        ProviderKms::new(Arc::new(self.provider()))
    }
}

#[async_trait]
impl Harness for Cloud {
    async fn open(&self) -> Subject {
        Subject {
            kms: Arc::new(self.kms()),
            key: id("one"),
            other_key: Some(id("two")),
        }
    }
}

#[tokio::test]
async fn conforms() {
    let Some(cloud) = Cloud::start() else {
        return;
    };
    conformance::run(&cloud).await.unwrap();
    googles_client_opens_what_is_made_here_and_back(&cloud).await;
    whole_names_and_versions_are_taken(&cloud).await;
    a_key_is_made_once(&cloud).await;
    a_version_that_is_made_later_is_waited_for(&cloud).await;
    a_rotation_that_was_cut_off_goes_on(&cloud).await;
    a_version_that_was_stepped_back_from_is_not_taken_up(&cloud).await;
    a_pinned_version_is_described_and_not_rotated(&cloud).await;
    #[cfg(feature = "local")]
    a_primary_version_that_comes_late_is_waited_for(&cloud).await;
    keys_that_do_not_encrypt_are_told(&cloud).await;
    a_key_out_of_use_is_told(&cloud).await;
    a_ring_that_is_not_there_is_told(&cloud).await;
    credentials_of_a_file_are_sent(&cloud).await;
}

async fn googles_client_opens_what_is_made_here_and_back(cloud: &Cloud) {
    let kms = cloud.kms();
    let bound = context("env=prod,service=api");
    for (context, aad) in [
        (bound.clone(), bound.canonical_bytes()),
        (context(""), vec![]),
    ] {
        let ours = kms.encrypt(&id("one"), b"ours", &context).await.unwrap();
        let (blob, aad) = (
            STANDARD.encode(&ours.wrapped().bytes),
            STANDARD.encode(&aad),
        );
        let opened = cloud.client(&format!(
            "opened = kms.decrypt({{'name': ring + '/cryptoKeys/one',\n\
             'ciphertext': base64.b64decode('{blob}'),\n\
             'additional_authenticated_data': base64.b64decode('{aad}')}})\n\
             show(opened.plaintext)"
        ));
        assert_eq!(STANDARD.decode(opened).unwrap(), b"ours");
        let blob = cloud.client(&format!(
            "made = kms.encrypt({{'name': ring + '/cryptoKeys/one', 'plaintext': b'theirs',\n\
             'additional_authenticated_data': base64.b64decode('{aad}')}})\n\
             show(made.ciphertext)"
        ));
        let wrapped = Wrapped {
            key: id("one"),
            version: KeyVersion::default(),
            bytes: STANDARD.decode(blob).unwrap(),
        };
        let theirs = Ciphertext::native(NAME, wrapped).unwrap();
        let opened = kms.decrypt(&theirs, &context).await.unwrap();
        assert_eq!(opened.expose(), b"theirs");
    }
}

async fn whole_names_and_versions_are_taken(cloud: &Cloud) {
    let (kms, none) = (cloud.kms(), context(""));
    let whole = id("projects/p/locations/global/keyRings/r/cryptoKeys/two");
    let before = kms.key_info(&whole).await.unwrap();
    assert_eq!((before.key.clone(), before.enabled), (whole.clone(), true));
    let rotated = kms.rotate_key(&whole).await.unwrap();
    assert!(rotated.rotated_at.is_some());
    let made = kms.encrypt(&whole, b"x", &none).await.unwrap();
    assert_eq!((made.key(), made.key_version()), (&whole, &rotated.version));
    // The old version, by its number.
    let pinned = id(&format!("two/cryptoKeyVersions/{}", before.version));
    let made = kms.encrypt(&pinned, b"y", &none).await.unwrap();
    assert_eq!(
        (made.key(), made.key_version()),
        (&id("two"), &before.version)
    );
    assert_eq!(kms.decrypt(&made, &none).await.unwrap().expose(), b"y");
}

/// However many make it at once; nor is a key ring made for it.
async fn a_key_is_made_once(cloud: &Cloud) {
    let key = id("projects/p/locations/global/keyRings/s/cryptoKeys/made");
    let tries = (0..8).map(|_| {
        let (provider, key) = (cloud.provider(), key.clone());
        tokio::spawn(async move { provider.create(&key).await })
    });
    let tries = futures::future::join_all(tries).await;
    let outcomes = tries.into_iter().map(std::result::Result::unwrap);
    let (made, refused): (Vec<_>, Vec<_>) = outcomes.partition(Result::is_ok);
    assert_eq!(made.len(), 1, "{refused:?}");
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind(), "key_exists");
    }
    let (provider, none) = (cloud.provider(), context(""));
    let described = provider.describe(&key).await.unwrap();
    assert_eq!((described.version.as_str(), described.enabled), ("1", true));
    assert_eq!(made[0].as_ref().unwrap(), &described);
    let wrapped = provider.wrap(&key, b"x", &none).await.unwrap();
    let opened = provider.unwrap(&wrapped, &none).await.unwrap();
    assert_eq!(opened.expose(), b"x");
    let shown = "found = kms.get_crypto_key(name=ring.replace('/r', '/s') + '/cryptoKeys/made')\n\
                 print(found.purpose.name, found.primary.name.rpartition('/')[2])";
    assert_eq!(cloud.client(shown), "ENCRYPT_DECRYPT 1");
    for (name, wanted) in [
        ("one", "key_exists"),
        (
            "projects/p/locations/global/keyRings/s/cryptoKeys/raced",
            "key_exists",
        ),
        ("signs", "refused"),
        ("new/cryptoKeyVersions/1", "refused"),
        (&"n".repeat(64), "refused"),
        (
            "projects/p/locations/global/keyRings/gone/cryptoKeys/k",
            "not_configured",
        ),
    ] {
        let refused = provider.create(&id(name)).await.unwrap_err();
        assert_eq!(refused.kind(), wanted, "{name}: {refused}");
    }
}

async fn a_version_that_is_made_later_is_waited_for(cloud: &Cloud) {
    let rotated = cloud.provider().rotate(&id("slow")).await.unwrap();
    assert_eq!((rotated.version.as_str(), rotated.enabled), ("2", true));
}

/// What the service has made is taken up, and no other version made beside it.
async fn a_rotation_that_was_cut_off_goes_on(cloud: &Cloud) {
    cloud.client("create('slow-too', ring=ring.replace('/r', '/s'))");
    let key = id("projects/p/locations/global/keyRings/s/cryptoKeys/slow-too");
    let mut hasty = cloud.provider();
    hasty.rotation_wait = Duration::ZERO;
    for _ in 0..2 {
        let refused = hasty.rotate(&key).await.unwrap_err();
        assert_eq!(refused.kind(), "unavailable", "{refused}");
    }
    assert_eq!(hasty.describe(&key).await.unwrap().version.as_str(), "1");
    for version in ["2", "3"] {
        let rotated = cloud.provider().rotate(&key).await.unwrap();
        assert_eq!(rotated.version.as_str(), version);
    }
    // One that is out of use is none to take up.
    cloud.client(
        "name = ring.replace('/r', '/s') + '/cryptoKeys/slow-too'\n\
         made = kms.create_crypto_key_version(parent=name, crypto_key_version={})\n\
         kms.update_crypto_key_version(update_mask={'paths': ['state']}, crypto_key_version={\n\
         'name': made.name, 'state': state.DISABLED})",
    );
    let rotated = cloud.provider().rotate(&key).await.unwrap();
    assert_eq!(rotated.version.as_str(), "5");
}

/// Who went back to an earlier version did so for a reason, unless that was a short time ago.
async fn a_version_that_was_stepped_back_from_is_not_taken_up(cloud: &Cloud) {
    cloud.client("create('stepped', ring=ring.replace('/r', '/s'))");
    let key = id("projects/p/locations/global/keyRings/s/cryptoKeys/stepped");
    let made = cloud.provider().rotate(&key).await.unwrap();
    assert_eq!(made.version.as_str(), "2");
    for (later, wanted) in [(Duration::ZERO, "2"), (Duration::from_secs(1), "3")] {
        cloud.client(
            "kms.update_crypto_key_primary_version(crypto_key_version_id='1',\n\
             name=ring.replace('/r', '/s') + '/cryptoKeys/stepped')",
        );
        let age = BEGUN_MAX + later;
        let clock = TestClock::new(made.rotated_at.unwrap().plus(age));
        let provider = GcpProvider::new(settings("p", &cloud.url()), Arc::new(clock));
        assert_eq!(provider.describe(&key).await.unwrap().version.as_str(), "1");
        let rotated = provider.rotate(&key).await.unwrap();
        assert_eq!(rotated.version.as_str(), wanted);
    }
}

async fn a_pinned_version_is_described_and_not_rotated(cloud: &Cloud) {
    let provider = cloud.provider();
    provider.rotate(&id("one")).await.unwrap();
    let now = provider.describe(&id("one")).await.unwrap().version;
    assert_ne!(now.as_str(), "1");
    let pinned = id("one/cryptoKeyVersions/1");
    let described = provider.describe(&pinned).await.unwrap();
    assert_eq!((described.version.as_str(), described.enabled), ("1", true));
    let refused = provider.rotate(&pinned).await.unwrap_err();
    assert_eq!(refused.kind(), "refused");
    let told = refused.to_string();
    assert!(
        told.contains("`one/cryptoKeyVersions/1` names a version"),
        "{told}"
    );
    assert_eq!(provider.describe(&id("one")).await.unwrap().version, now);
    let missing = provider.describe(&id("one/cryptoKeyVersions/99")).await;
    assert_eq!(missing.unwrap_err().kind(), "key_version_not_found");
}

/// No data key counts as done that went under the old version again.
#[cfg(feature = "local")]
async fn a_primary_version_that_comes_late_is_waited_for(cloud: &Cloud) {
    use crate::rotation::RotationError;
    use crate::rotation::tests::{Store, manager};
    let (provider, key) = (Arc::new(cloud.provider()), id("late"));
    let store = Store::of(&provider, &key).await;
    let mut rounds = 0;
    let done = loop {
        rounds += 1;
        match manager(&provider, &store).rotate(&key, &|_| ()).await {
            Err(RotationError::NewVersionPending { version, left, .. }) => {
                assert_eq!(version.as_str(), "2");
                let old = store
                    .versions()
                    .into_iter()
                    .filter(|version| version == "1");
                assert_eq!(left, old.count() as u64);
            }
            done => break done.unwrap(),
        }
    };
    assert!(rounds > 1, "nothing came late");
    assert_eq!((done.version.as_str(), done.rewrapped), ("2", 3));
    assert_eq!(store.versions(), vec!["2"; 3]);
}

async fn keys_that_do_not_encrypt_are_told(cloud: &Cloud) {
    let provider = cloud.provider();
    for refused in [
        provider.describe(&id("signs")).await.unwrap_err(),
        provider.rotate(&id("signs")).await.unwrap_err(),
        provider
            .wrap(&id("signs"), b"x", &context(""))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(refused.kind(), "refused", "{refused}");
    }
    let listed = provider.list(None, 10).await.unwrap();
    assert_eq!(listed.keys, [id("late"), id("one"), id("slow"), id("two")]);
}

async fn a_key_out_of_use_is_told(cloud: &Cloud) {
    cloud.client("create('off')");
    let (provider, key, none) = (cloud.provider(), id("off"), context(""));
    let made = provider.wrap(&key, b"x", &none).await.unwrap();
    cloud.client(
        "kms.update_crypto_key_version(update_mask={'paths': ['state']}, crypto_key_version={\n\
         'name': ring + '/cryptoKeys/off/cryptoKeyVersions/1', 'state': state.DISABLED})",
    );
    assert!(!provider.describe(&key).await.unwrap().enabled);
    for refused in [
        provider.wrap(&key, b"x", &none).await.map(drop),
        provider.unwrap(&made, &none).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), "key_disabled");
    }
}

async fn a_ring_that_is_not_there_is_told(cloud: &Cloud) {
    let provider = provider_of(settings("another", &cloud.url()));
    for refused in [
        provider.health().await.map(drop),
        provider.list(None, 1).await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), "not_configured", "{refused}");
    }
}

/// A project that serves nobody without a token.
async fn credentials_of_a_file_are_sent(cloud: &Cloud) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("account.json");
    cloud.write_account(&path);
    let mut settings = settings("closed", &cloud.url());
    let refused = provider_of(settings.clone()).describe(&id("k")).await;
    assert_eq!(refused.unwrap_err().kind(), "credentials");
    settings.credentials = GcpCredentials::File(path.clone());
    let provider = provider_of(settings.clone());
    let missing = provider.describe(&id("k")).await.unwrap_err();
    assert_eq!(missing.kind(), "key_not_found", "{missing}");
    assert!(!format!("{provider:?}").contains("PRIVATE"));

    let set = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&path, set(0o644)).unwrap();
    let refused = provider_of(settings.clone()).describe(&id("k")).await;
    assert_eq!(refused.unwrap_err().kind(), "file_rights");
    std::fs::set_permissions(&path, set(0o600)).unwrap();
    for text in [
        "planted",
        "{\"type\":\"planted\"}",
        "{\"type\":\"service_account\",\"client_email\":[\"planted\"]}",
        "{}",
    ] {
        std::fs::write(&path, text).unwrap();
        let refused = provider_of(settings.clone()).describe(&id("k")).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), "file_content", "{refused}");
        assert!(!format!("{refused} {refused:?}").contains("planted"));
    }
    std::fs::remove_file(&path).unwrap();
    let refused = provider_of(settings).describe(&id("k")).await;
    assert_eq!(refused.unwrap_err().kind(), "file");
}
