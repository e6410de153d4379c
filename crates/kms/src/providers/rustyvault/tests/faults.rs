//! What answers nonsense, or not at all.

use super::*;
use std::io::{Read, Write};

fn provider(address: &str) -> RustyVaultProvider {
    let mut config = config(address);
    config.timeout = Duration::from_millis(500);
    let (rng, clock) = (Arc::new(SystemRng), Arc::new(SystemClock));
    let keys = RustyVaultKeys::new(id("k"));
    RustyVaultProvider::new(config, token("planted"), keys, rng, clock).unwrap()
}

/// Answers every request with this status and body, then closes the connection; says nothing where there
/// is no status, and closes at once where there is neither.
fn answering(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming().take(8) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 65536]);
            match status {
                "" => {}
                "silence" => silent.push(stream),
                status => {
                    let length = body.len();
                    let answer = format!(
                        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                    );
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
        }
    });
    address
}

#[tokio::test]
async fn each_fault_is_an_error_of_its_own_and_shows_nothing() {
    const GARBAGE: &str = "{\"data\":\"planted-secret\"}";
    for (status, body, kind, wanted) in [
        ("200 OK", GARBAGE, "bad_answer", "does not fit"),
        ("200 OK", "", "bad_answer", "does not fit"),
        ("404 Not Found", "<html>", "bad_answer", "status 404"),
        ("404 Not Found", "", "refused", "nothing answers"),
        (
            "400 Bad",
            "{\"error\":\"Bad thing.\"}",
            "refused",
            "Bad thing.",
        ),
        (
            "403 No",
            "{\"error\":\"Permission denied.\"}",
            "credentials",
            "renew",
        ),
        ("403 No", "<html>", "bad_answer", "status 403"),
        ("429 Too Many", "", "throttled", "rate"),
        (
            "503 Sealed",
            "{\"error\":\"RustyVault is sealed.\"}",
            "unavailable",
            "unsealed",
        ),
        (
            "500 Oh",
            "{\"error\":\"planted\"}",
            "unavailable",
            "answered 500",
        ),
        ("silence", "", "timeout", "did not answer within 500 ms"),
        ("", "", "unavailable", "cannot be reached"),
    ] {
        let provider = provider(&answering(status, body));
        let refused = provider.describe(&id("k")).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{status} {body}: {refused}");
        let told = refused.to_string();
        assert!(
            told.contains(wanted) && told.contains(NAME),
            "{status}: {told}"
        );
        let shown = format!("{told} {refused:?}");
        assert!(!shown.contains("planted"), "{shown}");
    }
}

#[tokio::test]
async fn nobody_there_is_told() {
    let provider = provider(&format!("http://{}", free_address()));
    for refused in [
        provider.describe(&id("k")).await.unwrap_err(),
        provider.health().await.unwrap_err(),
    ] {
        assert!(matches!(refused, KmsError::Unavailable { .. }), "{refused}");
        assert!(refused.is_transient());
    }
}

#[test]
fn debug_shows_no_token() {
    let shown = format!("{:?}", provider("http://127.0.0.1:1"));
    assert!(!shown.contains("planted"), "{shown}");
}
