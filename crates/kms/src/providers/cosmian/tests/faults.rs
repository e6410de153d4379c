//! Servers that are none, or none that can be used.

use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Instant;

/// Answers every request with these bytes, then closes the connection; without bytes it hangs.
fn answering(answer: Option<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut hanging = Vec::new();
        for stream in listener.incoming().take(8) {
            let mut stream = stream.unwrap();
            let Some(answer) = &answer else {
                hanging.push(stream);
                continue;
            };
            let _ = stream.read(&mut [0; 65536]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

fn http(status: &str, head: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\n{head}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

async fn seen(url: String) -> KmsError {
    let mut server = CosmianServer::new(url);
    server.timeout = Duration::from_millis(500);
    let began = Instant::now();
    let refused = provider(&server).describe(&id("k")).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{refused}");
    refused
}

#[tokio::test]
async fn each_bad_answer_has_its_error() {
    const MESSAGE: &str = r#"{"tag":"ResponseMessage","value":[]}"#;
    const OTHER: &str = r#"{"tag":"RequestMessage","value":[]}"#;
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
        (http("200 OK", "", MESSAGE), "bad_answer"),
        (http("200 OK", "", OTHER), "bad_answer"),
        (
            http("302 Found", "location: http://127.0.0.1:1/\r\n", ""),
            "bad_answer",
        ),
        (http("401 Unauthorized", "", "Unauthorized"), "credentials"),
        (http("403 Forbidden", "", ""), "access_denied"),
        (
            http("404 Not Found", "", "<html>planted-secret"),
            "bad_answer",
        ),
        (
            http("422 Unprocessable", "", "Invalid Request: no"),
            "refused",
        ),
        (
            http("429 Too Many Requests", "retry-after: 7\r\n", ""),
            "throttled",
        ),
        (http("503 Service Unavailable", "", ""), "unavailable"),
    ] {
        let refused = seen(answering(answer.clone())).await;
        assert_eq!(refused.kind(), kind, "{answer:?}: {refused}");
        let shown = format!("{refused} {refused:?}");
        assert!(!shown.contains("planted"), "{shown}");
        if kind == "throttled" {
            assert_eq!(refused.retry_after(), Some(Duration::from_secs(7)));
        }
    }
}

#[tokio::test]
async fn an_answer_has_its_limit() {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let refused = seen(answering(Some(format!("{head}{}", " ".repeat(17 << 20))))).await;
    assert_eq!(refused.kind(), "bad_answer", "{refused}");
    assert!(refused.to_string().contains("larger"), "{refused}");
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let refused = seen(url).await;
    assert!(
        matches!(
            refused,
            KmsError::Unavailable {
                source: Some(_),
                ..
            }
        ),
        "{refused}"
    );
    assert!(refused.is_transient() && refused.is_service_fault());
}
