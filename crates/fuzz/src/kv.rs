//! Key-value engines: any request, and any bytes in the place of what they stored.

use crate::input::context;
use futures::FutureExt;
use secretum_crypto::{SystemRng, TestClock};
use secretum_engine::{Body, Fault, Input, Matched, MountStorage, Mounted, RawReply, Setup, Verb};
use secretum_storage::memory::MemoryStorage;
use secretum_storage::{Batch, Key, Storage};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The versions of the engine, as the option of a mount names them.
pub(crate) const KV_VERSIONS: [&str; 2] = ["1", "2"];

const PREFIX: &str = "mount/fuzz/";

/// What is asked of a mount whose records are not what they were.
const READS: [(Verb, &str); 12] = [
    (Verb::Read, "a/b"),
    (Verb::List, "a/"),
    (Verb::Scan, ""),
    (Verb::Read, "config"),
    (Verb::Read, "data/a/b"),
    (Verb::Read, "metadata/a/b"),
    (Verb::List, "metadata/a/"),
    (Verb::Read, "subkeys/a/b"),
    (Verb::List, "detailed-metadata/a/"),
    (Verb::Delete, "data/a/b"),
    (Verb::Delete, "metadata/a/b"),
    (Verb::Help, "data/a/b"),
];

const WRITES: [(Verb, &str, &str); 11] = [
    (Verb::Write, "a/b", r#"{"c":1}"#),
    (Verb::Write, "data/a/b", r#"{"data":{"c":1.10}}"#),
    (Verb::Patch, "data/a/b", r#"{"data":{"c":null,"d":{}}}"#),
    (
        Verb::Write,
        "data/a/b",
        r#"{"data":{"c":1},"options":{"ttl":60}}"#,
    ),
    (Verb::Write, "undelete/a/b", r#"{"versions":[1,2]}"#),
    (Verb::Write, "delete/a/b", r#"{"versions":[1,2]}"#),
    (Verb::Write, "destroy/a/b", r#"{"versions":"1,2"}"#),
    (Verb::Write, "copy/c", r#"{"source":"a/b"}"#),
    (Verb::Write, "move/d", r#"{"source":"c","cas":0}"#),
    (Verb::Patch, "metadata/a/b", r#"{"max_versions":1}"#),
    (
        Verb::Write,
        "metadata/a/b",
        r#"{"custom_metadata":{"e":"f"}}"#,
    ),
];

/// An engine over a storage.
pub(crate) fn mount(storage: &Arc<dyn Storage>, version: &str) -> Arc<dyn Mounted> {
    thread_local! {
        static KINDS: Vec<secretum_engine::EngineKind> =
            secretum_engines::all().unwrap_or_default();
    }
    let Ok(prefix) = Key::try_from(PREFIX) else {
        unreachable!("the prefix is short");
    };
    let setup = Setup {
        store: MountStorage::new(Arc::clone(storage), prefix),
        options: BTreeMap::from([("version".to_owned(), version.to_owned())]),
        default_lease_ttl: Duration::from_secs(3_600),
        clock: Arc::new(TestClock::default()),
        rng: Arc::new(SystemRng),
    };
    let built = KINDS.with(|kinds| {
        let kind = kinds.iter().find(|kind| kind.name() == "kv");
        kind.map(|kind| kind.build(setup))
    });
    match built {
        Some(Ok(engine)) => engine,
        other => unreachable!("{other:?}"),
    }
}

/// Bytes in the place of any record of a mount make a fault at most; and what an engine wants written
/// then stays below its prefix.
pub(crate) fn records(data: &[u8]) {
    for version in KV_VERSIONS {
        let storage: Arc<dyn Storage> = MemoryStorage::new();
        let engine = mount(&storage, version);
        let data: Arc<[u8]> = data.into();
        for (verb, path, body) in WRITES {
            if let Some(Ok(reply)) = ask(&*engine, verb, path, Some(body)) {
                commit(&*storage, reply.writes);
            }
        }
        for key in keys(&*storage) {
            let damaged: Arc<dyn Storage> = MemoryStorage::new();
            copy(&*storage, &*damaged);
            commit(&*damaged, Batch::new().put(key, data.to_vec()));
            let engine = mount(&damaged, version);
            for (verb, path) in READS {
                check(ask(&*engine, verb, path, None));
            }
            for (verb, path, body) in WRITES {
                check(ask(&*engine, verb, path, Some(body)));
            }
        }
    }
}

/// Any body on any path makes a fault of the caller at most, since nothing was stored that cannot be
/// read.
///
/// **Shape**: requests line by line: a verb's first letter, a path, a space, a body.
pub(crate) fn requests(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for version in KV_VERSIONS {
        let storage: Arc<dyn Storage> = MemoryStorage::new();
        let engine = mount(&storage, version);
        for line in text.lines().take(8) {
            let mut letters = line.chars();
            let verb = match letters.next() {
                Some('R') => Verb::Read,
                Some('W') => Verb::Write,
                Some('P') => Verb::Patch,
                Some('D') => Verb::Delete,
                Some('L') => Verb::List,
                Some('S') => Verb::Scan,
                _ => continue,
            };
            let (path, body) = letters
                .as_str()
                .split_once(' ')
                .unwrap_or((letters.as_str(), ""));
            let body = Some(body).filter(|body| !body.is_empty());
            match ask(&*engine, verb, path, body) {
                Some(Ok(reply)) => commit(&*storage, reply.writes),
                Some(Err(Fault::Internal(text))) => unreachable!("{text}"),
                _ => {}
            }
        }
    }
}

/// What an engine answers; nothing where no row takes the request.
fn ask(
    engine: &dyn Mounted,
    verb: Verb,
    path: &str,
    body: Option<&str>,
) -> Option<Result<RawReply, Fault>> {
    let Matched::Row(row, captures) = engine.find(verb, path) else {
        return None;
    };
    let raw: Option<&RawValue> = body.map(serde_json::from_str).transpose().ok()?;
    let input = Input {
        captures,
        query: &[],
        body: raw.map(Body::new).transpose().ok()?,
        whole_body: engine.facts(row)?.whole_body,
    };
    let context = context();
    // Nothing waits over a storage in memory.
    let existed = engine.exists(row, &input, &context).now_or_never()?;
    match existed {
        Ok(_) => engine.call(row, &input, &context).now_or_never(),
        Err(fault) => Some(Err(fault)),
    }
}

fn check(answer: Option<Result<RawReply, Fault>>) {
    if let Some(Ok(reply)) = answer {
        let outside = |key: &Key| !key.as_bytes().starts_with(PREFIX.as_bytes());
        assert!(!reply.writes.steps().iter().any(|step| outside(&step.key)));
        assert!(reply.data.is_none_or(|data| !data.get().is_empty()));
    }
}

fn commit(storage: &dyn Storage, writes: Batch) {
    let committed = storage.commit(writes).now_or_never();
    assert!(matches!(committed, Some(Ok(_))), "{committed:?}");
}

fn keys(storage: &dyn Storage) -> Vec<Key> {
    entries(storage).into_iter().map(|(key, _)| key).collect()
}

fn copy(from: &dyn Storage, to: &dyn Storage) {
    let put = |batch: Batch, (key, value)| batch.put(key, value);
    commit(to, entries(from).into_iter().fold(Batch::new(), put));
}

fn entries(storage: &dyn Storage) -> Vec<(Key, Vec<u8>)> {
    let Ok(prefix) = Key::try_from(PREFIX) else {
        return Vec::new();
    };
    let page = storage.page(&prefix, None, 1_000, secretum_storage::PageOf::Entries);
    let rows = match page.now_or_never() {
        Some(Ok(page)) => page.rows,
        other => unreachable!("{other:?}"),
    };
    rows.into_iter()
        .map(|row| (row.key, row.entry.map_or(Vec::new(), |e| e.value.to_vec())))
        .collect()
}
