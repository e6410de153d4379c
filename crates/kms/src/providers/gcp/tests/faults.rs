//! Servers that are none, or none that can be used.

use super::*;
use crate::test_answers::{answering, answering_in_turn, counted, http, nobody};
use std::sync::atomic::Ordering;

const WHOLE: &str = "projects/p/locations/global/keyRings/r/cryptoKeys/k";

/// A refusal in the service's own form.
fn refusal(code: u16, status: &str) -> Option<String> {
    let body = format!(
        "{{\"error\":{{\"code\":{code},\"message\":\"said\\nso\",\"status\":\"{status}\"}}}}"
    );
    http(
        &format!("{code} Refused"),
        "content-type: application/json\r\n",
        &body,
    )
}

fn json(body: &str) -> Option<String> {
    http("200 OK", "content-type: application/json\r\n", body)
}

fn at(url: String) -> GcpProvider {
    let mut settings = settings("p", &url);
    settings.timeout = Some(Duration::from_millis(500));
    provider_of(settings)
}

async fn seen(answer: Option<String>) -> KmsError {
    let began = Instant::now();
    let refused = at(answering(answer)).describe(&id("k")).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{refused}");
    refused
}

fn wrapped() -> Wrapped {
    Wrapped {
        key: id("k"),
        version: KeyVersion::default(),
        bytes: b"x".to_vec(),
    }
}

#[tokio::test]
async fn each_refusal_has_its_error() {
    for (code, status, kind) in [
        (404, "NOT_FOUND", "key_not_found"),
        (400, "FAILED_PRECONDITION", "key_disabled"),
        (400, "INVALID_ARGUMENT", "refused"),
        (403, "PERMISSION_DENIED", "access_denied"),
        (401, "UNAUTHENTICATED", "credentials"),
        (429, "RESOURCE_EXHAUSTED", "throttled"),
        (500, "INTERNAL", "unavailable"),
        (503, "UNAVAILABLE", "unavailable"),
        (504, "DEADLINE_EXCEEDED", "unavailable"),
        (409, "ABORTED", "unavailable"),
        (409, "ALREADY_EXISTS", "key_exists"),
        (501, "UNIMPLEMENTED", "refused"),
    ] {
        let refused = seen(refusal(code, status)).await;
        assert_eq!(refused.kind(), kind, "{status}: {refused}");
        let again = matches!(kind, "throttled" | "unavailable");
        assert_eq!(refused.is_transient(), again, "{status}");
        assert!(!refused.to_string().contains('\n'), "{refused}");
    }
    // Of a ciphertext that does not open it says that it is no argument.
    let (url, count) = counted(vec![refusal(400, "INVALID_ARGUMENT")]);
    let refused = at(url).unwrap(&wrapped(), &context("")).await;
    assert_eq!(refused.unwrap_err().kind(), "not_authentic");
    assert_eq!(count.load(Ordering::SeqCst), DECRYPTION_TRIES);
}

#[tokio::test]
async fn each_bad_answer_has_its_error() {
    for (answer, kind) in [
        (None, "timeout"),
        (Some(String::new()), "unavailable"),
        (Some("nonsense".to_owned()), "bad_answer"),
        (json("{\"name\":[\"planted-secret\"]}"), "bad_answer"),
        (json("<html>planted-secret"), "bad_answer"),
        (json(""), "bad_answer"),
        (
            http("307 Elsewhere", "location: http://127.0.0.1:1/\r\n", ""),
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

/// An answer without what was asked for must not pass for an empty secret, nor one that was damaged for
/// the secret that it was.
#[tokio::test]
async fn what_was_damaged_on_the_way_is_refused() {
    let (sum, none) = (checksum::of(b"x"), context(""));
    for body in [
        "{}".to_owned(),
        "{\"plaintext\":\"eA==\"}".to_owned(),
        format!("{{\"plaintext\":\"eQ==\",\"plaintextCrc32c\":\"{sum}\"}}"),
    ] {
        let refused = at(answering(json(&body))).unwrap(&wrapped(), &none).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), "unavailable", "{body}: {refused}");
    }
    let name = format!("\"name\":\"{WHOLE}/cryptoKeyVersions/1\",\"ciphertext\":\"eA==\"");
    let verified = "\"verifiedPlaintextCrc32c\":true";
    let other = "\"verifiedAdditionalAuthenticatedDataCrc32c\":true";
    let told = format!("\"ciphertextCrc32c\":\"{sum}\"");
    for (fields, kind) in [
        (vec![verified, other, &told], None),
        (vec![other, &told], Some("unavailable")),
        (vec![verified, &told], Some("unavailable")),
        (vec![verified, other], Some("unavailable")),
        (
            vec![verified, other, "\"ciphertextCrc32c\":\"1\""],
            Some("unavailable"),
        ),
    ] {
        let body = format!("{{{name},{}}}", fields.join(","));
        let made = at(answering(json(&body))).wrap(&id("k"), b"x", &none).await;
        assert_eq!(made.err().map(|error| error.kind()), kind, "{body}");
    }
    // The key that it says that it used is another one.
    let elsewhere = name.replace("cryptoKeys/k/", "cryptoKeys/l/");
    let body = format!("{{{elsewhere},{verified},{other},{told}}}");
    let made = at(answering(json(&body))).wrap(&id("k"), b"x", &none).await;
    assert_eq!(made.unwrap_err().kind(), "bad_answer");
}

/// The service says the same of what was damaged on its way there as of what does not open.
#[tokio::test]
async fn what_was_damaged_on_the_way_there_is_sent_once_more() {
    let opened = format!(
        "{{\"plaintext\":\"eA==\",\"plaintextCrc32c\":\"{}\"}}",
        checksum::of(b"x")
    );
    let url = answering_in_turn(vec![refusal(400, "INVALID_ARGUMENT"), json(&opened)]);
    let opened = at(url).unwrap(&wrapped(), &context("")).await.unwrap();
    assert_eq!(opened.expose(), b"x");
}

#[tokio::test]
async fn tokens_go_nowhere_in_the_clear() {
    for (endpoint, clear) in [
        ("https://kms.example", false),
        ("http://127.0.0.1:9090", false),
        ("http://localhost/", false),
        ("http://[::1]:80", false),
        ("http://kms.example", true),
        ("HTTP://kms.example", true),
        ("http://127.0.0.1@kms.example", true),
        ("http://127.0.0.1:80@kms.example", true),
        ("http://localhost.example", true),
        ("http://10.0.0.1:80", true),
    ] {
        let mut settings = settings("p", endpoint);
        assert!(!settings.are_in_the_clear(), "nobody asks: {endpoint}");
        settings.credentials = GcpCredentials::Found;
        assert_eq!(settings.are_in_the_clear(), clear, "{endpoint}");
        if clear {
            let refused = provider_of(settings).describe(&id("k")).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), "refused", "{endpoint}: {refused}");
            assert!(refused.to_string().contains("no TLS"), "{refused}");
        }
    }
}

#[tokio::test]
async fn a_listing_has_an_end() {
    let page = "{\"cryptoKeys\":[],\"nextPageToken\":\"again\"}";
    let refused = at(answering(json(page))).list(None, 1).await.unwrap_err();
    assert_eq!(refused.kind(), "bad_answer");
}

#[tokio::test]
async fn who_may_not_list_is_in_good_health() {
    let provider = at(answering(refusal(403, "PERMISSION_DENIED")));
    let health = provider.health().await.unwrap();
    assert!(
        health
            .notes
            .iter()
            .any(|note| note.contains("may not be listed"))
    );
}

/// A key whose new version is made neither soon nor well does not take it for its primary one.
#[tokio::test]
async fn a_version_that_is_never_made_is_told() {
    let key = format!("{{\"name\":\"{WHOLE}\",\"purpose\":\"ENCRYPT_DECRYPT\"}}");
    let version = |state: &str| {
        let name = format!("{WHOLE}/cryptoKeyVersions/2");
        json(&format!("{{\"name\":\"{name}\",\"state\":\"{state}\"}}"))
    };
    for (state, kind) in [
        ("PENDING_GENERATION", "unavailable"),
        ("GENERATION_FAILED", "key_disabled"),
    ] {
        let url = answering_in_turn(vec![json(&key), json("{}"), version(state)]);
        let mut provider = at(url);
        provider.rotation_wait = Duration::from_millis(300);
        let refused = provider.rotate(&id("k")).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{state}: {refused}");
    }
}
