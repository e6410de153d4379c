//! Servers that answer what a test says, or not at all.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers every request with these bytes, then closes the connection; without bytes it hangs.
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp", feature = "vault"))]
pub(crate) fn answering(answer: Option<String>) -> String {
    answering_in_turn(vec![answer])
}

/// The same with one answer after the other, and the last one from then on.
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp", feature = "vault"))]
pub(crate) fn answering_in_turn(answers: Vec<Option<String>>) -> String {
    counted(answers).0
}

/// The same, and how many requests have come.
pub(crate) fn counted(answers: Vec<Option<String>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let came = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut hanging = Vec::new();
        for (turn, stream) in listener.incoming().take(200).enumerate() {
            let mut stream = stream.unwrap();
            came.fetch_add(1, Ordering::SeqCst);
            let Some(answer) = &answers[turn.min(answers.len() - 1)] else {
                hanging.push(stream);
                continue;
            };
            let _ = stream.read(&mut [0; 65536]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, count)
}

/// The address of a server that is not there.
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// An answer.
#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "gcp",
    feature = "rustyvault"
))]
pub(crate) fn http(status: &str, head: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\n{head}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}
