//! Whose directory it is, and that one process has it.

use super::small;
use secretum_storage::raft::RaftStorage;
use secretum_storage::{Batch, Key, Storage, StorageError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn listing(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_has_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let storage = RaftStorage::open(small(directory.path())).await.unwrap();
    let second = RaftStorage::open(small(directory.path()))
        .await
        .unwrap_err();
    assert!(matches!(&second, StorageError::Locked { path } if path == directory.path()));
    storage
        .commit(Batch::new().put(Key::try_from("a").unwrap(), "1"))
        .await
        .unwrap();
    storage.close().await.unwrap();
    let storage = RaftStorage::open(small(directory.path())).await.unwrap();
    storage.close().await.unwrap();
}

/// What is below a path, itself included, with its mode.
fn modes(path: &Path) -> Vec<(String, bool, u32)> {
    let metadata = fs::metadata(path).unwrap();
    let mode = metadata.permissions().mode() & 0o777;
    let mut all = vec![(path.display().to_string(), metadata.is_dir(), mode)];
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            all.extend(modes(&entry.unwrap().path()));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_on_the_machine_may_read_a_directory() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("data");
    let storage = RaftStorage::open(small(&path)).await.unwrap();
    for number in 0..64 {
        let key = Key::try_from(format!("a/{number}")).unwrap();
        let batch = Batch::new().put(key, vec![7; 2_000]);
        storage.commit(batch).await.unwrap();
    }
    storage.close().await.unwrap();
    let modes = modes(&path);
    assert!(modes.iter().filter(|(_, is_folder, _)| !is_folder).count() > 2);
    assert!(modes.iter().filter(|(_, is_folder, _)| *is_folder).count() > 1);
    for (path, is_folder, mode) in modes {
        assert_eq!(mode, if is_folder { 0o700 } else { 0o600 }, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_something_else_is_refused_and_left_alone() {
    let cases: [(&str, &[&str], &str); 7] = [
        (
            "vault.db",
            &["vault.db", "raft/raft.db", "node-id"],
            "Vault",
        ),
        ("raft", &["raft/raft.db"], "Vault"),
        ("node-id", &["node-id"], "Vault"),
        ("core", &["core/_keyring", "core/_master"], "file storage"),
        ("sys", &["sys/policy/_root", "sys/_x"], "file storage"),
        ("logical", &["logical/_a"], "file storage"),
        ("thesis.txt", &["thesis.txt"], "something else"),
    ];
    for (sign, files, explained) in cases {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "theirs").unwrap();
        }
        let before = listing(directory.path());
        let error = RaftStorage::open(small(directory.path()))
            .await
            .unwrap_err();
        let StorageError::Foreign { path, what } = &error else {
            panic!("{sign}: {error:?}")
        };
        assert_eq!(path, &directory.path().join(sign));
        assert!(what.contains(explained), "{error}");
        assert_eq!(listing(directory.path()), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_a_newer_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    RaftStorage::open(small(directory.path()))
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    let format = directory.path().join("FORMAT");
    let text = fs::read_to_string(&format)
        .unwrap()
        .replace("format 1\n", "format 2\n");
    let covered = text.split("crc32").next().unwrap();
    let text = format!(
        "{covered}crc32 {:08x}\n",
        crc32fast::hash(covered.as_bytes())
    );
    fs::write(&format, text).unwrap();
    let error = RaftStorage::open(small(directory.path()))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StorageError::Foreign { path, .. } if *path == format),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "no directory").unwrap();
    for path in [
        directory.path().join("file"),
        directory.path().join("file/below"),
    ] {
        let error = RaftStorage::open(small(&path)).await.unwrap_err();
        assert!(
            error.to_string().contains(&*path.to_string_lossy()),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_of_a_file_system_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("lost+found")).unwrap();
    RaftStorage::open(small(directory.path()))
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_purged_below_a_checkpoint() {
    const COMMITS_MAX: usize = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let storage = RaftStorage::open(small(directory.path())).await.unwrap();
    let first = directory.path().join("log/00000000000000000001.log");
    let mut commits = 0;
    while first.exists() {
        let key = Key::try_from(format!("k/{}", commits % 50)).unwrap();
        storage
            .commit(Batch::new().put(key, vec![b'v'; 1_000]))
            .await
            .unwrap();
        commits += 1;
        assert!(commits < COMMITS_MAX, "nothing was purged");
    }
    storage.close().await.unwrap();
    let storage = RaftStorage::open(small(directory.path())).await.unwrap();
    for slot in 0..commits.min(50) {
        let key = Key::try_from(format!("k/{slot}")).unwrap();
        assert!(storage.get(&key).await.unwrap().is_some());
    }
    storage.close().await.unwrap();
}
