//! The corpus of every target, and changes of it, on each run of the tests.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod mutate;
mod replay;

use secretum_fuzz::TARGETS;
use std::path::Path;

/// A test for each target, with the number of changed inputs that it gets.
macro_rules! replayed {
    ($($name:ident: $changes:literal,)*) => {
        $(#[test]
        fn $name() {
            replay::target(stringify!($name), $changes);
        })*

        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

// Together they take about ten seconds without optimization, so the slow ones get fewer.
replayed! {
    audit_conceal: 20_000,
    audit_verify: 20_000,
    barrier_keyring: 20_000,
    barrier_records: 1_500,
    cedar: 1_500,
    client_answer: 20_000,
    config: 8_000,
    fields: 20_000,
    hcl: 20_000,
    kms_ciphertext: 8_000,
    kms_config: 4_000,
    kms_context: 20_000,
    kms_envelope: 6_000,
    kms_service_body: 10_000,
    kms_service_config: 3_000,
    kms_stream: 6_000,
    kms_ttlv: 20_000,
    kms_ttlv_json: 8_000,
    kv_records: 800,
    kv_requests: 6_000,
    pgp_key: 600,
    policy: 20_000,
    policy_parameters: 20_000,
    proxy_header: 20_000,
    raft_format: 20_000,
    raft_frame: 20_000,
    raft_records: 20_000,
    raft_segment_head: 20_000,
    raft_snapshot: 20_000,
    raft_snapshot_rows: 20_000,
    request_body: 20_000,
    request_head: 20_000,
    request_input: 10_000,
    request_path: 20_000,
    shamir: 10_000,
    token_record: 20_000,
    token_text: 3_000,
    wrapped_answer: 20_000,
}

#[test]
fn every_target_has_a_test_a_binary_and_a_corpus() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, REPLAYED);
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in &names {
        let binary = home.join("fuzz_targets").join(format!("{name}.rs"));
        let text = std::fs::read_to_string(binary).unwrap();
        assert!(
            text.contains(&format!("fuzz_target!(\"{name}\")")),
            "{name}"
        );
        assert!(!replay::corpus(name).is_empty(), "{name}");
    }
    for folder in std::fs::read_dir(home.join("corpus")).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name.as_str()), "no target `{name}`");
    }
}
