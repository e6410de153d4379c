//! Data keys that go from one key service to another.

use super::*;

/// A scene whose data keys go to a second service, with a key of the same name.
struct Moving {
    scene: Scene,
    _folder: TempDir,
    to: ProviderKms,
}

impl Moving {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("others");
        let provider = EnvKeyProvider::create_file(&file, &id("k"), Arc::new(SystemRng));
        Self {
            scene: Scene::new(5).await,
            _folder: folder,
            to: ProviderKms::new(Arc::new(provider.unwrap())),
        }
    }

    async fn run(&self) -> Result<MoveProgress, MoveError> {
        let service = |inner: &ProviderKms| {
            Arc::new(Service {
                inner: inner.clone(),
                fuse: Arc::clone(&self.scene.fuse),
            })
        };
        let moving = DataKeyMove::new(
            service(&self.scene.kms),
            (service(&self.to), id("k")),
            Arc::clone(&self.scene.store) as _,
        );
        moving.with_batch(2).run(&|_| ()).await
    }

    /// How many each service opens; every one is opened by one of them, to what it was.
    async fn opened(&self) -> (usize, usize) {
        let (mut old, mut new) = (0, 0);
        let rows = self.scene.store.rows.lock().clone();
        for (row, plaintext) in &self.scene.plaintexts {
            let (wrapped, context) = &rows[row];
            let by_new = self.to.decrypt_data_key(wrapped, context).await;
            let by_old = self.scene.kms.decrypt_data_key(wrapped, context).await;
            new += usize::from(by_new.is_ok());
            old += usize::from(by_old.is_ok());
            assert!(by_new.or(by_old).unwrap() == *plaintext, "{row}");
        }
        (old, new)
    }
}

#[tokio::test]
async fn every_data_key_goes_to_the_other_service() {
    let moving = Moving::new().await;
    assert_eq!(moving.opened().await, (5, 0));
    let done = moving.run().await.unwrap();
    assert_eq!((done.moved, done.untouched, done.failed), (5, 0, 0));
    assert_eq!(moving.opened().await, (0, 5));
    let again = moving.run().await.unwrap();
    assert_eq!((again.moved, again.untouched), (0, 5));
}

#[tokio::test]
async fn stopped_anywhere_a_move_goes_on_and_loses_nothing() {
    // Its steps: the key, four pages, and for each data key two looks, two that open it, and its place.
    let steps = 1 + 4 + 5 * 5;
    for stop in 1..=steps + 1 {
        for after in [false, true] {
            let moving = Moving::new().await;
            moving.scene.fuse.set(stop, after);
            let first = moving.run().await;
            moving.scene.fuse.off();
            moving.opened().await;
            assert!(first.is_err() || after || stop > steps, "{stop}");
            assert!(first.is_ok() || stop <= steps, "{stop}");
            let done = moving.run().await.unwrap();
            assert_eq!(done.failed, 0);
            assert_eq!(moving.opened().await, (0, 5));
        }
    }
}

#[tokio::test]
async fn what_neither_opens_stays_and_is_told() {
    let mut moving = Moving::new().await;
    moving.scene.plaintexts.remove("row-003");
    let spoilt = {
        let mut rows = moving.scene.store.rows.lock();
        let row = rows.get_mut("row-003").unwrap();
        row.1 = context("row=another");
        row.0.clone()
    };
    let done = moving.run().await.unwrap();
    assert_eq!((done.moved, done.failed), (4, 1));
    assert_eq!(done.failures, ["row-003"]);
    assert_eq!(moving.scene.store.rows.lock()["row-003"].0, spoilt);
}
