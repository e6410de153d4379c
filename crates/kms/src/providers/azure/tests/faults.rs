//! What the service refuses, and servers that are none.

use super::fault::fault;
use super::*;
use azure_core::Error as AzureError;
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{RawResponse, StatusCode};

/// The error of an answer, as the client gives it.
fn seen(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Fault {
    fault(answered(status, headers, body), TIMEOUT)
}

fn answered(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> AzureError {
    let status = StatusCode::from(status);
    let mut head = Headers::new();
    for (name, value) in headers {
        head.insert(*name, *value);
    }
    let answer = RawResponse::from_bytes(status, head, body.to_owned());
    let kind = ErrorKind::HttpResponse {
        status,
        error_code: None,
        raw_response: Some(Box::new(answer)),
    };
    AzureError::with_message(kind, "refused")
}

#[test]
fn an_outage_where_tokens_are_given_out_says_nothing_of_the_credentials() {
    for (status, kind) in [
        (400, "credentials"),
        (401, "credentials"),
        (408, "unavailable"),
        (429, "throttled"),
        (500, "unavailable"),
        (503, "unavailable"),
    ] {
        let answer = answered(status, &[("retry-after", "7")], "{}");
        let error = AzureError::with_error(ErrorKind::Credential, answer, "no token");
        let refused = fault(error, TIMEOUT).without_key();
        assert_eq!(refused.kind(), kind, "{status}: {refused}");
        let wait = (status == 429).then(|| Duration::from_secs(7));
        assert_eq!(refused.retry_after(), wait, "{status}");
    }
}

fn refusal(code: &str, inner: Option<&str>) -> String {
    let inner = inner.map_or("null".to_owned(), |inner| {
        format!("{{\"code\":\"{inner}\"}}")
    });
    format!(
        "{{\"error\":{{\"code\":\"{code}\",\"message\":\"said\\nso\",\"innererror\":{inner}}}}}"
    )
}

#[test]
fn each_refusal_has_its_error() {
    for (status, code, inner, kind) in [
        (404, "KeyNotFound", None, "key_not_found"),
        (403, "Forbidden", Some("KeyDisabled"), "key_disabled"),
        (403, "Forbidden", Some("KeyExpired"), "key_disabled"),
        (403, "Forbidden", Some("KeyNotYetValid"), "key_disabled"),
        (403, "Forbidden", Some("ForbiddenByRbac"), "access_denied"),
        (403, "Forbidden", None, "access_denied"),
        (401, "Unauthorized", None, "credentials"),
        (400, "BadParameter", None, "refused"),
        (409, "Conflict", None, "refused"),
        (429, "Throttled", None, "throttled"),
        (500, "InternalServerError", None, "unavailable"),
        (503, "ServiceUnavailable", None, "unavailable"),
    ] {
        let refused = seen(status, &[], &refusal(code, inner)).of_key(&id("k"));
        assert_eq!(refused.kind(), kind, "{status} {code}: {refused}");
        let again = matches!(kind, "throttled" | "unavailable");
        assert_eq!(refused.is_transient(), again, "{status} {code}");
        assert!(!refused.to_string().contains('\n'), "{refused}");
    }
    // Of a ciphertext that does not open it says that it is no parameter.
    let refused = seen(400, &[], &refusal("BadParameter", None));
    let refused = refused.of_decryption(&id("k"), &KeyVersion::default());
    assert_eq!(refused.kind(), "not_authentic");
}

#[test]
fn an_answer_of_something_else_is_told() {
    for (status, kind) in [
        (307, "bad_answer"),
        (404, "bad_answer"),
        (429, "throttled"),
        (502, "unavailable"),
    ] {
        let head = [("retry-after", "7")];
        let refused = seen(status, &head, "<html>planted").without_key();
        assert_eq!(refused.kind(), kind, "{status}: {refused}");
        assert!(!format!("{refused} {refused:?}").contains("planted"));
        if kind == "throttled" {
            assert_eq!(refused.retry_after(), Some(Duration::from_secs(7)));
        }
    }
}

fn at(url: String, timeout: Duration) -> AzureProvider {
    AzureProvider::new(AzureSettings {
        timeout: Some(timeout),
        ..AzureSettings::new(url, secret("planted"))
    })
}

#[tokio::test]
async fn servers_that_are_none_are_told() {
    use crate::test_answers::{answering, nobody};
    let secure = |url: String| url.replace("http://", "https://");
    for (url, kind) in [
        (secure(nobody()), "unavailable"),
        (secure(answering(Some("nonsense".to_owned()))), "bad_answer"),
        (secure(answering(None)), "timeout"),
        // Without TLS nothing is sent.
        (nobody(), "refused"),
        ("nonsense".to_owned(), "refused"),
    ] {
        let provider = at(url.clone(), Duration::from_millis(500));
        let refused = provider.describe(&id("k")).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{url}: {refused} {refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("planted"));
    }
}

#[tokio::test]
async fn a_version_that_is_named_is_not_looked_up() {
    // Whoever is asked here is not there.
    let url = crate::test_answers::nobody().replace("http://", "https://");
    let provider = at(url, Duration::from_millis(500));
    let of = |key: &str, version: &str| Wrapped {
        key: id(key),
        version: KeyVersion::new(version).unwrap(),
        bytes: vec![1],
    };
    for (key, version, opens) in [
        ("k/0a", "", Some("0a")),
        ("k/0a", "0b", Some("0b")),
        ("k", "0b", Some("0b")),
        ("k", "", None),
    ] {
        let wrapped = of(key, version);
        let resource = provider.vault.find(&wrapped.key).unwrap();
        let found = AzureProvider::version_of(&resource, &wrapped).unwrap();
        assert_eq!(found.as_ref().map(KeyVersion::as_str), opens);
    }
    let refused = provider.unwrap(&of("k", ""), &context("")).await;
    assert_eq!(refused.unwrap_err().kind(), "unavailable");
}

/// Where a machine gives out tokens, which is asked once for each request.
#[tokio::test]
async fn a_machine_is_asked_once() {
    use crate::test_answers::{counted, http};
    use crate::test_process;
    use std::sync::atomic::Ordering;
    if test_process::is_child() {
        let url = crate::test_answers::nobody().replace("http://", "https://");
        let machine = AzureCredentials::ManagedIdentity { client_id: None };
        let provider = AzureProvider::new(AzureSettings::new(url, machine));
        let request = provider.session.credentials().unwrap();
        let refused = request
            .get_token(&["https://vault.example/.default"], None)
            .await;
        let refused = fault(refused.unwrap_err(), TIMEOUT).without_key();
        assert_eq!(refused.kind(), std::env::var("KIND").unwrap(), "{refused}");
        return;
    }
    for (answer, kind) in [
        (http("503 Unavailable", "", ""), "unavailable"),
        (http("500 Error", "", ""), "unavailable"),
        (http("429 Too Many", "retry-after: 1\r\n", ""), "throttled"),
        (http("403 Forbidden", "", ""), "credentials"),
        (http("400 Bad Request", "", ""), "credentials"),
        (Some(String::new()), "unavailable"),
    ] {
        let (url, count) = counted(vec![answer]);
        test_process::run(
            "providers::azure::tests::faults::a_machine_is_asked_once",
            &[
                ("KIND", kind),
                ("IDENTITY_ENDPOINT", &url),
                ("IDENTITY_HEADER", "planted"),
            ],
        );
        assert_eq!(count.load(Ordering::SeqCst), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_pinned_key_is_not_rotated() {
    let url = crate::test_answers::nobody().replace("http://", "https://");
    let provider = at(url, Duration::from_millis(500));
    let refused = provider.rotate(&id("k/0a")).await.unwrap_err();
    assert_eq!(refused.kind(), "refused");
    assert!(refused.to_string().contains("`k/0a` names a version"));
}

#[test]
fn what_is_missing_in_an_answer_is_told() {
    let made = |iv: usize, tag: usize| {
        let mut made = KeyOperationResult::default();
        made.iv = Some(vec![0; iv]);
        made.authentication_tag = Some(vec![0; tag]);
        made.result = Some(vec![1]);
        made
    };
    let whole = joined(AzureAlgorithm::A256Gcm, made(12, 16)).unwrap();
    assert_eq!((whole.len(), whole[0]), (30, 2));
    let taken = parted(AzureAlgorithm::A256Gcm, &whole[1..], None).unwrap();
    assert_eq!(taken.value, Some(vec![1]));
    assert!(parted(AzureAlgorithm::A256Gcm, &whole[1..28], None).is_none());
    for odd in [made(11, 16), made(12, 15)] {
        assert!(joined(AzureAlgorithm::A256Gcm, odd).is_err());
    }
    for algorithm in [AzureAlgorithm::A256Gcm, AzureAlgorithm::RsaOaep256] {
        let nothing = KeyOperationResult::default();
        assert!(joined(algorithm, nothing).is_err());
    }
}
