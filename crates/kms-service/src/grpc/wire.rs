//! What `build.rs` makes of `proto/`.
#![allow(
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    clippy::enum_variant_names,
    clippy::too_many_lines,
    reason = "generated code is as its generator writes it"
)]

include!(concat!(env!("OUT_DIR"), "/_.rs"));

/// Data keys.
pub mod kms {
    include!(concat!(env!("OUT_DIR"), "/kms.rs"));
}
