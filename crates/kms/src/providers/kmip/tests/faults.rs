//! Servers that are none, or none that can be used.

use super::*;
use crate::ttlv::{self, Node, Tag, Value};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a server does with a message.
enum Does {
    Answers(Vec<u8>),
    Hangs,
    Closes,
}

/// A server over TLS that does this with each message; its port.
async fn server(
    made: &Certificates,
    name: &str,
    does: impl Fn(Node) -> Does + Send + Sync + 'static,
) -> u16 {
    let chain = CertificateDer::from_pem_file(made.path(&format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(made.path(&format!("{name}-key.pem"))).unwrap();
    let aws = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(aws)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let does = Arc::new(does);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, does) = (acceptor.clone(), Arc::clone(&does));
            tokio::spawn(async move {
                // A client that does not trust the server breaks off here.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut buffer = vec![0; 65536];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    match does(ttlv::decode(&buffer[..count]).unwrap()) {
                        Does::Answers(bytes) => stream.write_all(&bytes).await.unwrap(),
                        Does::Hangs => std::future::pending().await,
                        Does::Closes => return,
                    }
                }
            });
        }
    });
    port
}

async fn seen(made: &Certificates, port: u16) -> KmsError {
    let mut server = server_at(made, port);
    server.timeout = Duration::from_millis(500);
    let began = std::time::Instant::now();
    let refused = provider(server).describe(&id("k")).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{refused}");
    refused
}

fn unanswering(does: fn() -> Does) -> impl Fn(Node) -> Does + Send + Sync + 'static {
    move |_| does()
}

#[tokio::test]
async fn a_server_that_hangs_closes_or_answers_nonsense_is_told() {
    let made = Certificates::new();
    type Answer = (fn() -> Does, &'static str);
    let answers: [Answer; 7] = [
        (|| Does::Hangs, "timeout"),
        (|| Does::Closes, "unavailable"),
        (
            || Does::Answers(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
            "bad_answer",
        ),
        // A whole head, and less behind it than it says.
        (
            || Does::Answers(b"\x42\x00\x7b\x01\0\0\0\x90".to_vec()),
            "timeout",
        ),
        // More than is taken.
        (
            || Does::Answers(b"\x42\x00\x7b\x01\xff\0\0\0".to_vec()),
            "bad_answer",
        ),
        (
            || Does::Answers(b"\x42\x00\x7b\x01\0\0\0\x08\x42\0\x7a\x0c\0\0\0\0".to_vec()),
            "bad_answer",
        ),
        // An answer without an item.
        (
            || Does::Answers(b"\x42\x00\x7b\x01\0\0\0\0".to_vec()),
            "bad_answer",
        ),
    ];
    for (does, kind) in answers {
        let port = server(&made, "server", unanswering(does)).await;
        let refused = seen(&made, port).await;
        assert_eq!(refused.kind(), kind, "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_prove_itself_is_told() {
    let made = Certificates::new();
    made.issue_expired("old");
    let port = server(&made, "old", unanswering(|| Does::Closes)).await;
    let refused = seen(&made, port).await;
    assert!(matches!(refused, KmsError::Untrusted { .. }), "{refused}");
    assert!(refused.to_string().contains("expired"), "{refused}");
    assert!(!refused.is_transient() && refused.is_service_fault());
    made.issue("elsewhere", |params| params.subject_alt_names.clear());
    let port = server(&made, "elsewhere", unanswering(|| Does::Closes)).await;
    let refused = seen(&made, port).await;
    assert!(matches!(refused, KmsError::Untrusted { .. }), "{refused}");
}

#[tokio::test]
async fn what_speaks_no_tls_or_is_not_there_is_told() {
    let made = Certificates::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        let _ = stream.read(&mut [0; 1024]).await;
    });
    let refused = seen(&made, port).await;
    assert!(matches!(refused, KmsError::BadAnswer { .. }), "{refused}");
    serving.await.unwrap();
    let refused = seen(&made, port).await;
    assert!(matches!(refused, KmsError::Unavailable { .. }), "{refused}");
    assert!(refused.is_transient());
}

fn answer(operation: u32, result: [Node; 2]) -> Does {
    let operation = Node::enumeration(Tag::OPERATION, operation);
    let item = Node::structure(Tag::BATCH_ITEM, [operation].into_iter().chain(result));
    let message = Node::structure(Tag::RESPONSE_MESSAGE, [item]);
    Does::Answers(ttlv::encode(&message).unwrap().to_vec())
}

fn done(operation: u32, payload: Vec<Node>) -> Does {
    let status = Node::enumeration(Tag::RESULT_STATUS, 0);
    answer(
        operation,
        [status, Node::structure(Tag::RESPONSE_PAYLOAD, payload)],
    )
}

fn refused_with(operation: u32, reason: u32) -> Does {
    let status = Node::enumeration(Tag::RESULT_STATUS, 1);
    answer(
        operation,
        [status, Node::enumeration(Tag::RESULT_REASON, reason)],
    )
}

/// The version that a request has, and its operation.
fn request(message: &Node) -> (String, u32) {
    let header = message.find(Tag::REQUEST_HEADER).unwrap();
    let version = Version::of_node(header.find(Tag::PROTOCOL_VERSION).unwrap()).unwrap();
    let item = message.find(Tag::BATCH_ITEM).unwrap();
    (
        version.to_string(),
        item.enumeration_of(Tag::OPERATION).unwrap(),
    )
}

const QUERY: u32 = 0x18;
const DISCOVER_VERSIONS: u32 = 0x1e;
const OPERATIONS: [u32; 2] = [0x1f, 0x20];

/// Answers Query at one version only, and DiscoverVersions as told.
fn speaks(
    only: &'static str,
    discovered: impl Fn(&str) -> Does + Send + Sync + 'static,
) -> impl Fn(Node) -> Does + Send + Sync + 'static {
    move |message| match request(&message) {
        (version, DISCOVER_VERSIONS) => discovered(&version),
        (version, QUERY) if version == only => {
            let operations = OPERATIONS.map(|number| Node::enumeration(Tag::OPERATION, number));
            done(QUERY, operations.into())
        }
        // An invalid message.
        (_, operation) => refused_with(operation, 4),
    }
}

async fn health(made: &Certificates, port: u16) -> Result<Vec<String>> {
    provider(server_at(made, port))
        .health()
        .await
        .map(|health| health.notes)
}

#[tokio::test]
async fn versions_are_agreed_on() {
    const NOT_SUPPORTED: u32 = 5;
    let made = Certificates::new();
    let node = |text: &str| text.parse::<Version>().unwrap().node();
    let old = move |_: &str| done(DISCOVER_VERSIONS, vec![node("1.2"), node("1.3")]);
    let port = server(&made, "server", speaks("1.3", old)).await;
    assert_eq!(health(&made, port).await.unwrap(), ["KMIP 1.3"]);
    // It answers messages of version 2 only.
    let new = move |version: &str| match version {
        "2.1" => done(DISCOVER_VERSIONS, vec![node("2.0")]),
        _ => refused_with(DISCOVER_VERSIONS, 4),
    };
    let port = server(&made, "server", speaks("2.0", new)).await;
    assert_eq!(health(&made, port).await.unwrap(), ["KMIP 2.0"]);
    // It has no such operation: every version is tried.
    let none = |_: &str| refused_with(DISCOVER_VERSIONS, NOT_SUPPORTED);
    let port = server(&made, "server", speaks("1.4", none)).await;
    assert_eq!(health(&made, port).await.unwrap(), ["KMIP 1.4"]);
    let port = server(&made, "server", speaks("1.1", none)).await;
    let refused = health(&made, port).await.unwrap_err();
    assert!(matches!(refused, KmsError::Refused { .. }), "{refused}");
    assert!(refused.to_string().contains("1.2 to 2.1"), "{refused}");
}

#[tokio::test]
async fn what_a_server_refuses_is_told_apart() {
    let made = Certificates::new();
    for (reason, kind) in [
        (3, "credentials"),
        (0x0c, "access_denied"),
        (0x39, "access_denied"),
        (0x3a, "throttled"),
        (0x2a, "unavailable"),
        (0x100, "refused"),
        (0, "refused"),
    ] {
        let port = server(&made, "server", move |message| {
            refused_with(request(&message).1, reason)
        });
        let mut server = server_at(&made, port.await);
        server.version = Some("1.4".to_owned());
        let refused = provider(server).health().await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_only_keeps_keys_is_told() {
    let made = Certificates::new();
    let port = server(&made, "server", |message| {
        done(request(&message).1, Vec::new())
    })
    .await;
    let mut server = server_at(&made, port);
    server.version = Some("1.4".to_owned());
    let refused = provider(server).health().await.unwrap_err();
    assert!(refused.to_string().contains("Encrypt"), "{refused}");
}

/// How a server gives the objects that were found.
#[derive(Clone, Copy, PartialEq)]
enum Gives {
    Pages,
    /// It knows of no offsets.
    TheFirst,
    /// Three at a time, whatever it is asked for, and tells how many there are.
    Three,
}

/// A server with so many versions of the key `k`, the newest the last it gives.
fn keeps(count: usize, gives: Gives) -> impl Fn(Node) -> Does + Send + Sync + 'static {
    const LOCATE: u32 = 0x08;
    let attribute = |name: &str, value: Value| {
        let name = Node::text(Tag::ATTRIBUTE_NAME, name);
        let value = Node::new(Tag::ATTRIBUTE_VALUE, value);
        Node::structure(Tag::ATTRIBUTE, [name, value])
    };
    move |message| {
        let (version, operation) = request(&message);
        let item = message.find(Tag::BATCH_ITEM).unwrap();
        let asked = item.find(Tag::REQUEST_PAYLOAD).unwrap();
        if operation == LOCATE {
            let number = |tag| match asked.find(tag).map(|node| &node.value) {
                Some(Value::Integer(number)) => usize::try_from(*number).unwrap(),
                _ => 0,
            };
            assert!(version != "1.2" || number(Tag::OFFSET_ITEMS) == 0);
            let (offset, items) = match gives {
                Gives::Pages => (number(Tag::OFFSET_ITEMS), number(Tag::MAXIMUM_ITEMS)),
                Gives::TheFirst => (0, number(Tag::MAXIMUM_ITEMS)),
                Gives::Three => (number(Tag::OFFSET_ITEMS), 3),
            };
            let ids = (1..=count).skip(offset).take(items);
            let ids = ids.map(|id| Node::text(Tag::UNIQUE_IDENTIFIER, id.to_string()));
            let mut payload: Vec<Node> = ids.collect();
            if gives == Gives::Three {
                payload.push(Node::integer(
                    Tag::LOCATED_ITEMS,
                    i32::try_from(count).unwrap(),
                ));
            }
            return done(operation, payload);
        }
        let id = asked.text_of(Tag::UNIQUE_IDENTIFIER).unwrap();
        let name = Node::text(Tag::NAME_VALUE, format!("k@{id}"));
        done(
            operation,
            vec![
                attribute("Object Type", Value::Enumeration(2)),
                attribute("State", Value::Enumeration(2)),
                attribute("Name", Value::Structure(vec![name])),
            ],
        )
    }
}

#[tokio::test]
async fn a_list_is_whole_or_an_error() {
    let made = Certificates::new();
    let at = async |count, gives, version: &str| {
        let mut server = server_at(&made, server(&made, "server", keeps(count, gives)).await);
        server.version = Some(version.to_owned());
        provider(server)
    };
    for (gives, version) in [
        (Gives::Pages, "1.4"),
        (Gives::TheFirst, "1.4"),
        (Gives::Three, "1.4"),
        (Gives::TheFirst, "1.2"),
    ] {
        // Less than a page, just one, more; as many as are looked at.
        for count in [1, 3, 8, 9, 20, 256] {
            let kept = at(count, gives, version).await;
            let newest = kept.describe(&id("k")).await.unwrap().version;
            assert_eq!(newest.as_str(), count.to_string());
            let listed = kept.list(None, 1000).await.unwrap();
            assert_eq!((listed.keys.len(), listed.more), (count, false));
        }
        let kept = at(257, gives, version).await;
        for refused in [
            kept.describe(&id("k")).await.map(drop),
            kept.list(None, 1000).await.map(drop),
        ] {
            assert!(matches!(refused, Err(KmsError::Refused { .. })));
        }
    }
}
