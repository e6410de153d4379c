//! A rotation that another server goes on with, which read the keys before it.

use super::*;

const KEY: &str = "k:1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";

fn open(path: &std::path::Path) -> Arc<EnvKeyProvider> {
    Arc::new(EnvKeyProvider::from_file(path, Arc::new(SystemRng)).unwrap())
}

/// The key is rotated, and no data key wrapped anew.
fn half_way() -> RotationState {
    let mut under_way = RotationProgress::rotating(&crate::KeyInfo {
        key: id("k"),
        version: KeyVersion::from(1),
        enabled: true,
        rotated_at: None,
    });
    under_way.version = Some("2".to_owned());
    RotationState {
        rotated_at: None,
        under_way: Some(under_way),
    }
}

#[tokio::test]
async fn it_ends_under_the_version_that_the_first_server_made() {
    let (_folder, path) = key_file(KEY);
    let (one, two) = (open(&path), open(&path));
    let store = Store::of(&one, &id("k")).await;
    one.rotate(&id("k")).await.unwrap();
    store.save(&id("k"), &half_way()).await.unwrap();
    let result = manager(&two, &store).rotate(&id("k"), &|_| ()).await;
    assert_eq!(result.unwrap().rewrapped, 3);
    assert_eq!(store.versions(), ["2", "2", "2"]);
}

#[tokio::test]
async fn who_does_not_hear_of_the_new_version_replaces_nothing() {
    let (_folder, path) = key_file(KEY);
    let (_elsewhere, copy) = key_file(KEY);
    let (one, stale) = (open(&path), open(&copy));
    let store = Store::of(&one, &id("k")).await;
    one.rotate(&id("k")).await.unwrap();
    store.save(&id("k"), &half_way()).await.unwrap();
    let before = store.rows.lock().clone();
    let stopped = manager(&stale, &store).rotate(&id("k"), &|_| ()).await;
    assert!(
        matches!(
            stopped,
            Err(RotationError::NewVersionPending { left: 3, .. })
        ),
        "{stopped:?}"
    );
    assert_eq!(*store.rows.lock(), before);
    manager(&one, &store)
        .rotate(&id("k"), &|_| ())
        .await
        .unwrap();
    assert_eq!(store.versions(), ["2", "2", "2"]);
}

#[tokio::test]
async fn a_version_that_is_newer_than_the_one_meant_stays() {
    let (_folder, path) = key_file(KEY);
    let one = open(&path);
    one.rotate(&id("k")).await.unwrap();
    one.rotate(&id("k")).await.unwrap();
    let store = Store::of(&one, &id("k")).await;
    store.save(&id("k"), &half_way()).await.unwrap();
    let result = manager(&one, &store).rotate(&id("k"), &|_| ()).await;
    assert_eq!(result.unwrap().untouched, 3);
    assert_eq!(store.versions(), ["3", "3", "3"]);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_told_of_before_it_is_due() {
    let (_folder, path) = key_file(KEY);
    let one = open(&path);
    let store = Store::of(&one, &id("k")).await;
    let (manager, day) = (manager(&one, &store), Duration::from_secs(24 * 3600));
    let missing = manager
        .rotate_if_due(&id("defualt"), day, &|_| ())
        .await
        .unwrap_err();
    assert!(missing.to_string().contains("defualt"), "{missing}");
    assert!(store.load(&id("defualt")).await.unwrap().is_none());
}
