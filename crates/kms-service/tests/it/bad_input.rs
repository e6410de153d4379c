use crate::audit::{AUDIT, records};
use crate::running::{Place, refusal};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

#[tokio::test]
async fn each_fault_of_a_body_has_a_code_of_its_own() {
    let service = Place::local("").start();
    for (operation, body, wanted) in [
        ("encrypt", "planted", "body_not_json"),
        ("encrypt", "{\"plain\":\"x\"}", "unknown_field"),
        ("encrypt", "{}", "missing_field"),
        ("encrypt", "{\"plaintext\":[]}", "wrong_type"),
        (
            "encrypt",
            "{\"plaintext\":\"\",\"plaintext\":\"\"}",
            "duplicate_field",
        ),
        (
            "encrypt",
            "{\"plaintext\":\"planted!\"}",
            "plaintext_not_base64",
        ),
        (
            "encrypt",
            "{\"plaintext\":\"\",\"context\":\"env\"}",
            "context",
        ),
        ("encrypt", "{\"plaintext\":\"\",\"key_id\":\"\"}", "key_id"),
        ("generate-key", "{\"key_spec\":\"DES\"}", "data_key_spec"),
        (
            "decrypt",
            "{\"ciphertext\":\"planted!\"}",
            "ciphertext_not_base64",
        ),
        (
            "decrypt",
            "{\"ciphertext\":\"aGVsbG8=\"}",
            "ciphertext_foreign",
        ),
    ] {
        let (_, code) = refusal(service.post_text(operation, body)).await;
        assert_eq!(code, wanted, "{operation} {body}");
    }
    assert!(!service.log().contains("planted"), "{}", service.log());
}

type Change<'a> = &'a dyn Fn(&mut Vec<u8>);

#[tokio::test]
async fn each_fault_of_a_ciphertext_has_a_code_of_its_own() {
    let service = Place::local("").start();
    let whole = service.hello(&json!("")).await;
    let bytes = BASE64_STANDARD.decode(whole.as_str().unwrap()).unwrap();
    let end = bytes.len() - 1;
    let changes: [(Change<'_>, &str); 5] = [
        (&|bytes| bytes.truncate(end - 2), "ciphertext_truncated"),
        (&|bytes| bytes.push(0), "ciphertext_damaged"),
        (&|bytes| bytes[4] = 9, "ciphertext_newer"),
        (&|bytes| bytes[end] ^= 1, "not_authentic"),
        // The provider's name stands behind mark, version, form and its length.
        (&|bytes| bytes[7] = b'x', "other_provider"),
    ];
    for (change, wanted) in changes {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        let body = json!({ "ciphertext": BASE64_STANDARD.encode(bytes) });
        assert_eq!(service.refused("decrypt", body).await.1, wanted);
    }
}

#[tokio::test]
async fn what_is_no_operation_is_refused() {
    let service = Place::local("").start();
    let get = refusal(service.get("/api/v1/kms/encrypt")).await;
    assert_eq!(get, (405, "method_not_allowed".to_owned()));
    let nowhere = refusal(service.get("/planted-path")).await;
    assert_eq!(nowhere, (404, "no_such_path".to_owned()));
    let url = service.url("/api/v1/kms/rotate");
    let form = service
        .client
        .post(&url)
        .header("content-type", "text/plain")
        .body("{}");
    assert_eq!(refusal(form).await, (415, "content_type".to_owned()));
    let rebound = service
        .post("rotate", &json!({}))
        .header("host", "evil.example:8082");
    assert_eq!(refusal(rebound).await, (421, "host".to_owned()));
    assert!(!service.log().contains("planted"), "{}", service.log());
}

#[tokio::test]
async fn bodies_have_their_limit() {
    let service = Place::local("body_bytes_max = 40\n").start();
    let body = |bytes: usize| format!("{:<bytes$}", "{\"plaintext\":\"\"}");
    let kept = service.post_text("encrypt", body(40)).send().await.unwrap();
    assert_eq!(kept.status(), 200);
    let refused = refusal(service.post_text("encrypt", body(41))).await;
    assert_eq!(refused, (413, "body_too_large".to_owned()));
}

/// A client that begins a request and does not go on.
async fn half_a_request(address: &str) -> tokio::net::TcpStream {
    use tokio::io::AsyncWriteExt;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/kms/encrypt HTTP/1.1\r\nhost: {address}\r\n\
         content-type: application/json\r\ncontent-length: 20\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn time_and_places_have_their_limits() {
    use tokio::io::AsyncReadExt;
    let settings = format!("requests_max = 1\ntimeout = \"2s\"\n{AUDIT}");
    let service = Place::local(&settings).start();
    // One that comes while another request has the only place is refused: then the next one takes it.
    let mut slow = Vec::new();
    loop {
        slow.push(half_a_request(&service.address).await);
        assert!(slow.len() < 50, "never overloaded");
        let asked = service.post("encrypt", &json!({ "plaintext": "" }));
        let outcome = asked.send().await.unwrap();
        if outcome.status() == 503 {
            assert_eq!(outcome.headers()["retry-after"], "1");
            assert!(outcome.text().await.unwrap().contains("\"overloaded\""));
            break;
        }
    }
    let mut timed_out = 0;
    for mut stream in slow {
        let mut text = vec![0; 4096];
        let read = stream.read(&mut text).await.unwrap();
        let text = String::from_utf8_lossy(&text[..read]).into_owned();
        if text.starts_with("HTTP/1.1 504") {
            assert!(text.contains("request_timeout"), "{text}");
            timed_out += 1;
        }
    }
    assert!(timed_out > 0);
    // Its place is free again.
    service.ok("encrypt", json!({ "plaintext": "" })).await;
    let recorded = records(&service.place.path("audit.log"));
    let count = |outcome| {
        let of = recorded
            .iter()
            .filter(|record| record["outcome"] == outcome);
        of.count()
    };
    assert_eq!(count("request_timeout"), timed_out);
    assert!(count("overloaded") > 0, "{recorded:?}");
}
