//! Audit devices of the configuration.

use super::*;
use secretum_core::DeclaredDevice;

fn audits(name: &str, text: &str) -> Vec<DeclaredDevice> {
    good(name, text).audits
}

fn device(path: &str, kind: &str, options: &[(&str, &str)]) -> DeclaredDevice {
    let options = options.iter();
    DeclaredDevice {
        path: path.to_owned(),
        kind: kind.to_owned(),
        description: String::new(),
        options: options
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        local: false,
    }
}

#[test]
fn all_ways_to_write_them_mean_the_same() {
    let file = [("file_path", "/a"), ("log_raw", "true"), ("mode", "600")];
    let expected = [
        device("main", "file", &file),
        device("syslog", "syslog", &[]),
    ];
    let options = "options {\nfile_path = \"/a\"\nlog_raw = true\nmode = 600\n}";
    for text in [
        format!("audit \"file\" \"main\" {{\n{options}\n}}\naudit \"syslog\" {{ }}"),
        format!(
            "audit {{\ntype = \"file\"\npath = \"main/\"\n{options}\n}}\naudit \"syslog\" \"syslog\" {{ }}"
        ),
    ] {
        let text = format!("{MEMORY}{OPEN}{text}\n");
        assert_eq!(audits("a.hcl", &text), expected, "{text}");
    }
    let toml = "[storage.inmem]\n[listener.tcp]\ntls_disable = true\n";
    let options = "options = { file_path = \"/a\", log_raw = true, mode = 600 }";
    for text in [
        format!("[audit.file.main]\n{options}\n[audit.syslog.syslog]\n"),
        format!(
            "[[audit]]\ntype = \"file\"\npath = \"main\"\n{options}\n[[audit]]\ntype = \"syslog\"\n"
        ),
    ] {
        let text = format!("{toml}{text}");
        assert_eq!(audits("a.toml", &text), expected, "{text}");
    }
    let options = r#""options": {"file_path": "/a", "log_raw": true, "mode": "600"}"#;
    for text in [
        format!(r#"{{"file": {{"main": {{{options}}}}}, "syslog": {{}}}}"#),
        format!(r#"[{{"file": [{{"path": "main", {options}}}]}}, {{"type": "syslog"}}]"#),
    ] {
        let text = format!(
            r#"{{"storage": {{"inmem": {{}}}}, "listener": {{"tcp": {{"tls_disable": true}}}}, "audit": {text}}}"#
        );
        assert_eq!(audits("a.json", &text), expected, "{text}");
    }
}

#[test]
fn devices_of_several_files_add_up() {
    let one =
        format!("{MEMORY}{OPEN}audit \"file\" \"a\" {{\noptions {{ file_path = \"/a\" }}\n}}\n");
    let two = "audit \"syslog\" \"b\" {\ndescription = \"of the second file\"\nlocal = true\n}\n";
    let (config, _) = load_files(&[("a.hcl", &one), ("b.hcl", two)], &[]).unwrap();
    let paths: Vec<_> = config.audits.iter().map(|device| &*device.path).collect();
    assert_eq!(paths, ["a", "b"]);
    assert_eq!(config.audits[1].description, "of the second file");
    assert!(config.audits[1].local);
    assert!(describe(&config).contains("\naudit              file a\n"));
}

#[test]
fn what_cannot_be_is_said_with_its_place() {
    for (text, said) in [
        (
            "audit \"file\" \"a\" { }",
            "a.hcl:5:1: the audit device `a`: ",
        ),
        (
            "audit \"fiel\" \"a\" { }",
            "a.hcl:5:1: the audit device `a`: ",
        ),
        (
            "audit \"syslog\" \"a\" {\noptions { facilty = \"AUTH\" }\n}",
            "a.hcl:5:1: the audit device `a`: ",
        ),
        (
            "audit \"syslog\" \"a\" {\noptions { tag = [\"x\"] }\n}",
            "a.hcl:6:11: the option `tag` of an audit device must be a text in quotes, a number or a flag, not a list",
        ),
        (
            "audit \"syslog\" \"a\" { }\naudit \"syslog\" \"a\" { }",
            "a.hcl:6:1: the audit device `a`: there is another one of this path at a.hcl:5:1",
        ),
        (
            "audit \"syslog\" \"/\" { }",
            "a.hcl:5:1: the audit device ``: its path is empty",
        ),
        ("audit \"syslog\" \"a\" \"b\" { }", "a.hcl:5:1"),
        ("audit = 7", "a.hcl:5:9: `audit` must be a block"),
    ] {
        let faults = fault_of(text);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with(said), "{} {said}", faults[0]);
    }
    let many: String = (0..=AUDITS_MAX)
        .map(|number| format!("audit \"syslog\" \"a{number}\" {{ }}\n"))
        .collect();
    let faults = fault_of(&many);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("at most 64"), "{}", faults[0]);
}
