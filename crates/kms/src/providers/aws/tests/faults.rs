//! Servers that are none, or none that can be used.

use super::*;
use crate::test_answers::{answering, answering_in_turn, http, nobody};
use std::time::Instant;

/// A refusal in the service's own form.
fn refusal(status: &str, code: &str) -> Option<String> {
    let body = format!("{{\"__type\":\"{code}\",\"message\":\"said\\nso\"}}");
    http(status, "", &body)
}

fn at(url: String) -> AwsProvider {
    let mut settings = settings(&url);
    settings.timeout = Some(Duration::from_millis(500));
    AwsProvider::new(settings)
}

async fn seen(answer: Option<String>) -> KmsError {
    let began = Instant::now();
    let refused = at(answering(answer)).describe(&id("k")).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{refused}");
    refused
}

#[tokio::test]
async fn each_refusal_has_its_error() {
    const BAD: &str = "400 Bad Request";
    for (status, code, kind) in [
        (BAD, "NotFoundException", "key_not_found"),
        (BAD, "DisabledException", "key_disabled"),
        (BAD, "KMSInvalidStateException", "key_disabled"),
        (BAD, "InvalidCiphertextException", "not_authentic"),
        (BAD, "IncorrectKeyException", "not_authentic"),
        (BAD, "AccessDeniedException", "access_denied"),
        (BAD, "ExpiredTokenException", "credentials"),
        (BAD, "UnrecognizedClientException", "credentials"),
        (BAD, "InvalidSignatureException", "credentials"),
        (BAD, "ThrottlingException", "throttled"),
        (BAD, "LimitExceededException", "refused"),
        (BAD, "InvalidKeyUsageException", "refused"),
        (BAD, "DependencyTimeoutException", "unavailable"),
        ("500 Error", "KMSInternalException", "unavailable"),
        ("500 Error", "KeyUnavailableException", "unavailable"),
        ("503 Error", "SomethingNew", "unavailable"),
        (BAD, "SomethingNew", "refused"),
    ] {
        let refused = seen(refusal(status, code)).await;
        assert_eq!(refused.kind(), kind, "{code}: {refused}");
        let again = matches!(kind, "throttled" | "unavailable");
        assert_eq!(refused.is_transient(), again, "{code}");
        assert!(!refused.to_string().contains('\n'), "{refused}");
    }
}

#[tokio::test]
async fn each_bad_answer_has_its_error() {
    for (answer, kind) in [
        (None, "timeout"),
        (Some(String::new()), "unavailable"),
        (Some("nonsense".to_owned()), "unavailable"),
        (
            http("200 OK", "", "{\"data\":\"planted-secret\"}"),
            "bad_answer",
        ),
        (http("200 OK", "", "<html>planted-secret"), "bad_answer"),
        (http("200 OK", "", ""), "bad_answer"),
        (
            http("302 Found", "location: http://127.0.0.1:1/\r\n", ""),
            "bad_answer",
        ),
        (
            http("404 Not Found", "", "<html>planted-secret"),
            "bad_answer",
        ),
        (http("429 Too Many", "retry-after: 7\r\n", ""), "throttled"),
        (http("503 Unavailable", "", ""), "unavailable"),
    ] {
        let refused = seen(answer.clone()).await;
        assert_eq!(refused.kind(), kind, "{answer:?}: {refused}");
        let shown = format!("{refused} {refused:?}");
        assert!(!shown.contains("planted"), "{shown}");
        if kind == "throttled" {
            assert_eq!(refused.retry_after(), Some(Duration::from_secs(7)));
        }
    }
}

#[tokio::test]
async fn nobody_there_is_told() {
    let refused = at(nobody()).describe(&id("k")).await.unwrap_err();
    assert_eq!(refused.kind(), "unavailable", "{refused}");
    assert!(refused.is_transient() && refused.is_service_fault());
}

/// An answer without what was asked for must not pass for an empty secret.
#[tokio::test]
async fn an_answer_without_its_plaintext_is_refused() {
    let provider = at(answering(http("200 OK", "", "{\"KeyId\":\"k\"}")));
    let wrapped = Wrapped {
        key: id("k"),
        version: KeyVersion::default(),
        bytes: b"x".to_vec(),
    };
    let refused = provider.unwrap(&wrapped, &context("")).await;
    assert_eq!(refused.unwrap_err().kind(), "bad_answer");
}

fn listing(key: &str, next: bool) -> Option<String> {
    let body = format!(
        "{{\"Keys\":[{{\"KeyArn\":\"{key}\",\"KeyId\":\"i\"}}],\"Truncated\":{next},\
         \"NextMarker\":\"m\"}}"
    );
    http("200 OK", "", &body)
}

/// moto has one page only.
#[tokio::test]
async fn every_page_of_a_listing_is_read() {
    let pages = [listing("b", true), listing("c", true), listing("a", false)];
    let url = answering_in_turn(pages.to_vec());
    let page = at(url).list(None, 2).await.unwrap();
    assert_eq!((page.keys, page.more), (vec![id("a"), id("b")], true));
    let endless = at(answering(listing("a", true))).list(None, 1).await;
    assert_eq!(endless.unwrap_err().kind(), "bad_answer");
}

/// What AWS names its key material, which moto does not.
#[tokio::test]
async fn key_material_is_the_version() {
    let about = |material: &str| {
        let body = format!(
            "{{\"KeyMetadata\":{{\"Arn\":\"arn:k\",\"KeyId\":\"k\",\"KeyState\":\"Enabled\",\
             \"CurrentKeyMaterialId\":\"{material}\"}}}}"
        );
        http("200 OK", "", &body)
    };
    let made = "{\"KeyId\":\"arn:k\",\"CiphertextBlob\":\"eA==\",\"Plaintext\":\"eA==\",\
                \"KeyMaterialId\":\"m2\"}";
    let made = || http("200 OK", "", made);
    let provider = at(answering_in_turn(vec![about("m1"), made()]));
    let none = context("");
    let wrapped = provider.wrap(&id("k"), b"x", &none).await.unwrap();
    assert_eq!(
        (wrapped.key.as_str(), wrapped.version.as_str()),
        ("k", "m1")
    );
    // A data key comes with the name of its own.
    let (_, wrapped) = provider
        .generate(&id("k"), 1, &none)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(wrapped.version.as_str(), "m2");

    // The rotation goes on behind its answer.
    let begun = http("200 OK", "", "{\"KeyId\":\"k\"}");
    let rotations = http(
        "200 OK",
        "",
        "{\"Rotations\":[{\"RotationDate\":7}],\"Truncated\":false}",
    );
    let turns = vec![
        about("m1"),
        begun,
        about("m1"),
        about("m2"),
        about("m2"),
        rotations,
    ];
    let rotated = at(answering_in_turn(turns)).rotate(&id("k")).await.unwrap();
    assert_eq!(rotated.version.as_str(), "m2");
    assert_eq!(
        rotated.rotated_at,
        Some(secretum_crypto::Timestamp::from_unix_seconds(7))
    );
}

/// Who may encrypt need not be allowed to describe; then no version is told.
#[tokio::test]
async fn a_right_to_encrypt_is_enough() {
    let made = "{\"KeyId\":\"arn:k\",\"CiphertextBlob\":\"eA==\"}";
    let denied = refusal("400 Bad Request", "AccessDeniedException");
    let provider = at(answering_in_turn(vec![denied, http("200 OK", "", made)]));
    let wrapped = provider.wrap(&id("k"), b"x", &context("")).await.unwrap();
    assert_eq!(wrapped.version.as_str(), "");
}

#[tokio::test]
async fn an_unknown_profile_is_told() {
    let mut settings = settings("http://127.0.0.1:1");
    settings.credentials = None;
    settings.profile = Some("no-such-profile-anywhere".to_owned());
    let refused = AwsProvider::new(settings).describe(&id("k")).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused.kind(), "credentials" | "not_configured"),
        "{refused}"
    );
}
