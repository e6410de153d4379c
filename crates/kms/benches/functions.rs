//! What an envelope costs beside its cipher, and what age costs.
//!
//! `cargo bench -p secretum-kms` prints a line for each: `RESULT <name> <nanoseconds>`, the median of
//! rounds. `cargo xtask bench kms` reads them.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it prints what it measured"
)]

use secretum_crypto::{Aead, Clock, Key256, SecretString, SystemClock, SystemRng, random_bytes};
use secretum_kms::{
    AgeFiles, AgeProvider, CachedKms, EncryptedEnvelope, EncryptionContext, EnvKeyProvider, KeyId,
    KeyManagementService, KmsCacheConfig, ProviderKms,
};
use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Measurements of each, of which the middle one counts.
const ROUNDS: usize = 9;

/// How long each takes.
const ROUND: Duration = Duration::from_millis(150);

const KEY: &str = "default:1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let key = KeyId::new("default").unwrap();
    let context = EncryptionContext::of([("env", "prod")]).unwrap();
    let provider =
        EnvKeyProvider::from_text(&SecretString::new(KEY.to_owned()), Arc::new(SystemRng));
    let local = ProviderKms::new(Arc::new(provider.unwrap()));
    let kept = KmsCacheConfig {
        generated_uses_max: u32::MAX,
        ..KmsCacheConfig::default()
    };
    let cached = CachedKms::new(Arc::new(local), kept);
    for (bytes, name) in [(1_024, "1k"), (65_536, "64k")] {
        let plaintext = vec![7_u8; bytes];
        let made = EncryptedEnvelope::seal(&cached, &key, &plaintext, &context);
        let made = made.await.unwrap();
        measure(&format!("envelope-open-{name}"), async || {
            black_box(made.open(&cached, &context).await.unwrap());
        })
        .await;
        measure(&format!("envelope-seal-{name}"), async || {
            let sealed = EncryptedEnvelope::seal(&cached, &key, &plaintext, &context);
            black_box(sealed.await.unwrap());
        })
        .await;
        let cipher = Aead::aes_256_gcm(&Key256::random(&SystemRng).unwrap()).unwrap();
        let nonce = random_bytes(&SystemRng).unwrap();
        let sealed = cipher.seal(nonce, b"", &plaintext).unwrap();
        measure(&format!("cipher-open-{name}"), async || {
            black_box(cipher.open(nonce, b"", &sealed).unwrap());
        })
        .await;
        measure(&format!("cipher-seal-{name}"), async || {
            black_box(cipher.seal(nonce, b"", &plaintext).unwrap());
        })
        .await;
    }
    age(&key).await;
}

/// age of 1 KiB.
async fn age(key: &KeyId) {
    let folder = tempfile::tempdir().unwrap();
    let files = AgeFiles {
        public: Some(folder.path().join("public.txt")),
        private: Some(folder.path().join("private.txt")),
    };
    files.generate(SystemClock.now()).unwrap();
    let provider = AgeProvider::open(key.clone(), files, false, Arc::new(SystemClock)).unwrap();
    let kms = ProviderKms::new(Arc::new(provider));
    let (plaintext, none) = (vec![7_u8; 1_024], EncryptionContext::NONE);
    let made = kms.encrypt(key, &plaintext, &none).await.unwrap();
    measure("age-encrypt-1k", async || {
        black_box(kms.encrypt(key, &plaintext, &none).await.unwrap());
    })
    .await;
    measure("age-decrypt-1k", async || {
        black_box(kms.decrypt(&made, &none).await.unwrap());
    })
    .await;
}

async fn measure<F: Future<Output = ()>>(name: &str, work: impl Fn() -> F) {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (began, mut times) = (Instant::now(), 0_u32);
        while began.elapsed() < ROUND {
            work().await;
            times += 1;
        }
        rounds.push(began.elapsed() / times);
    }
    rounds.sort_unstable();
    let middle = rounds.get(ROUNDS / 2).copied().unwrap_or_default();
    println!("RESULT {name} {}", middle.as_nanos());
}
