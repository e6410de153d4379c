//! Services that make a key, or rotate it, at the same time.

use super::*;
use futures::future::join_all;
use std::collections::HashSet;

const SERVICES: usize = 8;

/// Each makes the key or a version, and encrypts at once with what it then has.
pub(super) async fn race(server: &Server, key: &'static str) {
    let service = || {
        server.with(token(&server.root), |keys| {
            keys.engine = RustyVaultEngine::Kv;
            keys.create_key = true;
            keys.default_key = id(key);
        })
    };
    let created = join_all((0..SERVICES).map(|_| async {
        let kms = ProviderKms::new(Arc::new(service()));
        encrypt(&kms, key).await
    }));
    let mut made = created.await;
    let rotated = join_all((0..SERVICES).map(|_| async {
        let provider = service();
        provider.rotate(&id(key)).await.unwrap();
        let kms = ProviderKms::new(Arc::new(provider));
        encrypt(&kms, key).await
    }));
    made.extend(rotated.await);
    // Every one opens, for each of them and for one that comes later.
    let later = ProviderKms::new(Arc::new(service()));
    for ciphertext in &made {
        opens(&later, ciphertext).await;
    }
    // All agree on the newest once they list again, and it is one of a rotation.
    let mut newest = HashSet::new();
    for _ in 0..3 {
        let info = service().describe(&id(key)).await.unwrap();
        newest.insert(info.version);
    }
    assert_eq!(newest.len(), 1);
    let newest = newest.into_iter().next().unwrap();
    assert!(!newest.as_str().starts_with("1-"), "{newest}");
    let used: HashSet<_> = made.iter().map(|made| made.key_version().clone()).collect();
    assert!(used.contains(&newest), "{newest} is none of {used:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_lost_however_many_make_or_rotate_it() {
    let Some(server) = bao::start().await else {
        return;
    };
    for key in ["one", "two", "three"] {
        race(&server, key).await;
    }
}
