//! The key service of SOPS, by a client of its own.

use crate::grpc::wire::key::KeyType;
use crate::grpc::wire::{AzureKeyVaultKey, GcpKmsKey, HckmsKey, KmsKey, PgpKey, VaultKey};
use crate::grpc::{ANY_PORT, age, age_place, channel, decrypt, encrypt};
use crate::running::Place;
use tonic::Code;

const SOPS: &str = "[service.sops]\nproviders = [\"age\"]\n";

#[tokio::test]
async fn an_age_file_is_made_for_any_recipient_and_opened_for_ones_own() {
    let (place, recipient) = age_place(&format!("{ANY_PORT}{SOPS}"));
    let mut service = place.start();
    let channel = channel(&mut service).await;
    let key = || age(&recipient);
    let made = encrypt(&channel, key(), b"planted-data-key").await.unwrap();
    assert!(made.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
    let opened = decrypt(&channel, key(), &made).await.unwrap();
    assert_eq!(opened, b"planted-data-key");
    let other = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";
    let foreign = encrypt(&channel, age(other), b"x").await.unwrap();
    let code = async |kind, ciphertext: &[u8]| {
        let refused = decrypt(&channel, kind, ciphertext).await.unwrap_err();
        assert!(refused.message().len() > 20, "{refused}");
        refused.code()
    };
    assert_eq!(code(age(other), &foreign).await, Code::NotFound);
    assert_eq!(code(key(), &foreign).await, Code::InvalidArgument);
    assert_eq!(code(key(), b"no age file").await, Code::InvalidArgument);
    let half = made.get(..made.len() / 2).unwrap();
    assert_eq!(code(key(), half).await, Code::InvalidArgument);
    assert_eq!(code(age("age1nobody"), &made).await, Code::InvalidArgument);
    let metrics = service.get("/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let counted = "secretum_kms_grpc_answers_total{method=\"/KeyService/Encrypt\",code=\"0\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
    let counted =
        "secretum_kms_operations_total{provider=\"age\",operation=\"encrypt\",outcome=\"ok\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
    service.wait_for_log("kms_audit: ");
    assert!(!service.log().contains("planted"), "{}", service.log());
}

#[tokio::test]
async fn a_kind_that_is_not_served_says_what_is_missing() {
    let (place, _) = age_place(&format!("{ANY_PORT}{SOPS}"));
    let mut service = place.start();
    let channel = channel(&mut service).await;
    // What is built in is not configured.
    let cloud = |built| match built {
        true => Code::FailedPrecondition,
        false => Code::Unimplemented,
    };
    for (kind, code, told) in [
        (
            KeyType::KmsKey(KmsKey::default()),
            cloud(cfg!(feature = "aws")),
            "`aws`",
        ),
        (
            KeyType::GcpKmsKey(GcpKmsKey::default()),
            cloud(cfg!(feature = "gcp")),
            "`gcp`",
        ),
        (
            KeyType::AzureKeyvaultKey(AzureKeyVaultKey::default()),
            cloud(cfg!(feature = "azure")),
            "`azure`",
        ),
        (
            KeyType::PgpKey(PgpKey::default()),
            Code::Unimplemented,
            "keys of PGP",
        ),
        (
            KeyType::HckmsKey(HckmsKey::default()),
            Code::Unimplemented,
            "Huawei",
        ),
        (
            KeyType::VaultKey(VaultKey::default()),
            Code::FailedPrecondition,
            "[kms.vault]",
        ),
    ] {
        let refused = encrypt(&channel, kind, b"x").await.unwrap_err();
        assert_eq!(refused.code(), code);
        assert!(refused.message().contains(told), "{refused}");
    }
    let refused = crate::grpc::data_key(&channel, "id", 32).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_message_has_a_size_that_is_not_exceeded() {
    let (place, recipient) = age_place(&format!("{ANY_PORT}{SOPS}"));
    let mut service = place.start();
    let channel = channel(&mut service).await;
    // A key of 62 bytes, its field of 2, its message of 2 and 2, and 4 before the plaintext.
    let around = recipient.len() + 2 + 2 + 2 + 4;
    for (bytes, code) in [
        ((64 << 10) - around, None),
        ((64 << 10) - around + 1, Some(Code::OutOfRange)),
    ] {
        let outcome = encrypt(&channel, age(&recipient), &vec![7; bytes]).await;
        assert_eq!(outcome.err().map(|refused| refused.code()), code, "{bytes}");
    }
}

#[tokio::test]
async fn calls_have_their_time_and_their_number_at_once() {
    // A Vault that accepts, and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let place = Place::new();
    let kms = format!("[kms.vault]\naddress = \"{address}\"\ntoken = \"planted\"\n");
    let service = format!(
        "requests_max = 1\ntimeout = \"2s\"\n{ANY_PORT}[service.sops]\nproviders = [\"vault\"]\n"
    );
    place.configure("vault", &kms, &service);
    let mut service = place.start();
    let channel = channel(&mut service).await;
    let key = || {
        KeyType::VaultKey(VaultKey {
            vault_address: address.clone(),
            engine_path: "transit".to_owned(),
            key_name: "files".to_owned(),
        })
    };
    let second = async {
        let connection = silent.accept().await.unwrap();
        let refused = encrypt(&channel, key(), b"x").await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        connection
    };
    let first = async {
        let refused = encrypt(&channel, key(), b"x").await.unwrap_err();
        assert_eq!(refused.code(), Code::DeadlineExceeded, "{refused}");
    };
    let ((), _connection) = tokio::join!(first, second);
    // The place is free again, and a key of another Vault is refused without a question to it.
    let other = KeyType::VaultKey(VaultKey {
        vault_address: "http://127.0.0.1:9".to_owned(),
        engine_path: "transit".to_owned(),
        key_name: "files".to_owned(),
    });
    let refused = encrypt(&channel, other, b"x").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(!service.log().contains("planted"), "{}", service.log());
}
