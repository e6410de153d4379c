//! What the key management library reads: ciphertexts, contexts, envelopes, streams, messages of KMIP,
//! `kms.toml`.

use futures::FutureExt;
use secretum_crypto::{SecretString, SystemRng};
use secretum_kms::config::Environment;
use secretum_kms::stream::{StreamHead, StreamOpen};
use secretum_kms::ttlv;
use secretum_kms::{
    Ciphertext, EncryptedEnvelope, EncryptionContext, EnvKeyProvider, KeyManagementService,
    KmsConfig, ProviderKms,
};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

/// The key that what stands in the corpus was made under.
const KEYS: &str = "k:1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// The plaintext and the context of what stands in the corpus.
const PLAINTEXT: &[u8] = b"what was encrypted";
const CONTEXT: &str = "env=prod";

/// Nothing waits where the keys are in memory.
fn now<T>(future: impl Future<Output = T>) -> T {
    let Some(done) = future.now_or_never() else {
        unreachable!("keys in memory waited");
    };
    done
}

fn with_kms<T>(look: impl FnOnce(&dyn KeyManagementService, &EncryptionContext) -> T) -> T {
    thread_local! {
        static KMS: Option<(ProviderKms, EncryptionContext)> = {
            let keys = SecretString::new(KEYS.to_owned());
            let provider = EnvKeyProvider::from_text(&keys, Arc::new(SystemRng)).ok();
            let kms = provider.map(|provider| ProviderKms::new(Arc::new(provider)));
            kms.zip(CONTEXT.parse().ok())
        };
    }
    KMS.with(|kms| match kms {
        Some((kms, context)) => look(kms, context),
        None => unreachable!("the keys can be read"),
    })
}

/// A ciphertext that is read is written as it was, and opens to what it was made of or not at all.
pub(crate) fn ciphertext(data: &[u8]) {
    let Ok(read) = Ciphertext::from_bytes(data) else {
        return;
    };
    assert_eq!(read.to_bytes(), data);
    assert_eq!(
        Ciphertext::from_base64(&read.to_base64()).as_ref(),
        Ok(&read)
    );
    with_kms(|kms, context| {
        if let Ok(opened) = now(kms.decrypt(&read, context)) {
            assert_eq!(opened.expose(), PLAINTEXT);
        }
    });
}

/// A context has one form in bytes.
pub(crate) fn context(data: &[u8]) {
    if let Ok(read) = EncryptionContext::from_canonical_bytes(data) {
        assert_eq!(read.canonical_bytes(), data);
    }
    let text = std::str::from_utf8(data).ok();
    if let Some(Ok(read)) = text.map(str::parse::<EncryptionContext>) {
        let bytes = read.canonical_bytes();
        let again = EncryptionContext::from_canonical_bytes(&bytes);
        assert!(again.is_ok_and(|again| again == read));
    }
}

/// As [`ciphertext`].
pub(crate) fn envelope(data: &[u8]) {
    let Ok(read) = EncryptedEnvelope::from_bytes(data) else {
        return;
    };
    assert_eq!(read.to_bytes(), data);
    with_kms(|kms, context| {
        if let Ok(opened) = now(read.open(kms, context)) {
            assert_eq!(opened.expose(), PLAINTEXT);
        }
    });
}

/// A head is written as it was read; what is decrypted is the beginning of the plaintext, and all of it
/// where no fault is told.
pub(crate) fn stream(data: &[u8]) {
    let mut chunks = data;
    let Ok(head) = StreamHead::read(&mut chunks) else {
        return;
    };
    let head_bytes = data.len() - chunks.len();
    assert_eq!(Some(head.to_bytes().as_slice()), data.get(..head_bytes));
    with_kms(|kms, context| {
        let Ok(open) = now(StreamOpen::begin(kms, &head, context)) else {
            return;
        };
        let mut opened = Vec::new();
        let outcome = open.run(chunks, &mut opened, |_| ());
        assert!(PLAINTEXT.starts_with(&opened));
        assert!(outcome.is_err() || opened == PLAINTEXT);
    });
}

/// A message that is read is written as it was, also by way of JSON, and its head tells its length.
pub(crate) fn ttlv(data: &[u8]) {
    let Ok(read) = ttlv::decode(data) else {
        return;
    };
    assert!(ttlv::encode(&read).is_ok_and(|written| *written == data));
    let json = serde_json::to_value(&read);
    assert!(json.is_ok_and(|json| ttlv::from_json(&json).is_ok_and(|again| again == read)));
    if let Some(header) = data.first_chunk()
        && let Ok(length) = ttlv::message_bytes(*header, data.len())
    {
        assert_eq!(length, data.len());
    }
}

/// A message in JSON that is read goes through the binary form and comes back.
pub(crate) fn ttlv_json(data: &[u8]) {
    let Ok(json) = serde_json::from_slice(data) else {
        return;
    };
    let Ok(read) = ttlv::from_json(&json) else {
        return;
    };
    let written = ttlv::encode(&read);
    assert!(written.is_ok_and(|written| ttlv::decode(&written).is_ok_and(|again| again == read)));
}

/// A configuration is taken, or something is said of it: a line each, with its place, the same twice,
/// and nothing of what variables hold.
pub(crate) fn config(data: &[u8]) {
    const PLANTED: &str = "planted-value";
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if text.contains(PLANTED) {
        return;
    }
    let environment = Environment::of([("HOME", "/home/u"), ("SECRET", PLANTED)]);
    let parse = || KmsConfig::parse(Path::new("kms.toml"), text, &environment);
    let read = parse();
    assert_eq!(format!("{read:?}"), format!("{:?}", parse()));
    let Err(error) = read else {
        return;
    };
    assert!(!error.faults.is_empty());
    assert!(!error.to_string().contains(PLANTED), "{error}");
    let lines = text.split('\n').count();
    for fault in error.faults {
        assert!(!fault.message.contains('\n'), "{}", fault.message);
        if let Some(line) = fault.line {
            assert!((1..=lines).contains(&line), "line {line} of {lines}");
        }
    }
}
