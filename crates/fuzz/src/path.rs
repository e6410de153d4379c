//! Paths of requests, and the rows they lead to.

use crate::kv::{KV_VERSIONS, mount};
use secretum_api::RequestPath;
use secretum_engine::{Matched, Verb};
use secretum_storage::memory::MemoryStorage;

const VERBS: [Verb; 7] = [
    Verb::Read,
    Verb::Write,
    Verb::Patch,
    Verb::Delete,
    Verb::List,
    Verb::Scan,
    Verb::Help,
];

/// A path that is taken holds no `..`, no empty segment and no control character, and what a row
/// captures of it is a part of it.
pub(crate) fn run(data: &[u8]) {
    thread_local! {
        static ENGINES: Vec<std::sync::Arc<dyn secretum_engine::Mounted>> = KV_VERSIONS
            .into_iter()
            .map(|version| mount(&(MemoryStorage::new() as _), version))
            .collect();
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(path) = RequestPath::parse(text) else {
        return;
    };
    assert_eq!(path.as_str(), text);
    assert!(!text.contains(char::is_control));
    let body = text.strip_suffix('/').unwrap_or(text);
    let odd = |segment: &str| matches!(segment, "" | "." | "..");
    assert!(text.is_empty() || !body.split('/').any(odd), "{text:?}");
    let folder = path.into_folder();
    assert!(folder.as_str() == text || folder.as_str() == format!("{text}/"));
    ENGINES.with(|engines| {
        for engine in engines {
            for verb in VERBS {
                check_captures(engine.find(verb, text), text);
            }
        }
    });
}

fn check_captures(found: Matched<'_>, path: &str) {
    if let Matched::Row(_, captures) = found {
        for (name, value) in captures {
            assert!(path.contains(value), "`{name}` is `{value}` in `{path}`");
        }
    }
}
