use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// A server that gives these answers, one a connection, and hands back what it was sent.
fn server(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            requests.push(request(&mut stream));
            stream.write_all(answer.as_bytes()).unwrap();
        }
        requests
    });
    (address, thread)
}

fn request(stream: &mut std::net::TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
    }
}

fn client(address: &str) -> Client {
    let mut config = ClientConfig::new(address.parse().unwrap());
    config.token = Some(SecretString::new("hvs.planted".to_owned()));
    config.namespace = Some("team".to_owned());
    config.retries_max = 0;
    Client::new(config).unwrap()
}

#[tokio::test]
async fn a_read_carries_the_headers_and_the_encoded_path() {
    let (address, served) = server(vec![answer(
        "200 OK",
        r#"{"request_id":"r","data":{"n":9007199254740993}}"#,
    )]);
    let secret = client(&address).read("secret/a b").await.unwrap().unwrap();
    assert_eq!(secret.data.to_string(), r#"{"n":9007199254740993}"#);
    let sent = &served.join().unwrap()[0];
    assert!(
        sent.starts_with("GET /v1/secret/a%20b HTTP/1.1\r\n"),
        "{sent}"
    );
    for header in [
        "x-vault-token: hvs.planted",
        "x-vault-namespace: team",
        "x-vault-request: true",
    ] {
        assert!(sent.contains(header), "{sent}");
    }
}

#[tokio::test]
async fn a_missing_secret_is_none_but_a_404_with_data_is_told() {
    let nothing = answer("404 Not Found", r#"{"errors":[]}"#);
    let deleted = answer(
        "404 Not Found",
        r#"{"request_id":"r","data":{"data":null}}"#,
    );
    let (address, served) = server(vec![nothing.clone(), deleted, nothing]);
    let client = client(&address);
    assert!(client.read("a").await.unwrap().is_none());
    assert_eq!(
        client.read("a").await.unwrap().unwrap().data.to_string(),
        r#"{"data":null}"#
    );
    assert_eq!(
        client.write("a", &Json::Null).await.unwrap_err().status(),
        Some(404)
    );
    served.join().unwrap();
}

#[tokio::test]
async fn an_error_says_where_and_what_and_shows_no_token() {
    let (address, served) = server(vec![answer(
        "403 Forbidden",
        r#"{"errors":["permission denied"]}"#,
    )]);
    let error = client(&address).list("sys/policy").await.unwrap_err();
    let ClientError::Api(api) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(api.errors.as_deref().unwrap(), ["permission denied"]);
    assert_eq!((api.method.as_str(), api.status), ("GET", 403));
    assert_eq!(api.url, format!("{address}/v1/sys/policy?list=true"));
    assert!(!format!("{error} {error:?}").contains("planted"));
    served.join().unwrap();
}

#[tokio::test]
async fn a_patch_names_its_content_type() {
    let (address, served) = server(vec![
        "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned(),
    ]);
    let body = Json::parse(r#"{"a":1.0}"#).unwrap();
    assert!(client(&address).patch("a", &body).await.unwrap().is_none());
    let sent = &served.join().unwrap()[0];
    assert!(
        sent.contains("content-type: application/merge-patch+json"),
        "{sent}"
    );
    assert!(sent.ends_with(r#"{"a":1.0}"#), "{sent}");
}

#[tokio::test]
async fn an_unreached_server_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&address)
        .read("sys/health")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("GET {address}/v1/sys/health: ")),
        "{error}"
    );
    assert!(!error.contains("planted"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream
            .write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nnot TLS\n")
            .unwrap();
    });
    let mut config = ClientConfig::new(address.parse().unwrap());
    config.retries_max = 0;
    config.tls.skip_verify = true;
    let error = Client::new(config)
        .unwrap()
        .read("a")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("http://"), "{error}");
    thread.join().unwrap();
}

#[tokio::test]
async fn a_dry_run_sends_nothing_and_shows_no_token() {
    let client = client("https://vault.example:8200").with_dry_run(true);
    let error = client
        .write("secret/a", &Json::from("x"))
        .await
        .unwrap_err();
    let ClientError::DryRun(outline) = error else {
        panic!("{error:?}")
    };
    assert_eq!(outline.method, "PUT");
    assert_eq!(outline.url, "https://vault.example:8200/v1/secret/a");
    assert!(outline.has_token);
    assert!(
        outline
            .headers
            .iter()
            .all(|(_, value)| !value.contains("planted"))
    );
}

#[tokio::test]
async fn wrapping_asks_for_a_ttl_where_none_is_given() {
    let client = client("https://vault.example").with_dry_run(true);
    let error = client
        .write("sys/wrapping/wrap", &Json::Null)
        .await
        .unwrap_err();
    let ClientError::DryRun(outline) = error else {
        panic!("{error:?}")
    };
    assert!(
        outline
            .headers
            .contains(&("X-Vault-Wrap-Ttl".to_owned(), "5m".to_owned()))
    );
}
