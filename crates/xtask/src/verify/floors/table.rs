//! The floors, and what each crate must not know besides.

/// How the names of all packages begin.
pub(super) const PREFIX: &str = "secretum-";

/// The lowest floor whose tests may start whole servers by `testkit`.
pub(super) const TESTKIT_FROM: u8 = 4;

/// Where a crate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On a floor; it uses lower ones.
    Floor(u8),
    /// It uses every floor, and tests use it.
    Tests,
    /// It uses every floor, and nothing uses it.
    Beside,
    /// It uses none of ours, and nothing uses it.
    Alone,
}

/// A crate of this house.
#[derive(Debug)]
pub(super) struct Crate {
    /// Its folder below `crates/`.
    pub(super) folder: &'static str,
    pub(super) place: Place,
    /// Crates, ours by their folder, that it must not use although it could.
    pub(super) unknown: &'static [&'static str],
}

const fn on(floor: u8, folder: &'static str, unknown: &'static [&'static str]) -> Crate {
    Crate {
        folder,
        place: Place::Floor(floor),
        unknown,
    }
}

const fn off(place: Place, folder: &'static str) -> Crate {
    Crate {
        folder,
        place,
        unknown: &[],
    }
}

/// Every crate, lowest floor first.
pub(super) const CRATES: &[Crate] = &[
    on(0, "crypto", &[]),
    on(0, "storage", &[]),
    on(0, "api", HTTP),
    on(0, "hcl", &[]),
    on(0, "process", &[]),
    on(1, "barrier", &["api", "hcl"]),
    on(1, "engine", HTTP),
    on(
        1,
        "policy",
        &[
            "storage",
            "axum",
            "hyper",
            "hyper-util",
            "http",
            "reqwest",
            "tonic",
        ],
    ),
    on(1, "audit", &["storage", "hcl"]),
    on(1, "client", &["storage", "hcl"]),
    on(
        2,
        "kms",
        &["storage", "hcl", "barrier", "engine", "policy", "audit"],
    ),
    on(2, "core", HTTP),
    on(
        3,
        "kms-audit",
        &["storage", "hcl", "barrier", "engine", "policy", "core"],
    ),
    on(
        3,
        "engines",
        &["core", "axum", "hyper", "hyper-util", "http", "tonic"],
    ),
    on(4, "server", &["engines"]),
    on(
        4,
        "kms-service",
        &[
            "storage", "hcl", "barrier", "engine", "policy", "core", "engines",
        ],
    ),
    on(5, "cli", &[]),
    off(Place::Tests, "testkit"),
    off(Place::Beside, "fuzz"),
    off(Place::Alone, "xtask"),
];

/// What speaks HTTP.
const HTTP: &[&str] = &[
    "axum",
    "http",
    "http-body-util",
    "hyper",
    "hyper-util",
    "reqwest",
    "tonic",
    "tower-http",
];

/// Crates of others, and the one crate of ours that may use them.
///
/// Only `crypto` calls a cryptography library, and only `policy` calls Cedar, so that what is used, and
/// how, is read in one place.
pub(super) const ONLY_IN: &[(&str, &str)] = &[
    ("age", "kms"),
    ("aes", "crypto"),
    ("aes-gcm", "crypto"),
    ("aes-siv", "crypto"),
    ("aws-lc-rs", "crypto"),
    ("aws-lc-sys", "crypto"),
    ("chacha20poly1305", "crypto"),
    ("ctr", "crypto"),
    ("ed25519-dalek", "crypto"),
    ("hkdf", "crypto"),
    ("hmac", "crypto"),
    ("openssl", "crypto"),
    ("pgp", "crypto"),
    ("rand_chacha", "crypto"),
    ("ring", "crypto"),
    ("sha2", "crypto"),
    ("cedar-policy", "policy"),
    ("cedar-policy-formatter", "policy"),
    ("openraft", "storage"),
    ("redb", "storage"),
];
