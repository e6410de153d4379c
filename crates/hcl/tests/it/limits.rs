//! The limits, at their edges.

use secretum_hcl::{DEPTH_MAX, DOCUMENT_BYTES_MAX, Problem, parse};

fn problem(text: &str) -> Problem {
    parse(text).unwrap_err().problem
}

#[test]
fn depth() {
    let lists = |depth: usize| format!("a = {}{}", "[".repeat(depth), "]".repeat(depth));
    let blocks = |depth: usize| format!("{}{}", "a {".repeat(depth), "}".repeat(depth));
    let json = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for deep in [lists, blocks, json] {
        assert!(parse(&deep(DEPTH_MAX)).is_ok());
        assert_eq!(problem(&deep(DEPTH_MAX + 1)), Problem::TooDeep);
        assert_eq!(problem(&deep(10_000)), Problem::TooDeep);
    }
}

#[test]
fn brackets_without_end_do_not_overflow() {
    assert_eq!(
        problem(&format!("a = {}", "[".repeat(500_000))),
        Problem::TooDeep
    );
    assert_eq!(problem(&"a{".repeat(500_000)), Problem::TooDeep);
    assert_eq!(
        problem(&format!("{{\"a\":{}", "[".repeat(500_000))),
        Problem::TooDeep
    );
}

#[test]
fn size() {
    let document = |bytes: usize| format!("a = \"{}\"", "x".repeat(bytes - 6));
    assert!(parse(&document(DOCUMENT_BYTES_MAX)).is_ok());
    assert_eq!(problem(&document(DOCUMENT_BYTES_MAX + 1)), Problem::TooLong);
}
