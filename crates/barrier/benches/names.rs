//! What the sealing of names costs: reads of keys that are not there, so that nothing else is done.
//!
//! `cargo bench -p secretum-barrier`. Every line is the least of several rounds, in nanoseconds.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it prints what it measured"
)]

use secretum_barrier::{Barrier, BarrierError, SealConfig};
use secretum_crypto::{SystemClock, SystemRng};
use secretum_storage::memory::MemoryStorage;
use secretum_storage::{Batch, Key, PageOf, Storage};
use std::sync::Arc;
use std::time::Instant;

/// Rounds of which the fastest counts.
const ROUNDS: usize = 7;

/// Reads of a round. More folders than the barrier remembers.
const READS: usize = 20_000;

/// Rows of the folder that is listed.
const ROWS: usize = 1_000;

const FOLDER: &str = "mount/0a1b2c3d/meta/team/project/";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let barrier = unsealed().await;
    let clear = keys(|_| "sys/policy/root/acl/db".to_owned());
    let hot = keys(|_| format!("{FOLDER}db"));
    let warm = keys(|number| format!("mount/0a1b2c3d/meta/team/{number:08x}/db"));
    let cold = keys(|number| format!("mount/{number:08x}/meta/team/project/db"));
    let clear = reads(&barrier, &clear).await;
    let hot = reads(&barrier, &hot).await - clear;
    let warm = reads(&barrier, &warm).await - clear;
    let cold = reads(&barrier, &cold).await - clear;
    let row = listing(&barrier).await;
    println!("read of a key that stands in the clear   {clear:6.0}");
    println!("four names, their folder known (hot)     {hot:6.0}");
    println!("four names, one folder not known (warm)  {warm:6.0}");
    println!("four names, nothing known (cold)         {cold:6.0}");
    println!(
        "cold to hot                              {:6.1}",
        cold / hot
    );
    println!("row of a listing                         {row:6.0}");
}

async fn unsealed() -> Barrier {
    let barrier = Barrier::new(
        MemoryStorage::new(),
        Arc::new(SystemClock),
        Arc::new(SystemRng),
    );
    let seal = SealConfig::shamir(1, 1).unwrap();
    let made = barrier.initialize(seal, |_| Ok::<_, BarrierError>(Batch::new()));
    for share in made.await.unwrap().shares {
        barrier.unseal(share).await.unwrap();
    }
    barrier
}

fn keys(text: impl Fn(usize) -> String) -> Vec<Key> {
    (0..READS)
        .map(|number| Key::try_from(text(number)).unwrap())
        .collect()
}

/// Nanoseconds of a read.
async fn reads(barrier: &Barrier, keys: &[Key]) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for key in keys {
            assert!(barrier.get(key).await.unwrap().is_none());
        }
        least = least.min(start.elapsed().as_secs_f64());
    }
    least * 1e9 / keys.len() as f64
}

/// Nanoseconds of a row of a listing.
async fn listing(barrier: &Barrier) -> f64 {
    let mut batch = Batch::new();
    for number in 0..ROWS {
        batch = batch.put(
            Key::try_from(format!("{FOLDER}secret-{number}")).unwrap(),
            "",
        );
    }
    barrier.commit(batch).await.unwrap();
    let folder = Key::try_from(FOLDER).unwrap();
    let mut least = f64::INFINITY;
    for _ in 0..10 * ROUNDS {
        let start = Instant::now();
        let page = barrier
            .page(&folder, None, ROWS, PageOf::Children)
            .await
            .unwrap();
        least = least.min(start.elapsed().as_secs_f64());
        assert_eq!(page.rows.len(), ROWS);
    }
    least * 1e9 / ROWS as f64
}
