//! The service as `key_vault.py` plays it.

use super::*;
use crate::conformance::{self, Harness, Subject};
use crate::test_python::Server;
use crate::{Ciphertext, KeyManagementService, ProviderKms};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

/// The head of programs of Microsoft's client: `keys` is one, and `crypto` makes one for a key.
const HEAD: &str = "
import base64, sys, time
from azure.core.credentials import AccessToken
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm as Algorithm
class Credential:
    def get_token(self, *_, **__):
        return AccessToken('planted-token', int(time.time()) + 3000)
options = {'verify_challenge_resource': False, 'connection_verify': sys.argv[2]}
vault = 'https://127.0.0.1:' + sys.argv[1]
keys = KeyClient(vault, Credential(), **options)
def crypto(name):
    return CryptographyClient(f'{vault}/keys/{name}', Credential(), **options)
def show(data):
    print(base64.b64encode(data).decode())
";

pub(super) struct Cloud {
    folder: TempDir,
    server: Server,
    algorithm: AzureAlgorithm,
}

impl Cloud {
    pub(super) fn start(algorithm: AzureAlgorithm) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let program = "providers/azure/tests/key_vault.py";
        let cloud = Self {
            server: Server::start(program, &[ca.to_str().unwrap()])?,
            folder,
            algorithm,
        };
        cloud.client(match algorithm {
            AzureAlgorithm::RsaOaep256 => {
                "[keys.create_rsa_key(name) for name in ('one', 'two', 'three')]"
            }
            AzureAlgorithm::A256Gcm => {
                "[keys.create_oct_key(name, hardware_protected=True)\n\
                 for name in ('one', 'two', 'three')]"
            }
        });
        Some(cloud)
    }

    /// Runs a program of Microsoft's client; what it prints.
    fn client(&self, program: &str) -> String {
        let (port, ca) = (self.server.port.to_string(), self.ca());
        let arguments = [port.as_str(), ca.to_str().unwrap()];
        self.server.run(&format!("{HEAD}{program}"), &arguments)
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(super) fn settings(&self) -> AzureSettings {
        let url = format!("https://127.0.0.1:{}", self.server.port);
        AzureSettings {
            algorithm: self.algorithm,
            authority_host: Some(url.clone()),
            ca: Some(self.ca()),
            verify_challenge_resource: false,
            timeout: Some(Duration::from_secs(30)),
            ..AzureSettings::new(url, secret("planted-secret"))
        }
    }

    fn provider(&self) -> AzureProvider {
        AzureProvider::new(self.settings())
    }

    fn kms(&self) -> ProviderKms {
        ProviderKms::new(Arc::new(self.provider()))
    }

    fn identifier(&self, name: &str) -> KeyId {
        id(&format!(
            "https://127.0.0.1:{}/keys/{name}",
            self.server.port
        ))
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
async fn a_vault_conforms() {
    let Some(cloud) = Cloud::start(AzureAlgorithm::RsaOaep256) else {
        return;
    };
    conformance::run(&cloud).await.unwrap();
    microsofts_client_opens_what_is_made_here_and_back(&cloud).await;
    a_key_is_made_for_its_algorithm(&cloud, "RSA 3072").await;
    identifiers_and_versions_are_taken(&cloud).await;
    what_another_algorithm_made_is_told(&cloud, "A256GCM").await;
    a_ciphertext_without_a_version_opens_after_rotations(&cloud).await;
    versions_that_are_not_there_are_told(&cloud).await;
    a_key_out_of_use_is_told(&cloud).await;
    credentials_that_are_refused_are_told(&cloud).await;
    who_does_not_prove_who_it_is_is_told(&cloud).await;
    a_challenge_of_another_domain_is_refused(&cloud).await;
}

#[tokio::test]
async fn a_managed_hsm_conforms() {
    let Some(cloud) = Cloud::start(AzureAlgorithm::A256Gcm) else {
        return;
    };
    conformance::run(&cloud).await.unwrap();
    let (kms, bound) = (cloud.kms(), context("env=prod,service=api"));
    let aad = STANDARD.encode(bound.canonical_bytes());
    let ours = kms.encrypt(&id("one"), b"ours", &bound).await.unwrap();
    let (blob, version) = (STANDARD.encode(&ours.wrapped().bytes), ours.key_version());
    let opened = cloud.client(&format!(
        "blob = base64.b64decode('{blob}')[1:]\n\
         show(crypto('one/{version}').decrypt(Algorithm.a256_gcm, blob[28:], iv=blob[:12],\n\
         authentication_tag=blob[12:28],\n\
         additional_authenticated_data=base64.b64decode('{aad}')).plaintext)"
    ));
    assert_eq!(STANDARD.decode(opened).unwrap(), b"ours");
    let blob = cloud.client(&format!(
        "made = crypto('one/{version}').encrypt(Algorithm.a256_gcm, b'theirs',\n\
         additional_authenticated_data=base64.b64decode('{aad}'))\n\
         show(made.iv + made.tag + made.ciphertext)"
    ));
    let wrapped = Wrapped {
        bytes: STANDARD.decode(blob).unwrap(),
        ..ours.wrapped().clone()
    };
    let theirs = Ciphertext::native(NAME, wrapped).unwrap();
    let opened = kms.decrypt(&theirs, &bound).await.unwrap();
    assert_eq!(opened.expose(), b"theirs");
    what_another_algorithm_made_is_told(&cloud, "RSA-OAEP-256").await;
    a_key_is_made_for_its_algorithm(&cloud, "oct-HSM 0").await;
}

/// Where several make it at once, it has as many versions, and each of them opens what it encrypted.
async fn a_key_is_made_for_its_algorithm(cloud: &Cloud, wanted: &str) {
    let (key, none) = (id("made"), context(""));
    let tries = (0..4).map(|_| {
        let (provider, key) = (cloud.provider(), key.clone());
        tokio::spawn(async move { provider.create(&key).await })
    });
    let mut made = 0;
    for outcome in futures::future::join_all(tries).await {
        let version = match outcome.unwrap() {
            Ok(info) => info.version,
            Err(refused) => {
                assert_eq!(refused.kind(), "key_exists", "{refused}");
                continue;
            }
        };
        made += 1;
        let provider = cloud.provider();
        let pinned = id(&format!("made/{version}"));
        let wrapped = provider.wrap(&pinned, b"x", &none).await.unwrap();
        assert_eq!(wrapped.version, version);
        let opened = provider.unwrap(&wrapped, &none).await.unwrap();
        assert_eq!(opened.expose(), b"x");
    }
    assert!(made > 0);
    let shown = cloud.client(
        "found = keys.get_key('made')\n\
         print(found.key_type.value, 8 * len(found.key.n or b''), *found.key_operations)",
    );
    let bare = shown.replace("KeyOperation.", "");
    assert_eq!(bare, format!("{wanted} encrypt decrypt"));
    let provider = cloud.provider();
    for (name, wanted) in [
        ("made", "key_exists"),
        ("raced", "key_exists"),
        ("new/0a", "refused"),
        ("a_b", "key_id"),
    ] {
        let refused = provider.create(&id(name)).await.unwrap_err();
        assert_eq!(refused.kind(), wanted, "{name}: {refused}");
    }
}

/// What was made under the other algorithm would open without its context.
async fn what_another_algorithm_made_is_told(cloud: &Cloud, other: &str) {
    let made = cloud
        .provider()
        .wrap(&id("one"), &[7; 32], &context(""))
        .await;
    let made = made.unwrap();
    let settings = AzureSettings {
        algorithm: match cloud.algorithm {
            AzureAlgorithm::RsaOaep256 => AzureAlgorithm::A256Gcm,
            AzureAlgorithm::A256Gcm => AzureAlgorithm::RsaOaep256,
        },
        ..cloud.settings()
    };
    let refused = AzureProvider::new(settings)
        .unwrap(&made, &context(""))
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), "refused", "{refused}");
    let wanted = format!(
        "made with {}, and [kms.azure] says {other}",
        cloud.algorithm
    );
    assert!(refused.to_string().contains(&wanted), "{refused}");
    // What was made before algorithms were named is opened as it is configured.
    let before = Wrapped {
        bytes: made.bytes[1..].to_vec(),
        ..made
    };
    let opened = cloud
        .provider()
        .unwrap(&before, &context(""))
        .await
        .unwrap();
    assert_eq!(opened.expose(), [7; 32]);
}

/// Programs that write no version down have the newest few of them tried.
async fn a_ciphertext_without_a_version_opens_after_rotations(cloud: &Cloud) {
    cloud.client("keys.create_rsa_key('turns')");
    let (provider, key, none) = (cloud.provider(), id("turns"), context(""));
    let made = provider.wrap(&key, b"x", &none).await.unwrap();
    let made = Wrapped {
        version: KeyVersion::default(),
        ..made
    };
    for _ in 1..VERSIONS_TRIED_MAX {
        provider.rotate(&key).await.unwrap();
    }
    let opened = provider.unwrap(&made, &none).await.unwrap();
    assert_eq!(opened.expose(), b"x");
    let changed = Wrapped {
        bytes: [&made.bytes[..256], &[made.bytes[256] ^ 1]].concat(),
        ..made.clone()
    };
    let refused = provider.unwrap(&changed, &none).await.unwrap_err();
    assert_eq!(refused.kind(), "not_authentic", "{refused}");
    // One more, and it is not among them; nor is one that is out of use.
    let newest = provider.rotate(&key).await.unwrap();
    let refused = provider.unwrap(&made, &none).await.unwrap_err();
    assert_eq!(refused.kind(), "refused", "{refused}");
    assert!(
        refused
            .to_string()
            .contains("newest 20 versions of `turns`"),
        "{refused}"
    );
    cloud.client(&format!(
        "keys.update_key_properties('turns', '{}', enabled=False)",
        newest.version
    ));
    let found = provider.unwrap(&made, &none).await.unwrap_err();
    assert_eq!(found.kind(), "refused", "{found}");
}

async fn microsofts_client_opens_what_is_made_here_and_back(cloud: &Cloud) {
    let (kms, none) = (cloud.kms(), context(""));
    let ours = kms.encrypt(&id("one"), b"ours", &none).await.unwrap();
    let (blob, version) = (STANDARD.encode(&ours.wrapped().bytes), ours.key_version());
    let opened = cloud.client(&format!(
        "show(crypto('one/{version}').decrypt(Algorithm.rsa_oaep_256,\n\
         base64.b64decode('{blob}')[1:]).plaintext)"
    ));
    assert_eq!(STANDARD.decode(opened).unwrap(), b"ours");
    // Its client encrypts by itself, with the public key of the newest version.
    let blob = cloud.client(
        "made = CryptographyClient(keys.get_key('one'), Credential(), **options)\n\
         show(made.encrypt(Algorithm.rsa_oaep_256, b'theirs').ciphertext)",
    );
    let wrapped = Wrapped {
        key: id("one"),
        version: KeyVersion::default(),
        bytes: STANDARD.decode(blob).unwrap(),
    };
    let theirs = Ciphertext::native(NAME, wrapped).unwrap();
    let opened = kms.decrypt(&theirs, &none).await.unwrap();
    assert_eq!(opened.expose(), b"theirs");
}

async fn identifiers_and_versions_are_taken(cloud: &Cloud) {
    let (kms, none, whole) = (cloud.kms(), context(""), cloud.identifier("two"));
    let before = kms.key_info(&whole).await.unwrap();
    assert_eq!((&before.key, before.enabled), (&whole, true));
    let rotated = kms.rotate_key(&whole).await.unwrap();
    assert!(rotated.rotated_at.is_some() && rotated.version != before.version);
    // The old version, by its name.
    let pinned = id(&format!("two/{}", before.version));
    let made = kms.encrypt(&pinned, b"y", &none).await.unwrap();
    assert_eq!(
        (made.key(), made.key_version()),
        (&id("two"), &before.version)
    );
    assert_eq!(kms.decrypt(&made, &none).await.unwrap().expose(), b"y");
    assert_eq!(kms.key_info(&pinned).await.unwrap().version, before.version);
}

/// A version stands in the path of a request, and must not lead it elsewhere.
async fn versions_that_are_not_there_are_told(cloud: &Cloud) {
    let provider = cloud.provider();
    let made = provider.wrap(&id("one"), b"x", &context("")).await.unwrap();
    for version in ["0a0b", "..", "../../three/0", "x?y"] {
        let elsewhere = Wrapped {
            version: KeyVersion::new(version).unwrap(),
            ..made.clone()
        };
        let refused = provider.unwrap(&elsewhere, &context("")).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), "key_version_not_found", "{version}");
    }
}

async fn a_key_out_of_use_is_told(cloud: &Cloud) {
    let (provider, key, none) = (cloud.provider(), id("three"), context(""));
    let made = provider.wrap(&key, b"x", &none).await.unwrap();
    cloud.client("keys.update_key_properties('three', enabled=False)");
    assert!(!provider.describe(&key).await.unwrap().enabled);
    for refused in [
        provider.wrap(&key, b"x", &none).await.map(drop),
        provider.unwrap(&made, &none).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), "key_disabled");
    }
}

async fn credentials_that_are_refused_are_told(cloud: &Cloud) {
    let settings = AzureSettings {
        credentials: secret("planted-other"),
        ..cloud.settings()
    };
    let refused = AzureProvider::new(settings).describe(&id("one")).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), "credentials", "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("planted"));
    let settings = AzureSettings {
        credentials: secret(""),
        ..cloud.settings()
    };
    let refused = AzureProvider::new(settings).describe(&id("one")).await;
    assert_eq!(refused.unwrap_err().kind(), "not_configured");
}

async fn who_does_not_prove_who_it_is_is_told(cloud: &Cloud) {
    let mut settings = cloud.settings();
    settings.ca = None;
    let refused = AzureProvider::new(settings.clone()).health().await;
    assert_eq!(refused.unwrap_err().kind(), "untrusted");
    let path = cloud.folder.path().join("none.pem");
    std::fs::write(&path, "planted").unwrap();
    settings.ca = Some(path);
    let refused = AzureProvider::new(settings).health().await.unwrap_err();
    assert_eq!(refused.kind(), "file_content", "{refused}");
}

/// Who asks for a token of another domain could use it there.
async fn a_challenge_of_another_domain_is_refused(cloud: &Cloud) {
    let settings = AzureSettings {
        verify_challenge_resource: true,
        ..cloud.settings()
    };
    let refused = AzureProvider::new(settings).health().await.unwrap_err();
    assert_eq!(refused.kind(), "refused", "{refused}");
    let told = refused.to_string();
    let wanted =
        "'https://vault.azure.net/.default' doesn't match the requested domain '127.0.0.1'";
    assert!(told.contains(wanted), "{told}");
}
