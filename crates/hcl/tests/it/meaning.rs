//! What documents mean, and what their errors say.

use secretum_hcl::{Body, Position, ValueKind, parse, parse_bytes};

fn body(text: &str) -> Body {
    parse(text).unwrap()
}

fn text(document: &str) -> String {
    body(document)
        .attribute("a")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

fn error(document: &str) -> String {
    parse(document).unwrap_err().to_string()
}

#[test]
fn strings() {
    assert_eq!(
        text(r#"a = "\a\b\f\n\r\t\v\\\"""#),
        "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\""
    );
    assert_eq!(text(r#"a = "\x41\101\u00e9\U0001F600\xc3\xa9""#), "AAé😀é");
    assert_eq!(text(r#"a = "\ud800""#), "\u{fffd}");
    assert_eq!(text("a = \"x${\"y\\n\"\n}\\n\""), "x${\"y\\n\"\n}\n");
    assert_eq!(text(r#"a = "$b $${c} {d}""#), "$b $${c} {d}");
    assert_eq!(text(r#"{"a": "\/\ud83d\ude00\ud83dx"}"#), "/😀\u{fffd}x");
    assert_eq!(text(r#"{"a": "${x\n}"}"#), "${x\n}");
}

#[test]
fn heredocs() {
    assert_eq!(text("a = <<EOF\nx\n  y\\n${z\nEOF\n"), "x\n  y\\n${z\n");
    assert_eq!(text("a = <<EOF\nEOF\n"), "");
    assert_eq!(text("a = <<EOF\nx\nEOFX\n  EOF\n"), "x\nEOFX\n  ");
    assert_eq!(text("a = <<-EOF\n  x\n    y\n\n  EOF\n"), "  x\n    y\n\n");
    assert_eq!(text("a = <<-EOF\n  x\n    y\n  EOF\n"), "x\n  y\n");
    assert_eq!(text("a = <<-EOF\n\tx\n\tEOF\n"), "x\n");
    assert_eq!(text("a = <<EOF\r\nx\r\nEOF\r\n"), "x\n");
}

#[test]
fn numbers() {
    for (number, value) in [
        ("0", 0),
        ("-1", -1),
        ("017", 15),
        ("-017", -15),
        ("0x1F", 31),
        ("-0Xff", -255),
        ("-9223372036854775808", i64::MIN),
        ("-0x8000000000000000", i64::MIN),
        ("0777777777777777777777", i64::MAX),
    ] {
        assert_eq!(
            body(&format!("a = {number}"))
                .attribute("a")
                .unwrap()
                .as_integer(),
            Some(value)
        );
    }
    for (number, value) in [
        (".5", 0.5),
        ("1.", 1.0),
        ("09.5", 9.5),
        ("1e3", 1e3),
        ("08e1", 80.0),
    ] {
        let body = body(&format!("a = {number}"));
        assert_eq!(body.attribute("a").unwrap().kind, ValueKind::Float(value));
    }
}

#[test]
fn two_attributes_may_stand_on_a_line_without_space() {
    let body = body("a=1b=\"x\"c=[]d{}");
    let keys: Vec<&str> = body.items.iter().map(|item| item.key()).collect();
    assert_eq!(keys, ["a", "b", "c", "d"]);
}

#[test]
fn nodes_have_their_places() {
    let body = body("# c\n  listener \"tcp\" {\n    é = 1, b = [2]\n  }\n");
    let item = &body.items[0];
    assert_eq!(item.at, Position { line: 2, column: 3 });
    assert_eq!(
        item.keys[1].at,
        Position {
            line: 2,
            column: 12
        }
    );
    let inner = &item.value.as_object().unwrap().items[1];
    assert_eq!(
        inner.at,
        Position {
            line: 3,
            column: 12
        }
    );
    assert_eq!(
        inner.value.as_list().unwrap()[0].at,
        Position {
            line: 3,
            column: 17
        }
    );
    let json = parse("{\"a\":\n [1]}").unwrap();
    assert_eq!(
        json.items[0].value.as_list().unwrap()[0].at,
        Position { line: 2, column: 3 }
    );
}

#[test]
fn blocks_are_found_in_each_way_to_write_them() {
    let documents = [
        "path \"a\" { x = 1 } path \"b\" { x = 2 }",
        "path { a { x = 1 } b { x = 2 } }",
        "path = { \"a\" = { x = 1 }, \"b\" = { x = 2 } }",
        r#"{"path": {"a": {"x": 1}, "b": {"x": 2}}}"#,
        r#"{"path": [{"a": {"x": 1}}, {"b": {"x": 2}}]}"#,
        r#"{"path": {"a": [{"x": 1}], "b": [{"x": 2}]}}"#,
        r#"{"path": {"a": {"x": 1}}, "path": {"b": {"x": 2}}}"#,
    ];
    for document in documents {
        let body = body(document);
        let blocks = body.blocks("path", 1).unwrap();
        let labels: Vec<&str> = blocks
            .iter()
            .map(|block| block.labels[0].value.as_str())
            .collect();
        assert_eq!(labels, ["a", "b"], "{document}");
        let x: Vec<_> = blocks
            .iter()
            .map(|block| block.body.attribute("x"))
            .collect();
        assert_eq!(x[1].unwrap().as_integer(), Some(2), "{document}");
    }
    let body = body("seal { a = 1 } seal { a = 2 } other = 1");
    assert_eq!(body.blocks("seal", 0).unwrap().len(), 2);
    let besides: Vec<&str> = body
        .keys_besides(&["seal"])
        .map(|key| key.value.as_str())
        .collect();
    assert_eq!(besides, ["other"]);
}

#[test]
fn what_is_no_block_is_refused_with_its_place() {
    let error = |document: &str, labels| {
        body(document)
            .blocks("path", labels)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("path { x = 1 }", 1),
        "line 1, column 1: `path` lacks its name: write `path \"name\" { … }`"
    );
    assert_eq!(
        error("path \"a\" \"b\" {}", 1),
        "line 1, column 10: expected `{`, found `b`"
    );
    assert_eq!(
        error("\n path = 1", 1),
        "line 2, column 9: `path` must be a block, not a number"
    );
}

#[test]
fn errors_name_the_place_and_what_is_wrong() {
    let cases = [
        (
            "path \"a\" {\n  capabilities = [read]\n}",
            "line 2, column 19: expected a value or `]`, found `read`",
        ),
        (
            "a = 1\na = 2",
            "line 2, column 1: `a` is set twice; keep one",
        ),
        (
            "a = \"x\n\"",
            "line 1, column 5: the string is not closed; a line break in it is written `\\n`",
        ),
        (
            "a = \"\\q\"",
            "line 1, column 7: the escape `\\q` is not known; a backslash itself is written `\\\\`",
        ),
        (
            "a: 1",
            "line 1, column 2: unexpected character `:`; a text stands in double quotes",
        ),
        (
            "path",
            "line 1, column 5: expected `=`, `{` or a label, found the end of the document",
        ),
        (
            "/* x",
            "line 1, column 1: the comment is not closed by `*/`",
        ),
        (
            "a = 08",
            "line 1, column 5: `08` is no number that can be held; write it in quotes if it is a text",
        ),
        (
            "x\n \0",
            "line 2, column 2: the character U+0000 is not allowed",
        ),
        (
            "{\"a\": 1} x",
            "line 1, column 10: expected the end of the document, found `x`",
        ),
        (
            "{\"a\": tru}",
            "line 1, column 7: expected a value, found `tru`",
        ),
    ];
    for (document, message) in cases {
        assert_eq!(error(document), message);
    }
    let message = parse_bytes(b"a = 1\n# \xff").unwrap_err().to_string();
    assert_eq!(
        message,
        "line 2, column 3: the document is not UTF-8; save it as that"
    );
}
