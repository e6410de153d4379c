use super::head::SALT_BYTES;
use super::*;
use crate::test_keys::{context, id, local};
use crate::{KeyManagementService, ProviderKms};
use secretum_crypto::aead::TAG_BYTES;

/// Bytes of a chunk as it stands in the stream.
const SEALED: usize = CHUNK_BYTES + TAG_BYTES;

async fn seal(kms: &ProviderKms, plaintext: &[u8]) -> Vec<u8> {
    let seal = StreamSeal::begin(kms, &id("k"), &context("a=1")).await;
    let mut out = Vec::new();
    let bytes = seal.unwrap().run(plaintext, &mut out, |_| ()).unwrap();
    assert_eq!(bytes, plaintext.len() as u64);
    out
}

/// What was written, and how it ended.
async fn open(kms: &dyn KeyManagementService, mut stream: &[u8]) -> (Vec<u8>, Result<u64>) {
    let mut out = Vec::new();
    let head = match StreamHead::read(&mut stream) {
        Ok(head) => head,
        Err(error) => return (out, Err(error)),
    };
    let open = match StreamOpen::begin(kms, &head, &context("a=1")).await {
        Ok(open) => open,
        Err(error) => return (out, Err(error)),
    };
    let outcome = open.run(stream, &mut out, |_| ());
    (out, outcome)
}

fn bytes(length: usize) -> Vec<u8> {
    (0..251).cycle().take(length).collect()
}

fn head_bytes(stream: &[u8]) -> usize {
    let mut rest = stream;
    StreamHead::read(&mut rest).unwrap();
    stream.len() - rest.len()
}

#[tokio::test]
async fn any_length_comes_back() {
    let kms = local();
    for length in [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        3 * CHUNK_BYTES,
        3 * CHUNK_BYTES + 7,
    ] {
        let plaintext = bytes(length);
        let stream = seal(&kms, &plaintext).await;
        let chunks = length.div_ceil(CHUNK_BYTES).max(1);
        let expected = head_bytes(&stream) + length + chunks * TAG_BYTES;
        assert_eq!(stream.len(), expected);
        let (opened, outcome) = open(&kms, &stream).await;
        assert_eq!(outcome.unwrap(), length as u64);
        assert!(opened == plaintext, "{length}");
    }
}

/// A reader that gives a byte at a time, and is interrupted in between.
struct Slow<'a>(&'a [u8], bool);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

#[tokio::test]
async fn a_slow_reader_makes_the_same_chunks() {
    let kms = local();
    let plaintext = bytes(CHUNK_BYTES + 5);
    let begun = StreamSeal::begin(&kms, &id("k"), &context("a=1")).await;
    let mut stream = Vec::new();
    let reader = Slow(&plaintext, false);
    begun.unwrap().run(reader, &mut stream, |_| ()).unwrap();
    let (opened, outcome) = open(&kms, &stream).await;
    assert!(outcome.is_ok() && opened == plaintext);
}

#[tokio::test]
async fn every_cut_is_told_and_nothing_false_is_written() {
    let kms = local();
    let plaintext = bytes(2 * CHUNK_BYTES + 10);
    let stream = seal(&kms, &plaintext).await;
    let head = head_bytes(&stream);
    let edges: Vec<usize> = (0..3).map(|chunk| head + chunk * SEALED).collect();
    let near = edges
        .iter()
        .flat_map(|edge| edge - 1..=edge + TAG_BYTES + 1);
    let cuts: Vec<usize> = (0..head).chain(near).chain([stream.len() - 1]).collect();
    for cut in cuts {
        let (written, outcome) = open(&kms, &stream[..cut]).await;
        assert!(
            matches!(outcome, Err(KmsError::Format(_))),
            "cut at {cut}: {outcome:?}"
        );
        assert!(plaintext.starts_with(&written));
    }
    // At the edge of a chunk every byte is authentic, and yet it is told that the rest is missing.
    for edge in [edges[1], edges[2]] {
        let (_, outcome) = open(&kms, &stream[..edge]).await;
        let truncated = FormatError::Truncated {
            what: Thing::Stream,
        };
        assert!(matches!(outcome, Err(KmsError::Format(error)) if error == truncated));
    }
}

#[tokio::test]
async fn chunks_open_in_their_place_only() {
    let kms = local();
    let plaintext = bytes(3 * CHUNK_BYTES);
    let stream = seal(&kms, &plaintext).await;
    let (head, chunks) = stream.split_at(head_bytes(&stream));
    let chunk = |number: usize| &chunks[number * SEALED..(number + 1) * SEALED];
    for order in [[1, 0, 2], [0, 2, 1], [0, 0, 2], [2, 1, 0]] {
        let moved = order.map(chunk).concat();
        let (written, outcome) = open(&kms, &[head, &moved].concat()).await;
        assert!(matches!(
            outcome,
            Err(KmsError::NotAuthentic { .. } | KmsError::Format(_))
        ));
        assert!(plaintext.starts_with(&written));
    }
    let dropped = [head, chunk(0), chunk(2)].concat();
    assert!(open(&kms, &dropped).await.1.is_err());
    // Chunks of another stream under the same key service.
    let other = seal(&kms, &plaintext).await;
    let other = &other[head_bytes(&other)..];
    let (written, outcome) = open(&kms, &[head, other].concat()).await;
    assert!(matches!(outcome, Err(KmsError::NotAuthentic { .. })));
    assert!(written.is_empty());
}

#[tokio::test]
async fn what_stands_behind_the_end_is_told() {
    let kms = local();
    for length in [0, 10, CHUNK_BYTES, CHUNK_BYTES + 1] {
        let stream = seal(&kms, &bytes(length)).await;
        for behind in [1, TAG_BYTES, SEALED] {
            let longer = [stream.as_slice(), &vec![0; behind]].concat();
            let (_, outcome) = open(&kms, &longer).await;
            assert!(outcome.is_err(), "{length} and {behind}");
        }
    }
    // A whole chunk that is the last, and more behind it.
    let mut longer = seal(&kms, &bytes(CHUNK_BYTES)).await;
    longer.push(0);
    let (written, outcome) = open(&kms, &longer).await;
    assert!(matches!(
        outcome,
        Err(KmsError::Format(FormatError::Malformed { .. }))
    ));
    assert!(written.is_empty());
}

#[tokio::test]
async fn every_part_is_authenticated() {
    let kms = local();
    let stream = seal(&kms, &bytes(CHUNK_BYTES + 20)).await;
    let head = head_bytes(&stream);
    let places = (0..head).chain([head, head + 99, head + SEALED - 1, head + SEALED]);
    for at in places.chain([stream.len() - 1]) {
        let mut changed = stream.clone();
        changed[at] ^= 1;
        let (_, outcome) = open(&kms, &changed).await;
        assert!(outcome.is_err(), "byte {at}");
    }
}

#[tokio::test]
async fn a_context_is_needed() {
    let kms = local();
    let stream = seal(&kms, b"x").await;
    let head = StreamHead::read(stream.as_slice()).unwrap();
    for other in ["", "a=2"] {
        let refused = StreamOpen::begin(&kms, &head, &context(other)).await;
        assert!(matches!(refused, Err(KmsError::NotAuthentic { .. })));
    }
}

#[tokio::test]
async fn wrapping_anew_changes_the_head_only() {
    let kms = local();
    let plaintext = bytes(CHUNK_BYTES + 1);
    let stream = seal(&kms, &plaintext).await;
    let mut chunks = stream.as_slice();
    let head = StreamHead::read(&mut chunks).unwrap();
    let moved = head
        .rewrap(&kms, &context("a=1"), &id("other"), &context("a=1"))
        .await
        .unwrap();
    assert_eq!(moved.wrapped_key().key(), &id("other"));
    let (opened, outcome) = open(&kms, &[&moved.to_bytes(), chunks].concat()).await;
    assert!(outcome.is_ok() && opened == plaintext);
    // So does a key that another service wrapped.
    let other = local();
    let (new_key, bound) = (id("other"), context("a=1"));
    let data_key = kms.decrypt_data_key(head.wrapped_key(), &bound);
    let data_key = data_key.await.unwrap();
    let wrapped = other.encrypt(&new_key, data_key.expose(), &bound).await;
    let moved = head.with_wrapped_key(wrapped.unwrap());
    let (opened, outcome) = open(&other, &[&moved.to_bytes(), chunks].concat()).await;
    assert!(outcome.is_ok() && opened == plaintext);
}

#[test]
fn a_head_of_something_else_is_told() {
    for (bytes, wanted) in [
        (&b"age-encryption.org/v1"[..], "no encrypted stream"),
        (b"SKST\x02\0\0\0\0", "format version 2"),
        (b"SKST\x01\0\0", "cut off"),
        (b"SKST\x01\0\x10\0\x01", "larger than"),
    ] {
        let error = StreamHead::read(bytes).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn nonces_are_as_documented() {
    assert_eq!(nonce(0, false), [0; 12]);
    assert_eq!(nonce(0x0102, true), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1]);
    assert_eq!(SALT_BYTES, 32);
}

#[tokio::test]
async fn a_writer_that_fails_ends_it() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let begun = StreamSeal::begin(&local(), &id("k"), &context("")).await;
    let outcome = begun.unwrap().run(&b"x"[..], Full, |_| ());
    assert!(matches!(
        outcome,
        Err(KmsError::Stream {
            action: "write",
            ..
        })
    ));
}

#[tokio::test]
async fn the_number_of_chunks_has_its_limit() {
    let kms = local();
    let begin = || async {
        let begun = StreamSeal::begin(&kms, &id("k"), &context("a=1")).await;
        let mut begun = begun.unwrap();
        begun.chunks_max = 2;
        begun
    };
    let mut stream = Vec::new();
    let most = bytes(2 * CHUNK_BYTES);
    begin()
        .await
        .run(most.as_slice(), &mut stream, |_| ())
        .unwrap();
    let more = bytes(2 * CHUNK_BYTES + 1);
    let refused = begin().await.run(more.as_slice(), Vec::new(), |_| ());
    let is_limit = |error: &KmsError| matches!(error, KmsError::Format(FormatError::TooLarge { limit, .. }) if *limit == 1 << 48);
    assert!(is_limit(&refused.unwrap_err()));
    for (chunks_max, fits) in [(2, true), (1, false)] {
        let mut chunks = stream.as_slice();
        let head = StreamHead::read(&mut chunks).unwrap();
        let open = StreamOpen::begin(&kms, &head, &context("a=1")).await;
        let mut open = open.unwrap();
        open.chunks_max = chunks_max;
        let outcome = open.run(chunks, Vec::new(), |_| ());
        assert_eq!(outcome.is_ok(), fits);
    }
}
