//! Repository chores: verify, fix, bench, docs.

fn main() {}
