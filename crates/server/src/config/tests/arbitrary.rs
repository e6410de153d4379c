//! Texts that nobody wrote.

use super::*;
use proptest::prelude::*;
use std::sync::Arc;

/// Reads bytes as each syntax, and by content.
fn read_as_all(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for name in ["a.toml", "a.hcl", "a.json", "a"] {
        let source = |syntax| section::Source {
            file: Arc::from(Path::new(name)),
            syntax,
        };
        let (syntax, tree) = syntax::Syntax::read(Path::new(name), text);
        let mut notices = notice::Notices::default();
        let mut draft = draft::Draft::default();
        if let Ok(body) = tree {
            draft.add(&source(syntax), &body, &mut notices);
            let config = draft.finish(&source(syntax), &|_| None, &mut notices);
            // What is refused is refused with a word, and what is not can be served.
            let served = config.is_some_and(|config| !config.listeners.is_empty());
            assert!(served || notices.have_errors(), "{text}");
        }
        for notice in notices.sorted(&[]) {
            let said = notice.to_string();
            assert!(!said.contains('\n') && !said.ends_with('.'), "{said}");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_as_all(&bytes);
    }

    #[test]
    fn pieces_of_configurations_never_panic(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "storage", "listener", "tcp", "raft", "\"", "{", "}", "[", "]", "=", ":", ",", "\n",
                " ", ".", "path", "address", "type", "max_lease_ttl", "1", "1h", "true", "null",
                "seal", "tls_disable", "é", "\\", "#", "'", "backend", "[[listener.tcp]]\n",
                "[storage.raft]\n", "\"a:1\"", "{\"storage\":", "\"listener\":", "{}", "inmem", "unix",
            ]),
            0..40,
        )
    ) {
        read_as_all(pieces.concat().as_bytes());
    }

    #[test]
    fn a_cut_configuration_never_panics(length in 0..JSON.len()) {
        for text in [HCL, TOML, JSON] {
            read_as_all(text.as_bytes().get(..length.min(text.len())).unwrap());
        }
    }
}
