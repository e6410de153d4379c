//! Power cuts: what was acknowledged is there, whatever of the rest is.

use super::load::{blank, config, open, verify, write};
use super::simulation::{Dice, SimulatedDisk, World};
use secretum_storage::Storage;
use std::sync::Arc;

const SEEDS: u64 = 6;
const WRITERS: u64 = 4;
const STEPS: u64 = 60;
/// Power cuts in each load.
const CUTS: u64 = 24;
/// What may be left of one disk.
const IMAGES: u64 = 3;

/// Works on a disk with some writers, and gives the disks of the power cuts meanwhile.
async fn load(disk: &SimulatedDisk, dice: &mut Dice) -> Vec<World> {
    let from = disk.world().steps;
    let round = disk.world().notes.values().max().map_or(0, |step| step + 1);
    let about = WRITERS * STEPS * 2;
    disk.cut_at((0..CUTS).map(|_| from + dice.roll(about)).collect());
    let storage = open(disk, config()).await.unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let (storage, disk) = (Arc::clone(&storage), disk.clone());
        tokio::spawn(async move { write(&storage, &disk, writer, round..round + STEPS).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    storage.close().await.unwrap();
    disk.taken()
}

/// Opens what a power cut left, loses power once more while that goes on, and verifies both.
async fn recover(image: &SimulatedDisk, dice: &mut Dice) {
    let notes = image.notes();
    image.cut_at(
        (0..2)
            .map(|_| image.world().steps + dice.roll(40))
            .collect(),
    );
    let storage = open(image, config()).await.unwrap();
    verify(&storage, &notes).await;
    storage.close().await.unwrap();
    for again in image.taken() {
        let image = again.after_power_cut(dice);
        let storage = open(&image, config()).await.unwrap();
        verify(&storage, &notes).await;
        storage.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_power_goes() {
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let mut disk = blank();
        // The second load works on what a power cut of the first one left.
        for _ in 0..2 {
            let mut next = disk.clone();
            for taken in load(&disk, &mut dice).await {
                for _ in 0..IMAGES {
                    let image = taken.after_power_cut(&mut dice);
                    eprintln!("seed {seed}, power cut at step {}", taken.steps);
                    recover(&image, &mut dice).await;
                    next = image;
                }
            }
            disk = next;
        }
    }
}

/// A node that was killed leaves everything it wrote, synced or not; then the power goes while it
/// is opened again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_power_goes_after_a_kill() {
    for seed in 100..100 + SEEDS {
        let mut dice = Dice::new(seed);
        for killed in load(&blank(), &mut dice).await {
            let killed = SimulatedDisk::of(killed);
            let notes = killed.notes();
            let from = killed.world().steps;
            killed.cut_at((0..4).map(|_| from + dice.roll(30)).collect());
            let again = open(&killed, config()).await.unwrap();
            verify(&again, &notes).await;
            again.close().await.unwrap();
            for taken in killed.taken() {
                eprintln!("seed {seed}, power cut at step {}", taken.steps);
                recover(&taken.after_power_cut(&mut dice), &mut dice).await;
            }
        }
    }
}

/// A node that is killed while it makes its directory, and the power goes while the next one goes
/// on with that.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_half_made_is_finished() {
    let mut deep = config();
    deep.path = "/a/b/c".into();
    let mut dice = Dice::new(11);
    let first = blank();
    let from = first.world().steps;
    first.cut_at((from + 1..from + 60).collect());
    open(&first, deep.clone())
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    for killed in first.taken() {
        let killed = SimulatedDisk::of(killed);
        let from = killed.world().steps;
        killed.cut_at((from + 1..from + 60).step_by(2).collect());
        let again = open(&killed, deep.clone()).await.unwrap();
        write(&again, &killed, 0, 0..3).await.unwrap();
        again.close().await.unwrap();
        for taken in killed.taken() {
            let image = taken.after_power_cut(&mut dice);
            let storage = open(&image, deep.clone()).await.unwrap();
            verify(&storage, &image.notes()).await;
            storage.close().await.unwrap();
        }
    }
}

/// Every directory above the data is as durable as the data.
#[tokio::test(flavor = "multi_thread")]
async fn a_deep_data_directory_is_not_lost_when_the_power_goes() {
    let mut dice = Dice::new(9);
    let disk = blank();
    let mut deep = config();
    deep.path = "/a/b/c".into();
    let storage = open(&disk, deep.clone()).await.unwrap();
    write(&storage, &disk, 0, 0..10).await.unwrap();
    let world = disk.world().clone();
    storage.close().await.unwrap();
    for _ in 0..10 {
        let image = world.after_power_cut(&mut dice);
        let storage = open(&image, deep.clone()).await.unwrap();
        verify(&storage, &image.notes()).await;
        storage.close().await.unwrap();
    }
}
