use super::keyring::VERSIONS_MAX;
use super::*;
use crate::conformance::{self, Harness, Subject};
use crate::{Ciphertext, KeyManagementService, ProviderKms};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_crypto::TestRng;
use std::os::unix::fs::PermissionsExt;

fn rng() -> RngRef {
    Arc::new(TestRng::new(5))
}

fn id(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

fn entry(name: &str, version: u64, byte: u8) -> String {
    format!("{name}:{version}:{}", STANDARD.encode([byte; 32]))
}

fn of_text(text: &str) -> Result<EnvKeyProvider> {
    EnvKeyProvider::from_text(&SecretString::new(text.to_owned()), rng())
}

struct InFile(tempfile::TempDir);

#[async_trait]
impl Harness for InFile {
    async fn open(&self) -> Subject {
        let file = self.0.path().join("keys");
        let text = [entry("k", 1, 1), entry("other", 4, 2)].join("\n");
        let _ = std::fs::remove_file(&file);
        files::create(&file, &text, Rights::Private).unwrap();
        let provider = EnvKeyProvider::from_file(&file, rng()).unwrap();
        Subject {
            kms: Arc::new(ProviderKms::new(Arc::new(provider))),
            key: id("k"),
            other_key: Some(id("other")),
        }
    }
}

#[tokio::test]
async fn conforms() {
    let harness = InFile(tempfile::tempdir().unwrap());
    conformance::run(&harness).await.unwrap();
}

#[test]
fn a_text_says_what_is_wrong_with_it() {
    assert!(of_text(&format!("{}, {}", entry("a", 1, 1), entry("a", 2, 2))).is_ok());
    assert!(of_text(&format!("# keys\n\n{} # the first", entry("a", 1, 1))).is_ok());
    let twice = [entry("a", 1, 1), entry("a", 1, 2)].join(",");
    for (text, reason) in [
        ("", "holds no key"),
        ("a", "entry 1 has not three parts"),
        ("a:x:y", "entry 1 has no number"),
        (":1:y", "entry 1 has no name"),
        ("a:1:c2hvcnQ=", "entry 1 has no key of 32 bytes"),
        (twice.as_str(), "entry 2 has a name and version"),
    ] {
        let error = of_text(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn versions_have_their_limit() {
    let lines = |count: u64| {
        let lines: Vec<String> = (1..=count).map(|n| entry("a", n, 1)).collect();
        lines.join("\n")
    };
    let most = u64::try_from(VERSIONS_MAX).unwrap();
    assert!(of_text(&lines(most)).is_ok());
    assert!(of_text(&lines(most + 1)).is_err());
}

#[tokio::test]
async fn a_key_from_the_environment_is_not_rotated_here() {
    let provider = of_text(&entry("a", 1, 1)).unwrap();
    let refused = provider.rotate(&id("a")).await.unwrap_err();
    assert!(matches!(refused, KmsError::Unsupported { .. }), "{refused}");
    assert!(!provider.traits().rotation);
}

#[tokio::test]
async fn a_rotation_is_in_the_file_and_seen_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let one = EnvKeyProvider::create_file(&path, &id("a"), rng()).unwrap();
    let other = EnvKeyProvider::from_file(&path, rng()).unwrap();
    let rotated = one.rotate(&id("a")).await.unwrap();
    assert_eq!(rotated.version.as_str(), "2");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The other one was opened before, and learns of the version from the ciphertext.
    let kms = ProviderKms::new(Arc::new(one));
    let ciphertext = kms.encrypt(&id("a"), b"x", &EncryptionContext::NONE).await;
    let ciphertext = ciphertext.unwrap();
    assert_eq!(ciphertext.key_version().as_str(), "2");
    let kms = ProviderKms::new(Arc::new(other.clone()));
    let opened = kms.decrypt(&ciphertext, &EncryptionContext::NONE).await;
    assert_eq!(opened.unwrap().expose(), b"x");
    // Both rotate from what stands in the file, so that no version is made twice.
    assert_eq!(other.rotate(&id("a")).await.unwrap().version.as_str(), "3");
}

#[tokio::test(start_paused = true)]
async fn foreign_ciphertexts_do_not_have_the_file_read_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let one = EnvKeyProvider::create_file(&path, &id("a"), rng()).unwrap();
    let other = EnvKeyProvider::from_file(&path, rng()).unwrap();
    let (context, mut foreign) = (
        EncryptionContext::NONE,
        one.wrap(&id("a"), b"x", &EncryptionContext::NONE)
            .await
            .unwrap(),
    );
    foreign.version = KeyVersion::from(7);
    for _ in 0..100 {
        let refused = other.unwrap(&foreign, &context).await.unwrap_err();
        assert!(matches!(refused, KmsError::KeyVersionNotFound { .. }));
        assert!(other.wrap(&id("b"), b"x", &context).await.is_err());
    }
    assert_eq!(other.inner.seen.times(), 1);
    // What another program rotates and makes meanwhile is seen all the same.
    one.rotate(&id("a")).await.unwrap();
    let rotated = one.wrap(&id("a"), b"y", &context).await.unwrap();
    let opened = other.unwrap(&rotated, &context).await.unwrap();
    assert_eq!(opened.expose(), b"y");
    one.create(&id("b")).await.unwrap();
    other.wrap(&id("b"), b"x", &context).await.unwrap();
    assert_eq!(other.inner.seen.times(), 3);
}

#[tokio::test]
async fn a_rotation_that_cannot_be_written_does_not_encrypt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let provider = EnvKeyProvider::create_file(&path, &id("a"), rng()).unwrap();
    // In the way of the file that would be written.
    std::fs::create_dir(folder.path().join("keys.new")).unwrap();
    assert!(provider.rotate(&id("a")).await.is_err());
    let described = provider.describe(&id("a")).await.unwrap();
    assert_eq!(described.version.as_str(), "1");
}

#[tokio::test]
async fn a_version_that_is_gone_is_named() {
    let two = of_text(&[entry("a", 1, 1), entry("a", 2, 2)].join(",")).unwrap();
    let kms = ProviderKms::new(Arc::new(two));
    let made: Ciphertext = kms
        .encrypt(&id("a"), b"x", &EncryptionContext::NONE)
        .await
        .unwrap();
    let kms = ProviderKms::new(Arc::new(of_text(&entry("a", 1, 1)).unwrap()));
    let refused = kms.decrypt(&made, &EncryptionContext::NONE).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, KmsError::KeyVersionNotFound { .. }));
    assert!(error.to_string().contains("version `2`"), "{error}");
}
