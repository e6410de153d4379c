use super::*;
use crate::conformance::{self, Harness, Subject};
use crate::{Ciphertext, Form, KeyManagementService, ProviderKms};
use secretum_crypto::{SystemClock, TestClock};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

mod peer;
mod vectors;

fn id(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

fn clock() -> ClockRef {
    Arc::new(TestClock::default())
}

/// Files of one key in a folder of their own.
struct Place {
    folder: TempDir,
    files: AgeFiles,
}

impl Place {
    /// A place without files.
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = AgeFiles {
            public: Some(folder.path().join("public.txt")),
            private: Some(folder.path().join("private.txt")),
        };
        Self { folder, files }
    }

    /// A place with a pair of keys.
    fn new() -> Self {
        let place = Self::empty();
        place.files.generate(TestClock::default().now()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn provider(&self, armor: bool) -> Result<AgeProvider> {
        AgeProvider::open(id("default"), self.files.clone(), armor, clock())
    }

    fn kms(&self, armor: bool) -> ProviderKms {
        ProviderKms::new(Arc::new(self.provider(armor).unwrap()))
    }
}

use secretum_crypto::Clock as _;

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Encrypted without a context.
async fn sealed(kms: &ProviderKms, plaintext: &[u8]) -> Ciphertext {
    let (key, context) = (id("default"), EncryptionContext::NONE);
    kms.encrypt(&key, plaintext, &context).await.unwrap()
}

struct Fresh(parking_lot::Mutex<Vec<Place>>, bool);

#[async_trait]
impl Harness for Fresh {
    async fn open(&self) -> Subject {
        let place = Place::new();
        let kms = Arc::new(place.kms(self.1));
        self.0.lock().push(place);
        Subject {
            kms,
            key: id("default"),
            other_key: None,
        }
    }
}

#[tokio::test]
async fn conforms() {
    for armor in [false, true] {
        let harness = Fresh(parking_lot::Mutex::new(Vec::new()), armor);
        conformance::run(&harness).await.unwrap();
    }
}

#[tokio::test]
async fn a_context_changes_the_form() {
    let kms = Place::new().kms(false);
    let plain = sealed(&kms, b"x").await;
    assert_eq!(plain.form(), Form::Native);
    assert!(
        plain
            .wrapped()
            .bytes
            .starts_with(b"age-encryption.org/v1\n")
    );
    let bound: EncryptionContext = "env=prod".parse().unwrap();
    let bound = kms.encrypt(&id("default"), b"x", &bound).await.unwrap();
    assert_eq!(bound.form(), Form::Sealed);
}

#[test]
fn a_pair_is_made_once_with_the_right_modes() {
    let place = Place::new();
    let (public, private) = (place.path("public.txt"), place.path("private.txt"));
    assert_eq!((mode(&public), mode(&private)), (0o644, 0o600));
    let text = std::fs::read_to_string(&private).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "# created: 2026-01-01T00:00:00Z");
    let recipient = std::fs::read_to_string(&public).unwrap();
    assert_eq!(lines[1], format!("# public key: {}", recipient.trim()));
    assert!(lines[2].starts_with("AGE-SECRET-KEY-1"));
    // Neither is written over, and a half pair is not left behind.
    let now = SystemClock.now();
    assert!(place.files.generate(now).is_err());
    std::fs::remove_file(&private).unwrap();
    assert!(place.files.generate(now).is_err());
    assert!(!private.exists());
}

#[test]
fn a_private_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let path = place.path("private.txt");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = place.provider(false).unwrap_err();
    assert!(matches!(refused, KmsError::FileRights { .. }));
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
}

#[tokio::test]
async fn without_a_private_key_it_encrypts_only() {
    let place = Place::new();
    let whole = place.kms(false);
    let files = AgeFiles {
        private: None,
        ..place.files.clone()
    };
    let half = AgeProvider::open(id("default"), files, false, clock()).unwrap();
    assert!(!half.traits().rotation);
    let half = ProviderKms::new(Arc::new(half));
    let made = sealed(&half, b"x").await;
    let refused = half.decrypt(&made, &EncryptionContext::NONE).await;
    assert!(matches!(refused, Err(KmsError::NotConfigured { .. })));
    let opened = whole
        .decrypt(&made, &EncryptionContext::NONE)
        .await
        .unwrap();
    assert_eq!(opened.expose(), b"x");
}

#[tokio::test]
async fn another_pair_does_not_open() {
    let (one, two) = (Place::new(), Place::new());
    let made = sealed(&one.kms(false), b"x").await;
    let other = two.kms(false);
    let refused = other.decrypt(&made, &EncryptionContext::NONE).await;
    assert!(matches!(refused, Err(KmsError::KeyVersionNotFound { .. })));
}

#[tokio::test]
async fn a_ciphertext_under_the_name_of_another_key_does_not_open() {
    let place = Place::new();
    let kms = place.kms(false);
    let mut wrapped = sealed(&kms, b"x").await.wrapped().clone();
    wrapped.key = id("another");
    let renamed = Ciphertext::native(NAME, wrapped).unwrap();
    let refused = kms.decrypt(&renamed, &EncryptionContext::NONE).await;
    assert!(matches!(refused, Err(KmsError::KeyNotFound { .. })));
}

#[tokio::test]
async fn a_rotation_keeps_the_recipients_of_others() {
    let (place, other) = (Place::new(), Place::new());
    let theirs = std::fs::read_to_string(other.path("public.txt")).unwrap();
    let own = std::fs::read_to_string(place.path("public.txt")).unwrap();
    let both = format!("# mine\n{own}# theirs\n{theirs}");
    std::fs::write(place.path("public.txt"), both).unwrap();
    let kms = place.kms(false);
    let second = place.kms(false);
    kms.rotate_key(&id("default")).await.unwrap();
    let public = std::fs::read_to_string(place.path("public.txt")).unwrap();
    assert!(!public.contains(own.trim()) && public.contains(theirs.trim()));
    assert!(public.starts_with("# mine\nage1") && public.contains("# theirs\n"));
    let private = std::fs::read_to_string(place.path("private.txt")).unwrap();
    assert_eq!(private.matches("AGE-SECRET-KEY-1").count(), 2);
    assert_eq!(mode(&place.path("private.txt")), 0o600);
    let made = sealed(&kms, b"x").await;
    // One that was opened before the rotation reads the file again, and the other pair still opens.
    for kms in [second, other.kms(false)] {
        let opened = kms.decrypt(&made, &EncryptionContext::NONE).await;
        assert_eq!(opened.unwrap().expose(), b"x");
    }
}

#[tokio::test(start_paused = true)]
async fn foreign_ciphertexts_do_not_have_the_files_read_each_time() {
    let (place, stranger) = (Place::new(), Place::new());
    let (kms, provider) = (place.kms(false), place.provider(false).unwrap());
    let reader = ProviderKms::new(Arc::new(provider.clone()));
    let foreign = sealed(&stranger.kms(false), b"x").await;
    for _ in 0..50 {
        let refused = reader.decrypt(&foreign, &EncryptionContext::NONE).await;
        assert!(matches!(refused, Err(KmsError::KeyVersionNotFound { .. })));
    }
    assert_eq!(provider.inner.seen.times(), 1);
    // What another program rotates meanwhile is seen all the same.
    kms.rotate_key(&id("default")).await.unwrap();
    let rotated = sealed(&kms, b"y").await;
    let opened = reader.decrypt(&rotated, &EncryptionContext::NONE).await;
    assert_eq!(opened.unwrap().expose(), b"y");
    assert_eq!(provider.inner.seen.times(), 2);
}

#[test]
fn a_file_says_what_is_wrong_with_it() {
    let place = Place::new();
    let secret = std::fs::read_to_string(place.path("private.txt")).unwrap();
    for (name, text, reason) in [
        ("public.txt", "", "holds no recipient"),
        (
            "public.txt",
            "# x\nage1nonsense\n",
            "line 2 holds no recipient",
        ),
        ("public.txt", secret.as_str(), "line 3 holds a private key"),
        (
            "public.txt",
            "ssh-dss AAAAB3NzaC1kc3MAAAA= x",
            "line 1 holds",
        ),
        ("private.txt", "", "holds no private key"),
        (
            "private.txt",
            "AGE-SECRET-KEY-1planted",
            "line 1 holds no private key",
        ),
        ("private.txt", "age-encryption.org/v1\n", "passphrase"),
        (
            "private.txt",
            "-----BEGIN AGE ENCRYPTED FILE-----\n",
            "passphrase",
        ),
        ("private.txt", "-----BEGIN NONSENSE-----\n", "neither"),
    ] {
        let before = std::fs::read_to_string(place.path(name)).unwrap();
        std::fs::write(place.path(name), text).unwrap();
        let error = place.provider(false).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(!error.contains("planted") && !error.contains("SECRET"));
        std::fs::write(place.path(name), before).unwrap();
    }
}

#[test]
fn the_number_of_keys_has_its_limit() {
    let place = Place::new();
    let one = std::fs::read_to_string(place.path("public.txt")).unwrap();
    std::fs::write(place.path("public.txt"), one.repeat(keys::KEYS_MAX)).unwrap();
    assert!(place.provider(false).is_ok());
    std::fs::write(place.path("public.txt"), one.repeat(keys::KEYS_MAX + 1)).unwrap();
    assert!(place.provider(false).is_err());
}
