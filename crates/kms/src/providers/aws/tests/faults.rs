//! Servers that are none, or none that can be used.

use super::*;
use crate::test_answers::{answering, answering_in_turn, counted, http, nobody};
use crate::test_process;
use std::sync::atomic::Ordering;
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
        (Some("nonsense".to_owned()), "bad_answer"),
        (
            http("200 OK", "", "{\"data\":\"planted-secret\"}"),
            "bad_answer",
        ),
        (http("200 OK", "", "<html>planted-secret"), "bad_answer"),
        (http("200 OK", "", ""), "bad_answer"),
        // Cut, by its length and in a chunk.
        (
            Some("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"KeyMeta".to_owned()),
            "unavailable",
        ),
        (
            Some("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{\"Key".to_owned()),
            "unavailable",
        ),
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

fn made() -> Option<String> {
    let made = "{\"KeyId\":\"arn:k\",\"CiphertextBlob\":\"eA==\"}";
    http("200 OK", "", made)
}

/// Who may encrypt need not be allowed to describe; then no version is told, and none is asked for again
/// and again. Nor does it matter why the version is not told.
#[tokio::test]
async fn a_right_to_encrypt_is_enough() {
    for code in ["AccessDeniedException", "ThrottlingException", "Other"] {
        let refused = refusal("400 Bad Request", code);
        let (url, count) = counted(vec![refused, made()]);
        let provider = at(url);
        for requests in [2, 3, 4] {
            let wrapped = provider.wrap(&id("k"), b"x", &context("")).await.unwrap();
            assert_eq!(wrapped.version.as_str(), "", "{code}");
            assert_eq!(count.load(Ordering::SeqCst), requests, "{code}");
        }
    }
}

#[tokio::test]
async fn many_who_encrypt_at_once_look_at_a_key_once() {
    let about = "{\"KeyMetadata\":{\"Arn\":\"arn:k\",\"KeyId\":\"k\",\"KeyState\":\"Enabled\",\
                 \"CurrentKeyMaterialId\":\"m1\"}}";
    let (url, count) = counted(vec![http("200 OK", "", about), made()]);
    let mut provider = AwsProvider::new(settings(&url));
    provider.session.client().await.unwrap();
    let all = (0..10).map(|_| {
        let provider = provider.clone();
        async move { provider.wrap(&id("k"), b"x", &context("")).await.unwrap() }
    });
    for wrapped in futures::future::join_all(all).await {
        assert_eq!(wrapped.version.as_str(), "m1");
    }
    assert_eq!(count.load(Ordering::SeqCst), 11);
    // A key that is looked at no more, for it is another one.
    provider = AwsProvider::new(settings(&nobody()));
    let refused = provider.wrap(&id("k"), b"x", &context("")).await;
    assert_eq!(refused.unwrap_err().kind(), "unavailable");
}

#[tokio::test]
async fn a_key_of_another_region_is_told_with_both() {
    let provider = at(nobody());
    let key = id("arn:aws:kms:us-east-1:1:key/k");
    let wrapped = Wrapped {
        key: key.clone(),
        version: KeyVersion::default(),
        bytes: b"x".to_vec(),
    };
    let (none, here) = (context(""), id("arn:aws:kms:eu-central-1:1:key/k"));
    for refused in [
        provider.wrap(&key, b"x", &none).await.map(drop),
        provider.unwrap(&wrapped, &none).await.map(drop),
        provider.generate(&key, 32, &none).await.map(drop),
        provider.generate_wrapped(&key, 32, &none).await.map(drop),
        provider
            .rewrap(&wrapped, &none, &here, &none)
            .await
            .map(drop),
        provider.describe(&key).await.map(drop),
        provider.rotate(&key).await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), "other_region", "{refused}");
        let told = refused.to_string();
        assert!(
            told.contains("us-east-1") && told.contains("eu-central-1"),
            "{told}"
        );
    }
    let near = provider.wrap(&here, b"x", &none).await.unwrap_err();
    assert_eq!(near.kind(), "unavailable", "{near}");
}

/// The service does not say by a code which of two keys is missing.
#[tokio::test]
async fn a_re_encryption_blames_the_key_that_is_at_fault() {
    let about = |state: &str| {
        let body = format!(
            "{{\"KeyMetadata\":{{\"Arn\":\"arn:n\",\"KeyId\":\"k\",\"KeyState\":\"{state}\",\
             \"CurrentKeyMaterialId\":\"m1\"}}}}"
        );
        http("200 OK", "", &body)
    };
    let refusal = |code: &str| refusal("400 Bad Request", code);
    let wrapped = Wrapped {
        key: id("old"),
        version: KeyVersion::default(),
        bytes: b"x".to_vec(),
    };
    let none = context("");
    for (said, source, kind, told) in [
        (
            "NotFoundException",
            refusal("NotFoundException"),
            "key_not_found",
            "`old`",
        ),
        (
            "NotFoundException",
            about("Enabled"),
            "key_not_found",
            "`new`",
        ),
        (
            "DisabledException",
            about("Disabled"),
            "key_disabled",
            "`old`",
        ),
        (
            "DisabledException",
            about("Enabled"),
            "key_disabled",
            "`new`",
        ),
        (
            "DisabledException",
            refusal("AccessDeniedException"),
            "refused",
            "`old` and `new`",
        ),
    ] {
        let url = answering_in_turn(vec![about("Enabled"), refusal(said), source]);
        let refused = at(url).rewrap(&wrapped, &none, &id("new"), &none).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), kind, "{said}: {refused}");
        assert!(refused.to_string().contains(told), "{refused}");
    }
}

/// Where the machine's variables say who asks, by the token of a pod.
#[tokio::test]
async fn an_outage_where_credentials_are_given_out_says_nothing_of_them() {
    if test_process::is_child() {
        let mut settings = settings(&nobody());
        settings.credentials = None;
        let refused = AwsProvider::new(settings).describe(&id("k")).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), std::env::var("KIND").unwrap(), "{refused}");
        if refused.kind() == "throttled" {
            assert_eq!(refused.retry_after(), Some(Duration::from_secs(7)));
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "planted").unwrap();
    for (status, code, kind) in [
        ("503 Unavailable", "ServiceUnavailable", "unavailable"),
        ("500 Error", "InternalFailure", "unavailable"),
        ("408 Too Late", "Other", "unavailable"),
        ("400 Bad Request", "IDPCommunicationError", "unavailable"),
        ("429 Too Many", "Other", "throttled"),
        ("400 Bad Request", "Throttling", "throttled"),
        ("400 Bad Request", "ExpiredTokenException", "credentials"),
        ("403 Forbidden", "AccessDenied", "credentials"),
    ] {
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>m</Message></Error>\
             </ErrorResponse>"
        );
        let url = answering(http(status, "retry-after: 7\r\n", &body));
        test_process::run(
            "providers::aws::tests::faults::\
             an_outage_where_credentials_are_given_out_says_nothing_of_them",
            &[
                ("KIND", kind),
                ("AWS_ENDPOINT_URL_STS", &url),
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
                ("AWS_CONFIG_FILE", "/dev/null"),
                ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ],
        );
    }
}

/// The library takes addresses from variables and profiles, where no configuration is looked at.
#[tokio::test]
async fn an_address_without_tls_is_refused_wherever_it_stands() {
    if test_process::is_child() {
        let settings = AwsSettings {
            endpoint_url: None,
            without_tls: std::env::var("TAKEN").is_ok(),
            ..settings("")
        };
        let refused = AwsProvider::new(settings).describe(&id("k")).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), std::env::var("KIND").unwrap(), "{refused}");
        assert!(!refused.to_string().contains("planted"), "{refused}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let there = nobody();
    let own = file("own", &format!("[default]\nendpoint_url = {there}\n"));
    let one = format!("[default]\nservices = s\n[services s]\nkms =\n  endpoint_url = {there}\n");
    let one = file("one", &one);
    let secure = there.replace("http://", "https://");
    let loud = there.replace("http://", "HTTP://");
    for (variables, kind) in [
        (vec![("AWS_ENDPOINT_URL", there.as_str())], "refused"),
        (vec![("AWS_ENDPOINT_URL", &loud)], "refused"),
        (vec![("AWS_ENDPOINT_URL_KMS", &there)], "refused"),
        (vec![("AWS_ENDPOINT_URL_STS", &there)], "refused"),
        (vec![("AWS_ENDPOINT_URL_SSO_OIDC", &there)], "refused"),
        (vec![("AWS_CONFIG_FILE", &own)], "refused"),
        (vec![("AWS_CONFIG_FILE", &one)], "refused"),
        (
            vec![("AWS_ENDPOINT_URL_KMS", &there), ("TAKEN", "1")],
            "unavailable",
        ),
        (vec![("AWS_ENDPOINT_URL_KMS", &secure)], "unavailable"),
    ] {
        let mut all = vec![("KIND", kind), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")];
        all.extend(variables);
        test_process::run(
            "providers::aws::tests::faults::\
             an_address_without_tls_is_refused_wherever_it_stands",
            &all,
        );
    }
    // The same of what the settings themselves say.
    let settings = AwsSettings {
        without_tls: false,
        ..settings(&there)
    };
    let refused = AwsProvider::new(settings).describe(&id("k")).await;
    assert_eq!(refused.unwrap_err().kind(), "refused");
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
