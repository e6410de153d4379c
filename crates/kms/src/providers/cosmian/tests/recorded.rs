//! The answers of a Cosmian KMS 5.28.0, recorded.

use super::*;
use crate::ttlv::{Tag, from_json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

/// What is answered to what.
const OPERATIONS: [(&str, &str); 5] = [
    ("Locate", "locate"),
    ("GetAttributes", "get-attributes"),
    ("Encrypt", "encrypt"),
    ("Decrypt", "decrypt"),
    ("Query", "query"),
];

fn recorded(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/cosmian");
    std::fs::read_to_string(folder.join(name).with_extension("json")).unwrap()
}

/// A request: its head, and its body.
fn request(stream: &mut TcpStream) -> Option<(String, serde_json::Value)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            return Some((head.to_owned(), body));
        }
    }
}

/// Answers each operation with what was recorded of it, or of the one named in its place.
fn answering(instead: Option<(&'static str, &'static str)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some((head, body)) = request(&mut stream) else {
                continue;
            };
            assert!(head.starts_with("POST /kmip/2_1 HTTP/1.1"), "{head}");
            let authorized = head.contains("authorization: Bearer dG9rZW4=");
            let item = from_json(&body)
                .unwrap()
                .into_first(Tag::BATCH_ITEM)
                .unwrap();
            let operation = item.enumeration_of(Tag::OPERATION).unwrap();
            let operation = Tag::OPERATION.value_name(operation).unwrap();
            let known = OPERATIONS.iter().chain(&instead).rev();
            let name = known
                .clone()
                .find(|(known, _)| *known == operation)
                .unwrap()
                .1;
            let (status, answer) = match authorized {
                true => ("200 OK", recorded(name)),
                false => ("401 Unauthorized", String::new()),
            };
            let length = answer.len();
            let head =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}");
            let _ = stream.write_all(format!("{head}\r\n\r\n{answer}").as_bytes());
        }
    });
    address
}

fn at(url: String, key: &str) -> CosmianProvider {
    let mut server = CosmianServer::new(url);
    server.api_key = Some(Arc::new(SecretString::new(key.to_owned())));
    provider(&server)
}

#[tokio::test]
async fn what_a_real_server_answered_is_read() {
    let provider = at(answering(None), "dG9rZW4=");
    let health = provider.health().await.unwrap();
    assert_eq!(health.notes, ["KMIP 2.1", "cosmian"]);
    let key = id("recorded");
    let info = provider.describe(&key).await.unwrap();
    assert!(info.enabled && info.rotated_at.is_some());
    let made = provider
        .wrap(&key, b"recorded", &context(""))
        .await
        .unwrap();
    assert_eq!(made.version, info.version);
    let opened = provider.unwrap(&made, &context("")).await.unwrap();
    assert_eq!(opened.expose(), b"recorded");
    let listed = provider.list(None, 10).await.unwrap();
    assert_eq!(listed.keys, [key]);
}

#[tokio::test]
async fn what_a_real_server_refused_is_told() {
    let made = at(answering(None), "dG9rZW4=");
    let made = made
        .wrap(&id("recorded"), b"recorded", &context(""))
        .await
        .unwrap();
    let refusing = at(answering(Some(("Decrypt", "decrypt-refused"))), "dG9rZW4=");
    let refused = refusing.unwrap(&made, &context("")).await;
    assert!(
        matches!(refused, Err(KmsError::NotAuthentic { .. })),
        "{refused:?}"
    );
    let empty = at(answering(Some(("GetAttributes", "not-found"))), "dG9rZW4=");
    let refused = empty.describe(&id("recorded")).await;
    assert!(
        matches!(refused, Err(KmsError::KeyNotFound { .. })),
        "{refused:?}"
    );
    // An answer to another request is none.
    let confused = at(answering(Some(("Decrypt", "encrypt"))), "dG9rZW4=");
    let refused = confused.unwrap(&made, &context("")).await;
    assert!(
        matches!(refused, Err(KmsError::BadAnswer { .. })),
        "{refused:?}"
    );
    let refused = at(answering(None), "d3Jvbmc=").health().await;
    assert!(
        matches!(refused, Err(KmsError::Credentials { .. })),
        "{refused:?}"
    );
}
