//! Fuzz targets for everything that parses what comes from outside: from clients, from the files that
//! an operator writes, and from a disk that somebody else may have written to.
//!
//! A target takes any bytes and panics where something does not hold that must. `tests/it` replays the
//! corpus of each and changes of it on every run of the tests; `cargo fuzz` searches further, by the
//! binaries in `fuzz_targets`. A new target is a function here, a line in [`TARGETS`], a folder in
//! `corpus`, and a binary.

mod audit;
mod barrier;
mod cedar;
mod client;
mod config;
mod fields;
mod hcl;
mod input;
mod kms;
mod kms_service;
mod kv;
mod path;
mod pgp;
mod policy;
#[path = "../../policy/tests/it/reference.rs"]
mod reference;
mod shamir;

use secretum_core::fuzzing as core;
use secretum_server::fuzzing as server;
use secretum_storage::raft::fuzzing as raft;

/// One thing that reads bytes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its binary and of its folder in the corpus.
    pub name: &'static str,
    /// Panics where the bytes make something fail that must hold.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("audit_conceal", audit::conceal),
    target("audit_verify", audit::verify),
    target("barrier_keyring", barrier::keyring),
    target("barrier_records", barrier::records),
    target("cedar", cedar::run),
    target("client_answer", client::answer),
    target("config", config::run),
    target("fields", fields::run),
    target("hcl", hcl::run),
    target("kms_ciphertext", kms::ciphertext),
    target("kms_config", kms::config),
    target("kms_context", kms::context),
    target("kms_envelope", kms::envelope),
    target("kms_service_body", kms_service::body),
    target("kms_service_config", kms_service::config),
    target("kms_stream", kms::stream),
    target("kms_ttlv", kms::ttlv),
    target("kms_ttlv_json", kms::ttlv_json),
    target("kv_records", kv::records),
    target("kv_requests", kv::requests),
    target("pgp_key", pgp::key),
    target("policy", policy::run),
    target("policy_parameters", policy::parameters),
    target("proxy_header", server::proxy_header),
    target("raft_format", raft::format_file),
    target("raft_frame", raft::frame),
    target("raft_records", raft::records),
    target("raft_segment_head", raft::segment_head),
    target("raft_snapshot", raft::snapshot),
    target("raft_snapshot_rows", raft::snapshot_rows),
    target("request_body", server::request_body),
    target("request_head", server::request_head),
    target("request_input", input::run),
    target("request_path", path::run),
    target("shamir", shamir::run),
    target("token_record", core::token_record),
    target("token_text", core::token_text),
    target("wrapped_answer", core::wrapped_answer),
];

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

/// The binary of a target, as `cargo fuzz` runs it.
#[cfg(feature = "libfuzzer")]
#[macro_export]
macro_rules! fuzz_target {
    ($name:literal) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            if let Some(target) = $crate::find($name) {
                (target.run)(data);
            }
        });
    };
}
