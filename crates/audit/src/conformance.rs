//! The suite that every kind of device passes.
//!
//! A kind brings a [`Harness`], which makes devices on a place and sees what arrives there, and a test
//! that awaits [`run`]. The suite knows of no kind: what is a file to one is a socket to another.

mod file;
mod peers;
mod stdout;

use crate::verify::Verifier;
use crate::{AuditError, Device};
use secretum_crypto::Sha256;
use std::time::{Duration, Instant};

/// How long a condition may take to come true.
const DEADLINE: Duration = Duration::from_secs(20);

/// How many records a case sends at once.
const RECORDS: usize = 300;

/// Makes devices of a kind on a place of its own, and sees what arrives there.
pub(crate) trait Harness {
    /// A device on the place. What earlier ones wrote stays there.
    async fn open(&self) -> Device;

    /// Whether a later device goes on with the chain of an earlier one.
    const RESUMES: bool;

    /// Every line that arrived, in order; those that were moved away first.
    fn lines(&self) -> Vec<String>;

    /// Has the place take nothing more, or take everything again.
    fn set_full(&self, full: bool);

    /// Moves away what arrived, so that a device that is opened anew writes elsewhere.
    fn move_away(&self);

    /// A device on another place, which takes nothing and does not answer until told to.
    async fn hanging(&self) -> (Device, impl FnOnce());
}

/// Runs every case, each on a place of its own.
pub(crate) async fn run<H: Harness>(make: impl Fn() -> H) {
    run_without_acknowledgement(&make).await;
    a_full_place_refuses_and_goes_on_when_there_is_room(make()).await;
    a_device_that_hangs_refuses_in_bounded_time(make()).await;
}

/// Runs the cases that hold where nobody tells what became of a record.
pub(crate) async fn run_without_acknowledgement<H: Harness>(make: &impl Fn() -> H) {
    lines_arrive_in_order_in_one_chain(make()).await;
    what_was_accepted_is_written_before_a_close_ends(make()).await;
    nothing_is_accepted_after_a_close(make()).await;
    a_device_after_another_goes_on_where_that_ended(make()).await;
    a_device_opened_anew_goes_on_with_its_chain(make()).await;
}

async fn lines_arrive_in_order_in_one_chain(place: impl Harness) {
    let device = place.open().await;
    for number in 0..RECORDS {
        device.send(&line(number)).unwrap().await.unwrap();
        // Who was told that it is taken finds it there.
        arrived(&place, number + 1).await;
    }
    let at_once: Vec<_> = (RECORDS..2 * RECORDS)
        .map(|number| device.send(&line(number)).unwrap())
        .collect();
    for sent in at_once {
        sent.await.unwrap();
    }
    check(&place, 0..2 * RECORDS).await;
}

async fn what_was_accepted_is_written_before_a_close_ends(place: impl Harness) {
    let device = place.open().await;
    let sent: Vec<_> = (0..RECORDS)
        .map(|number| device.send(&line(number)).unwrap())
        .collect();
    device.close();
    assert!(device.ended().await);
    check(&place, 0..RECORDS).await;
    for sent in sent {
        sent.await.unwrap();
    }
}

async fn nothing_is_accepted_after_a_close(place: impl Harness) {
    let device = place.open().await;
    device.send(&line(0)).unwrap().await.unwrap();
    device.close();
    let late = device.send(&line(1));
    assert!(matches!(late, Err(AuditError::Busy { .. })), "{late:?}");
    assert!(device.reopen().await.is_err());
    assert!(device.ended().await);
    check(&place, 0..1).await;
}

async fn a_device_after_another_goes_on_where_that_ended<H: Harness>(place: H) {
    for round in 0..3 {
        let device = place.open().await;
        for number in 2 * round..2 * (round + 1) {
            drop(device.send(&line(number)).unwrap());
        }
        if !H::RESUMES {
            // Nothing orders what two devices send to one peer.
            arrived(&place, 2 * (round + 1)).await;
            device.close();
            assert!(device.ended().await);
        }
        // Where it resumes it is not waited for: the next one does.
    }
    let last = place.open().await;
    last.send(&line(6)).unwrap().await.unwrap();
    check(&place, 0..7).await;
}

async fn a_full_place_refuses_and_goes_on_when_there_is_room(place: impl Harness) {
    let device = place.open().await;
    device.send(&line(0)).unwrap().await.unwrap();
    place.set_full(true);
    for _ in 0..3 {
        let refused = device.send(&line(1)).unwrap().await;
        assert!(refused.is_err(), "{refused:?}");
    }
    assert_eq!(device.failures(), 3);
    place.set_full(false);
    device.send(&line(1)).unwrap().await.unwrap();
    check(&place, 0..2).await;
}

async fn a_device_opened_anew_goes_on_with_its_chain(place: impl Harness) {
    let device = place.open().await;
    let mut number = 0;
    for moves in [false, true, true] {
        if moves {
            place.move_away();
        }
        // Those that come before it is opened anew may be in either place, and are in one.
        let sent: Vec<_> = (number..number + 10)
            .map(|number| device.send(&line(number)).unwrap())
            .collect();
        device.reopen().await.unwrap();
        for sent in sent {
            sent.await.unwrap();
        }
        number += 10;
        device.send(&line(number)).unwrap().await.unwrap();
        number += 1;
    }
    check(&place, 0..number).await;
}

async fn a_device_that_hangs_refuses_in_bounded_time(place: impl Harness) {
    let (device, answer) = place.hanging().await;
    // The clock jumps to the end of the patience.
    tokio::time::pause();
    let first = device.send(&line(0)).unwrap().await;
    assert!(
        matches!(first, Err(AuditError::TimedOut { .. })),
        "{first:?}"
    );
    let next = device.send(&line(1)).err();
    assert!(
        matches!(next, Some(AuditError::TimedOut { .. })),
        "{next:?}"
    );
    assert_eq!(device.failures(), 2);
    device.close();
    assert!(!device.ended().await, "what hangs has not ended");
    tokio::time::resume();
    answer();
    let start = Instant::now();
    while !device.ended().await {
        assert!(start.elapsed() < DEADLINE, "it does not answer again");
    }
}

fn is_head(line: &str) -> bool {
    line.contains("\"type\":\"head\"")
}

/// A record, up to where its sequence is added.
fn line(number: usize) -> Vec<u8> {
    format!("{{\"timestamp\":\"t\",\"number\":{number}").into_bytes()
}

/// What arrived, once that is so many lines.
async fn arrived(place: &impl Harness, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let lines = place.lines();
        let records = lines.iter().filter(|line| !is_head(line)).count();
        if records >= count {
            return lines;
        }
        assert!(start.elapsed() < DEADLINE, "{records} of {count} records");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Checks that those records arrived and no others, in one chain from its beginning; in one for each
/// device, where a later one knows nothing of those before.
async fn check<H: Harness>(place: &H, numbers: std::ops::Range<usize>) {
    let lines = arrived(place, numbers.len()).await;
    let (mut head, mut sequence) = ([0; 32], 0);
    let mut seen = Vec::new();
    for line in &lines {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let (hashed, _) = line.split_once(",\"chain\"").unwrap();
        if !H::RESUMES && record["sequence"] == 0 {
            (head, sequence) = ([0; 32], 0);
        }
        let mut hash = Sha256::new();
        hash.update(&head);
        hash.update(hashed.as_bytes());
        head = hash.finish();
        assert_eq!(record["chain"], hex::encode(head), "{line}");
        assert_eq!(record["sequence"], sequence, "{line}");
        sequence += 1;
        if !is_head(line) {
            seen.push(usize::try_from(record["number"].as_u64().unwrap()).unwrap());
        }
    }
    let mut verifier = Verifier::new(Vec::new()).with_restarts();
    let text = lines.join("\n") + "\n";
    verifier.read("log", text.as_bytes(), |_| ()).unwrap();
    let report = verifier.finish();
    assert_eq!(report.told, []);
    assert!(report.heads > 0 && report.first_sequence == Some(0));
    assert_eq!(seen, numbers.collect::<Vec<_>>());
}
