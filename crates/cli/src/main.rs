//! The secretum binary: every command, and the wiring of server, engines and storage.

fn main() {}
