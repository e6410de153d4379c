//! Every way to falsify a log, and that each is found.

use super::*;
use crate::head::{Signer, signing_key};
use crate::queue::{Batches as _, Lines};
use crate::sink::{Opened, Sink, Unwritten};
use crate::writer::Writer;
use parking_lot::Mutex;
use proptest::prelude::*;
use secretum_crypto::TestClock;
use std::sync::Arc;

const KEY: &[u8] = b"the key of the device";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Sink for Log {
    fn write(&mut self, lines: &Lines) -> Result<(), Unwritten> {
        self.0.lock().extend_from_slice(lines.text());
        Ok(())
    }
}

fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::new(Timestamp::from_unix_seconds(1_800_000_000)))
}

fn signer(clock: &Arc<TestClock>) -> Signer {
    Signer::new(signing_key(KEY).unwrap(), Arc::clone(clock) as _)
}

fn record(clock: &TestClock, number: usize) -> Vec<u8> {
    let time = secretum_crypto::Clock::now(clock).to_rfc3339();
    format!(r#"{{"timestamp":"{time}","type":"request","number":{number}"#).into_bytes()
}

/// A log of a device that wrote batches of records, a head behind some, and ended.
fn log(batches: &[usize]) -> Vec<String> {
    log_at(0, batches)
}

/// The same, so many seconds later.
fn log_at(seconds: u64, batches: &[usize]) -> Vec<String> {
    let (log, clock) = (Log::default(), clock());
    clock.advance(Duration::from_secs(seconds));
    let mut writer = Writer::new(Opened::elsewhere(log.clone()), "", signer(&clock));
    let mut number = 0;
    for (at, batch) in batches.iter().enumerate() {
        let mut lines = Lines::default();
        for _ in 0..*batch {
            lines.push(&record(&clock, number));
            number += 1;
        }
        writer.write(&lines).unwrap();
        if at % 2 == 1 {
            writer.tick();
        }
    }
    writer.close();
    let text = String::from_utf8(log.0.lock().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn verify(lines: &[String]) -> Report {
    verify_with(vec![signing_key(KEY).unwrap().public_key().to_vec()], lines)
}

fn verify_with(keys: Vec<Vec<u8>>, lines: &[String]) -> Report {
    let mut verifier = Verifier::new(keys);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    verifier.read("log", text.as_bytes(), |_| ()).unwrap();
    verifier.finish()
}

/// What somebody does who can compute the chain anew.
fn rechained(lines: &[String]) -> Vec<String> {
    let mut before = [0; 32];
    (lines.iter())
        .map(|text| {
            let line = Line::of(format!("{text}\n").as_bytes(), 0)
                .unwrap()
                .chain_behind(&before);
            before = line;
            let (body, _) = text.rsplit_once(",\"chain\"").unwrap();
            format!("{body},\"chain\":\"{}\"}}", hex::encode(before))
        })
        .collect()
}

#[test]
fn a_whole_log_is_whole() {
    let report = verify(&log(&[3, 1, 4, 1]));
    assert_eq!(report.told, []);
    assert_eq!((report.records, report.heads, report.uncovered), (9, 4, 0));
    assert!(report.is_closed);
    assert_eq!(
        (report.first_sequence, report.last_sequence),
        (Some(0), Some(12))
    );
}

#[test]
fn a_head_follows_a_thousand_records() {
    let report = verify(&log(&[600, 399, 1, 2_500, 1]));
    assert_eq!(report.told, []);
    // It opens; two were asked for; one was due; it closes.
    assert_eq!(report.heads, 5);
}

#[test]
fn another_key_signed_nothing() {
    let lines = log(&[3]);
    let other = signing_key(b"other").unwrap().public_key().to_vec();
    let report = verify_with(vec![other.clone()], &lines);
    assert_eq!(report.findings, report.heads);
    assert_eq!(verify_with(Vec::new(), &lines).findings, 0);
    // One that two devices wrote after each other has heads of both.
    let own = signing_key(KEY).unwrap().public_key().to_vec();
    assert_eq!(verify_with(vec![other, own], &lines).findings, 0);
}

#[test]
fn every_alteration_is_found_where_it_is() {
    let lines = log(&[2, 3, 2]);
    for (at, line) in lines.iter().enumerate() {
        for place in 0..line.len() {
            let mut altered = line.clone().into_bytes();
            altered[place] ^= 1;
            let Ok(altered) = String::from_utf8(altered) else {
                continue;
            };
            let mut log = lines.clone();
            log[at] = altered;
            let report = verify(&log);
            assert!(report.findings > 0, "line {at}, byte {place}");
            // A line feed in the middle makes one line more.
            let near = usize::try_from(report.told[0].line).unwrap();
            assert!(
                (at + 1..=at + 2).contains(&near),
                "line {at}, byte {place}: {report:?}"
            );
        }
    }
}

#[test]
fn a_chain_that_was_made_anew_is_found_by_the_next_head() {
    let lines = log(&[2, 3, 2]);
    for at in 0..lines.len() {
        if lines[at].contains("\"head\"") {
            continue;
        }
        let mut altered = lines.clone();
        altered[at] = altered[at].replace("request", "nothing");
        let report = verify(&rechained(&altered));
        assert!(report.findings > 0, "line {at}");
        let mut removed = lines.clone();
        removed.remove(at);
        assert!(verify(&rechained(&removed)).findings > 0, "line {at}");
    }
}

#[test]
fn what_was_cut_off_behind_the_last_head_is_counted() {
    let lines = log(&[2, 3, 2]);
    let report = verify(&lines[..lines.len() - 1]);
    assert_eq!(
        (report.findings, report.uncovered, report.is_closed),
        (0, 2, false)
    );
    let without_beginning = verify(&lines[1..]);
    assert_eq!(
        without_beginning.told[0].what,
        What::NoBeginning { sequence: 1 }
    );
}

#[test]
fn heads_that_were_taken_out_are_missed() {
    let clock = clock();
    let mut lines: Vec<String> = Vec::new();
    let text = |sequence: usize, clock: &TestClock| {
        let record = String::from_utf8(record(clock, sequence)).unwrap();
        format!(
            "{record},\"sequence\":{sequence},\"chain\":\"{}\"}}",
            "0".repeat(64)
        )
    };
    let opened = log(&[1])[0].clone();
    lines.push(opened.clone());
    lines.extend((1..=6_000).map(|sequence| text(sequence, &clock)));
    let report = verify(&rechained(&lines));
    let [finding] = &report.told[..] else {
        panic!("{report:?}");
    };
    assert!(
        matches!(finding.what, What::TooManyUncovered { .. }),
        "{finding:?}"
    );
    let first = text(1, &clock);
    clock.advance(Duration::from_secs(61));
    let report = verify(&rechained(&[opened, first, text(2, &clock)]));
    let what = &report.told[0].what;
    assert_eq!(
        *what,
        What::TooLongUncovered {
            sequence: 2,
            seconds: 61
        }
    );
}

#[test]
fn a_device_that_knows_nothing_of_the_one_before_begins_anew() {
    let restarts = |lines: &[String]| {
        let mut verifier = Verifier::new(Vec::new()).with_restarts();
        let text = lines.join("\n") + "\n";
        verifier.read("log", text.as_bytes(), |_| ()).unwrap();
        verifier.finish()
    };
    let mut lines = log(&[2]);
    lines.extend(log_at(100, &[3]));
    let report = restarts(&lines);
    assert_eq!(report.told, []);
    assert_eq!((report.records, report.not_closed), (5, 0));
    assert_eq!(verify(&lines).told[0].what, What::BeginsAgain);
    let mut twice = lines.clone();
    twice.extend(log(&[2]));
    assert_eq!(restarts(&twice).told[0].what, What::Repeated);
    // Without the head that closed the first.
    lines.remove(3);
    assert_eq!(restarts(&lines).not_closed, 1);
}

#[test]
fn a_line_of_somebody_else_is_found() {
    for (at, line, findings, torn) in [
        (1, "{\"timestamp\":\"half of a li", 1, 0),
        (0, "{\"timestamp\":\"half of a li", 0, 1),
        (0, "{\"timestamp\":\"whole\"}", 1, 0),
        (0, "hello", 1, 0),
    ] {
        let mut lines = log(&[3]);
        lines.insert(at, line.to_owned());
        let report = verify(&lines);
        // What stands before a head that opens may be what a crash left.
        assert_eq!((report.findings, report.torn), (findings, torn));
    }
    let mut lines = log(&[3]);
    lines.push("the end".to_owned());
    assert_eq!(verify(&lines).told[0].what, What::Foreign);
}

/// What a daemon makes of a log: something before each line, and others' lines between them.
fn relayed(lines: &[String], prefix: &str) -> Vec<String> {
    let mut kept = vec!["Nov  1 12:00:00 host kernel: up".to_owned()];
    for (at, line) in lines.iter().enumerate() {
        // Neither has one length.
        kept.push(format!(
            "Nov  1 12:00:{at} host vault[{at}0]: {prefix}{line}"
        ));
        kept.push("Nov  1 12:00:09 host cron[7]: {\"job\":1}".to_owned());
    }
    kept
}

fn verify_relayed(lines: &[String], prefix: &str) -> Report {
    let key = signing_key(KEY).unwrap().public_key().to_vec();
    let prefix = prefix.to_owned();
    let mut verifier = Verifier::new(vec![key]).with_layout(Layout::Relayed { prefix });
    let text = lines.join("\n") + "\n";
    verifier.read("log", text.as_bytes(), |_| ()).unwrap();
    verifier.finish()
}

#[test]
fn a_log_that_others_kept_is_verified() {
    let lines = log(&[3, 1, 4, 1]);
    let kept = relayed(&lines, "");
    let report = verify_relayed(&kept, "");
    assert_eq!(report.told, []);
    assert_eq!((report.records, report.others), (9, 1 + lines.len() as u64));
    assert!(verify(&kept).findings > 0);
    let first = first(
        (kept.join("\n") + "\n").as_bytes(),
        &Layout::Relayed {
            prefix: String::new(),
        },
    );
    assert_eq!(first.unwrap().unwrap().sequence, 0);
    for at in [1, 7, kept.len() - 4] {
        let mut altered = kept.clone();
        altered[at] = altered[at]
            .replace("number", "Number")
            .replace("head", "Head");
        assert!(verify_relayed(&altered, "").findings > 0, "{at}");
        altered.remove(at);
        assert!(verify_relayed(&altered, "").findings > 0, "{at}");
    }
}

#[test]
fn the_prefix_of_a_device_is_part_of_what_others_kept() {
    let clock = clock();
    let sink = Log::default();
    let mut writer = Writer::new(Opened::elsewhere(sink.clone()), "@cee: ", signer(&clock));
    let mut lines = Lines::default();
    lines.push(&record(&clock, 0));
    writer.write(&lines).unwrap();
    writer.close();
    let text = String::from_utf8(sink.0.lock().clone()).unwrap();
    let kept: Vec<String> = text.lines().map(str::to_owned).collect();
    let kept = relayed(&kept, "");
    assert_eq!(verify_relayed(&kept, "@cee: ").told, []);
    assert_eq!(verify_relayed(&kept, "@cee: ").heads, 2);
    assert!(verify_relayed(&kept, "").findings > 0);
    assert_eq!(verify_relayed(&kept, "@other: ").records, 0);
}

#[test]
fn a_head_that_was_kept_tells_that_the_end_was_cut_off() {
    let key = signing_key(KEY).unwrap().public_key().to_vec();
    let verify_to = |lines: &[String], head: &HeadMark| {
        let mut verifier = Verifier::new(vec![key.clone()]).with_head(head.clone());
        let text = lines.join("\n") + "\n";
        verifier.read("log", text.as_bytes(), |_| ()).unwrap();
        verifier.finish()
    };
    let lines = log(&[3, 1, 4, 1]);
    let head = verify(&lines).last_head.unwrap();
    assert_eq!(head.sequence, 12);
    assert_eq!(verify_to(&lines, &head).told, []);
    // Up to the head before: whole, as far as it goes.
    let cut = &lines[..6];
    let earlier = verify(cut);
    assert_eq!((earlier.findings, earlier.uncovered), (0, 0));
    assert!(!earlier.is_closed);
    assert_eq!(verify_to(&lines, &earlier.last_head.unwrap()).told, []);
    let sequence = head.sequence;
    let found = verify_to(cut, &head).told;
    assert_eq!(found[0].what, What::HeadIsMissing { sequence });
    assert_eq!((&*found[0].file, found[0].line), ("log", 6));
    // Another log has a line of this number, too.
    let other = log_at(100, &[3, 1, 4, 1]);
    assert_eq!(verify_to(&other, &head).findings, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_removed_or_reordered_is_found(
        batches in proptest::collection::vec(1..5_usize, 2..8),
        one: prop::sample::Index,
        other: prop::sample::Index,
    ) {
        let lines = log(&batches);
        // The last may be cut off: that is counted, not found.
        let within = lines.len() - 1;
        let (one, other) = (one.index(within), other.index(within));
        let mut removed = lines.clone();
        removed.remove(one);
        prop_assert!(verify(&removed).findings > 0, "{one}");
        if one != other {
            let mut swapped = lines;
            swapped.swap(one, other);
            prop_assert!(verify(&swapped).findings > 0, "{one} {other}");
        }
    }
}
