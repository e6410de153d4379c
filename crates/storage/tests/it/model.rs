//! Random commits and pages on a backend and on a plain map, side by side.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use secretum_storage::memory::MemoryStorage;
use secretum_storage::{
    Batch, Change, Key, PageOf, Precondition, Revision, Step, Storage, StorageError,
};
use std::collections::{BTreeMap, BTreeSet};

/// Keys that collide, nest, and stand around `/`.
const KEYS: [&str; 10] = [
    "a", "a/", "a/b", "a/b/c", "a/b0", "a/c", "a0", "b/", "b/x/y", "\u{7f}",
];
const PREFIXES: [&str; 4] = ["", "a/", "a/b/", "b/"];

#[derive(Debug, Clone)]
pub(crate) enum Expect {
    Nothing,
    Absent,
    Present,
    Newest,
    Stale,
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Commit(Vec<(usize, Expect, Option<Option<u8>>)>),
    Page {
        prefix: usize,
        after: Option<usize>,
        limit: usize,
        what: PageOf,
    },
}

pub(crate) fn actions() -> impl Strategy<Value = Vec<Action>> {
    let expect = prop_oneof![
        4 => Just(Expect::Nothing),
        1 => Just(Expect::Absent),
        1 => Just(Expect::Present),
        2 => Just(Expect::Newest),
        1 => Just(Expect::Stale),
    ];
    let change = prop_oneof![
        1 => Just(None),
        2 => Just(Some(None)),
        4 => any::<u8>().prop_map(|value| Some(Some(value))),
    ];
    let commit = vec((0..KEYS.len(), expect, change), 0..5).prop_map(Action::Commit);
    let what = prop_oneof![
        Just(PageOf::Keys),
        Just(PageOf::Entries),
        Just(PageOf::Children)
    ];
    let after = proptest::option::of(0..KEYS.len());
    let page =
        (0..PREFIXES.len(), after, 0..6_usize, what).prop_map(|(prefix, after, limit, what)| {
            Action::Page {
                prefix,
                after,
                limit,
                what,
            }
        });
    vec(prop_oneof![3 => commit, 2 => page], 1..40)
}

#[derive(Default)]
pub(crate) struct Model {
    map: BTreeMap<Vec<u8>, (Bytes, Revision)>,
}

impl Model {
    fn batch(&self, steps: &[(usize, Expect, Option<Option<u8>>)]) -> Batch {
        Batch::from_steps(steps.iter().map(|(index, expect, change)| {
            let key = Key::try_from(KEYS[*index]).unwrap();
            let newest = self.map.get(key.as_bytes()).map(|(_, revision)| *revision);
            let expect = match expect {
                Expect::Nothing => None,
                Expect::Absent => Some(Precondition::Absent),
                Expect::Present => Some(Precondition::Present),
                Expect::Newest => Some(newest.map_or(Precondition::Absent, Precondition::At)),
                Expect::Stale => Some(Precondition::At(Revision(0))),
            };
            let change = match change {
                None => Change::Keep,
                Some(None) => Change::Delete,
                Some(Some(value)) => Change::Put(Bytes::from(vec![*value; *value as usize * 9])),
            };
            Step {
                key,
                expect,
                change,
            }
        }))
    }

    fn holds(&self, batch: &Batch) -> bool {
        batch.steps().iter().all(|step| {
            let newest = self
                .map
                .get(step.key.as_bytes())
                .map(|(_, revision)| *revision);
            match step.expect {
                None => true,
                Some(Precondition::Absent) => newest.is_none(),
                Some(Precondition::Present) => newest.is_some(),
                Some(Precondition::At(revision)) => newest == Some(revision),
            }
        })
    }

    fn apply(&mut self, batch: &Batch, revision: Revision) {
        for step in batch.steps() {
            let key = step.key.as_bytes().to_vec();
            match &step.change {
                Change::Keep => {}
                Change::Delete => drop(self.map.remove(&key)),
                Change::Put(value) => drop(self.map.insert(key, (value.clone(), revision))),
            }
        }
    }

    fn rows(&self, prefix: &[u8], after: Option<&[u8]>, what: PageOf) -> Vec<Vec<u8>> {
        let rows: BTreeSet<Vec<u8>> = self
            .map
            .keys()
            .filter(|key| key.len() > prefix.len() && key.starts_with(prefix))
            .map(
                |key| match (what, key[prefix.len()..].iter().position(|b| *b == b'/')) {
                    (PageOf::Children, Some(slash)) => key[..=prefix.len() + slash].to_vec(),
                    _ => key.clone(),
                },
            )
            .collect();
        // A cursor inside a folded child stands behind that child.
        let after = after.map(|after| {
            let inside = what == PageOf::Children && after.starts_with(prefix);
            let slash = after
                .get(prefix.len()..)
                .and_then(|rest| rest.iter().position(|b| *b == b'/'));
            match slash {
                Some(slash) if inside => &after[..=prefix.len() + slash],
                _ => after,
            }
        });
        rows.into_iter()
            .filter(|row| after.is_none_or(|after| &row[..] > after))
            .collect()
    }
}

/// Runs the actions on a storage and a model; they agree at every step.
pub(crate) async fn agree(storage: &dyn Storage, model: &mut Model, actions: &[Action]) {
    for action in actions {
        match action {
            Action::Commit(steps) => {
                let batch = model.batch(steps);
                match storage.commit(batch.clone()).await {
                    Ok(revision) => {
                        assert!(model.holds(&batch), "{batch:?} was taken");
                        model.apply(&batch, revision);
                    }
                    Err(StorageError::Conflict { .. }) => {
                        assert!(!model.holds(&batch), "{batch:?} was refused");
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            Action::Page {
                prefix,
                after,
                limit,
                what,
            } => {
                let prefix = Key::try_from(PREFIXES[*prefix]).unwrap();
                let after = after.map(|after| Key::try_from(KEYS[after]).unwrap());
                let page = storage
                    .page(&prefix, after.as_ref(), *limit, *what)
                    .await
                    .unwrap();
                let after = after.as_ref().map(Key::as_bytes);
                let rows = model.rows(prefix.as_bytes(), after, *what);
                let seen: Vec<_> = page.rows.iter().map(|row| row.key.as_bytes()).collect();
                let wanted: Vec<_> = rows.iter().map(Vec::as_slice).take(*limit).collect();
                assert_eq!(seen, wanted, "{action:?}");
                assert_eq!(page.more, rows.len() > *limit, "{action:?}");
            }
        }
    }
    same(storage, model).await;
}

/// Asserts that the storage holds exactly what the model does.
pub(crate) async fn same(storage: &dyn Storage, model: &Model) {
    let everything = Key::try_from("").unwrap();
    let page = storage
        .page(&everything, None, usize::MAX, PageOf::Entries)
        .await
        .unwrap();
    let seen: Vec<_> = page
        .rows
        .iter()
        .map(|row| {
            let entry = row.entry.as_ref().unwrap();
            (
                row.key.as_bytes().to_vec(),
                (entry.value.clone(), entry.revision),
            )
        })
        .collect();
    let wanted: Vec<_> = model.map.clone().into_iter().collect();
    assert_eq!(seen, wanted);
    for row in &page.rows {
        assert_eq!(storage.get(&row.key).await.unwrap(), row.entry);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_memory_backend_agrees_with_a_map(actions in actions()) {
        runtime().block_on(async {
            let storage = MemoryStorage::new();
            agree(&*storage, &mut Model::default(), &actions).await;
        });
    }
}
