//! The form on disk, and that what is remembered changes nothing of it.

use super::*;
use proptest::prelude::*;
use secretum_crypto::{SecretKey, TestRng};

fn names(seed: u64) -> Names {
    Names::new(NameKey::new(
        &SecretKey::random(&TestRng::new(seed)).unwrap(),
    ))
}

fn key(text: &str) -> Key {
    Key::try_from(text).unwrap()
}

/// Every component sealed by itself, nothing remembered.
fn plainly(names: &Names, key: &Key) -> Key {
    let bytes = key.as_bytes();
    let clear = clear_bytes(bytes);
    let (mut sealed, mut start) = (bytes[..clear].to_vec(), clear);
    for component in bytes[clear..].split_inclusive(|byte| *byte == b'/') {
        let (name, slash) = split_slash(component);
        let name = names.key.seal(&[&bytes[..start]], name).unwrap();
        sealed.extend_from_slice(URL_SAFE_NO_PAD.encode(name).as_bytes());
        sealed.extend_from_slice(slash);
        start += component.len();
    }
    Key::new(sealed).unwrap()
}

/// The expected forms are from the AES-SIV of OpenSSL, for the key of the bytes 0 to 63.
#[test]
fn the_form_on_disk_stays() {
    let bytes: Vec<u8> = (0..64).collect();
    let names = Names::new(NameKey::new(&SecretKey::from_slice(&bytes).unwrap()));
    for (text, sealed) in [
        (
            "mount/0a1b2c3d/meta/team/db",
            "mount/0a1b2c3d/jCfzDK8u5ujpQJCf2WqZdHpNspQ/FxIu0hzHgUlgx-AlWv_SAsVv_tA/\
             BEK735F5ND7Mcvwx9AzdHe7F",
        ),
        (
            "mount/0a1b2c3d/meta/team/",
            "mount/0a1b2c3d/jCfzDK8u5ujpQJCf2WqZdHpNspQ/FxIu0hzHgUlgx-AlWv_SAsVv_tA/",
        ),
        (
            "sys/lease/0a1b2c3d/creds/read-only/h7Kq",
            "sys/lease/0a1b2c3d/4i2ukTn5GID6jNMRFXK0OUmPg_PV/\
             92AUHK6dMNdecyWSudGdM7hNo4_k7lY28g/4YgmBIIPcmvqOfzQqMqyE9n52uE",
        ),
        (
            "mount/0a1b2c3d/meta/a name that is longer than a block of the cipher/ü",
            "mount/0a1b2c3d/jCfzDK8u5ujpQJCf2WqZdHpNspQ/\
             AbM_2KTxFYZ9VjGUjVR3JBAIpQX0oDUQCEmwbdc-g_UZEoKXpsnwg7eTC_SWvOpXy1J59qNpkzUtdt-ky4Shrw/\
             4m9b7nc6TAtG5nMzYdSjzX4t",
        ),
    ] {
        assert_eq!(names.seal(&key(text)).unwrap(), key(sealed));
        assert_eq!(names.open(&key(sealed)).unwrap(), key(text));
    }
}

/// Few names, so that keys share folders; empty ones and ones of the clear part among them.
fn any_key() -> impl Strategy<Value = String> {
    let top = prop::sample::select(vec!["mount/1", "mount/2", "sys/lease/1", "sys/x", "mount"]);
    let component = prop::sample::select(vec!["a", "b", "", "mount", "a longer name than a block"]);
    let components = prop::collection::vec(component, 0..6);
    (top, components).prop_map(|(top, components)| [&[top], &*components].concat().join("/"))
}

proptest! {
    #[test]
    fn what_is_remembered_changes_nothing(
        texts in prop::collection::vec(any_key(), 1..40),
        folders_max in prop::sample::select(vec![1, 64, FOLDERS_MAX]),
    ) {
        let names = Names { folders: Folders::new(folders_max), ..names(1) };
        for text in texts {
            let key = key(&text);
            let sealed = plainly(&names, &key);
            prop_assert_eq!(&names.seal(&key).unwrap(), &sealed);
            prop_assert_eq!(&names.seal(&key).unwrap(), &sealed);
            prop_assert_eq!(&names.open(&sealed).unwrap(), &key);
        }
    }

    #[test]
    fn a_key_opens_the_same_from_every_folder(texts in prop::collection::vec(any_key(), 2)) {
        let names = names(1);
        let sealed = names.seal(&key(&texts[0])).unwrap();
        for text in &texts {
            for end in 0..=text.len() {
                let prefix = key(&text[..end]);
                let sealed_prefix = names.seal(&prefix).unwrap();
                let folder = Folder::of(&prefix, &sealed_prefix);
                prop_assert_eq!(names.open_in(folder, &sealed).unwrap(), key(&texts[0]));
            }
        }
    }
}

#[test]
fn a_known_folder_is_not_sealed_again() {
    let names = names(1);
    let sealed = names.seal(&key("mount/1/a/b/x")).unwrap();
    for folder in ["mount/1/a/", "mount/1/a/b/"] {
        let known = names.folders.sealed(folder.as_bytes()).unwrap();
        assert!(sealed.as_bytes().starts_with(&known));
    }
    let marked = Arc::from(b"mount/1/marked/".as_slice());
    names.folders.remember(b"mount/1/a/b/", &marked);
    for text in ["mount/1/a/b/x", "mount/1/a/b/", "mount/1/a/b/new/x"] {
        let sealed = names.seal(&key(text)).unwrap();
        assert!(sealed.as_bytes().starts_with(&marked), "{sealed}");
    }
}

#[test]
fn the_folder_of_a_listing_is_not_opened() {
    let names = names(1);
    let sealed = names.seal(&key("mount/1/a/x")).unwrap().to_string();
    let (_, name) = sealed.rsplit_once('/').unwrap();
    let row = key(&format!("mount/1/no cipher text/{name}"));
    assert!(names.open(&row).is_err());
    let (prefix, marked) = (key("mount/1/a/"), key("mount/1/no cipher text/"));
    let opened = names.open_in(Folder::of(&prefix, &marked), &row).unwrap();
    assert_eq!(opened, key("mount/1/a/x"));
}

#[test]
fn a_key_that_gets_too_long_is_refused_and_not_remembered() {
    let names = names(1);
    // Behind `mount/1/a/`, in its sealed form 32 bytes, 1,968 characters of base64 hold 1,460 bytes.
    let longest = key(&format!("mount/1/a/{}", "n".repeat(1_460)));
    assert_eq!(names.seal(&longest).unwrap().as_bytes().len(), 2_000);
    let folder = format!("mount/1/b/{}/", "n".repeat(1_460));
    for text in [&folder[..], &format!("{folder}x")] {
        let length = match names.seal(&key(text)) {
            Err(StorageError::KeyTooLong { bytes }) => bytes,
            other => panic!("{other:?}"),
        };
        assert_eq!(length, if text == folder { 2_001 } else { 2_024 });
    }
    assert_eq!(names.folders.sealed(b"mount/1/b/"), None);
    assert_eq!(names.folders.sealed(folder.as_bytes()), None);
    let one_more = key(&format!("mount/1/a/{}", "n".repeat(1_461)));
    assert!(matches!(
        names.seal(&one_more),
        Err(StorageError::KeyTooLong { .. })
    ));
}

#[test]
fn names_inside_mounts_and_leases_are_sealed_and_come_back() {
    for text in [
        "mount/1-2/meta/team/db",
        "mount/1-2/meta/",
        "sys/lease/1-2/creds/ro/x",
    ] {
        let sealed = names(1).seal(&key(text)).unwrap();
        let shown = sealed.to_string();
        assert!(shown.starts_with("mount/1-2/") || shown.starts_with("sys/lease/1-2/"));
        for word in ["meta", "team", "creds"] {
            assert!(!shown.contains(word), "{shown}");
        }
        assert_eq!(shown.matches('/').count(), text.matches('/').count());
        assert_eq!(names(1).open(&sealed).unwrap(), key(text));
        assert!(names(2).open(&sealed).is_err());
    }
}

#[test]
fn other_keys_stand_as_they_are() {
    for text in [
        "core/keyring",
        "sys/mount/1",
        "mount/1-2/",
        "sys/lease/1-2/",
        "",
    ] {
        assert_eq!(names(1).seal(&key(text)).unwrap(), key(text));
    }
}

#[test]
fn one_name_below_two_parents_looks_different() {
    let names = names(1);
    let sealed: Vec<String> = ["mount/1/a/x", "mount/1/b/x", "mount/2/a/x"]
        .map(|text| names.seal(&key(text)).unwrap().to_string())
        .to_vec();
    let ends: std::collections::HashSet<_> = sealed
        .iter()
        .map(|text| text.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(ends.len(), 3);
}

#[test]
fn a_moved_name_does_not_open() {
    let names = names(1);
    let one = names.seal(&key("mount/1/a/x")).unwrap().to_string();
    let other = names.seal(&key("mount/1/b/y")).unwrap().to_string();
    let (parent, _) = other.rsplit_once('/').unwrap();
    let moved = key(&format!("{parent}/{}", one.rsplit('/').next().unwrap()));
    assert!(names.open(&moved).is_err());
    let (prefix, sealed) = (key("mount/1/b/"), key(&format!("{parent}/")));
    assert!(names.open_in(Folder::of(&prefix, &sealed), &moved).is_err());
}
