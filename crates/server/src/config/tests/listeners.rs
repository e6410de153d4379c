//! Listeners on sockets, behind proxies, and what they give to everybody.

use super::*;
use crate::listener::{SocketFile, Untrusted};

fn listener(lines: &str) -> Listener {
    let text = format!("{MEMORY}listener \"tcp\" {{\n  tls_disable = true\n{lines}\n}}\n");
    good("a.hcl", &text).listeners.remove(0)
}

#[test]
fn sockets_of_the_file_system_stand_beside_addresses() {
    let expected = ListenAddress::Unix(SocketFile {
        path: "/run/vault.sock".into(),
        mode: Some(0o660),
        user: Some(0),
        group: Some(7),
    });
    let unix = r#"address = "/run/vault.sock"
        socket_mode = "0660"
        socket_user = "root"
        socket_group = 7"#;
    let hcl = format!("{MEMORY}{OPEN}listener \"unix\" {{\n{unix}\ntls_disable = true\n}}\n");
    let toml =
        format!("[storage.inmem]\n[listener.tcp]\ntls_disable = true\n[listener.unix]\n{unix}\n");
    let json = r#"{"storage": {"inmem": {}}, "listener": [{"tcp": {"tls_disable": 1}}, {"unix":
        {"address": "/run/vault.sock", "socket_mode": 660, "socket_user": 0, "socket_group": "7"}}]}"#;
    for (name, text) in [("a.hcl", hcl.as_str()), ("a.toml", &toml), ("a.json", json)] {
        let listeners = good(name, text).listeners;
        assert_eq!(listeners.len(), 2);
        assert_eq!(listeners[1].address, expected, "{name}");
        assert_eq!(listeners[1].tls, None);
    }
    let alone = format!("{MEMORY}listener \"unix\" {{ address = \"/a\" }}\n");
    assert_eq!(good("a.hcl", &alone).listeners.len(), 1);
}

#[test]
fn faults_of_sockets() {
    for (lines, said) in [
        (
            "",
            "a.hcl:2:1: the listener has no `address`; write `address = \"/run/secretum/vault.sock\"`, say",
        ),
        (
            "address = \"/a\"\nsocket_mode = \"888\"",
            "a.hcl:4:15: `socket_mode` must be permissions in octal digits, such as `\"660\"`, not `888`",
        ),
        (
            "address = \"/a\"\nsocket_mode = \"10000\"",
            "a.hcl:4:15: `socket_mode` must be permissions in octal digits, such as `\"660\"`, not `10000`",
        ),
        (
            "address = \"/a\"\nsocket_user = \"nobody of this name\"",
            "a.hcl:4:15: `socket_user` must be a user of this system, by name or number, not `nobody of this name`",
        ),
        (
            "address = \"/a\"\nsocket_group = [1]",
            "a.hcl:4:16: `socket_group` must be a group of this system, by name or number, not a list",
        ),
        (
            "address = \"/a\"\n}\nlistener \"unix\" {\naddress = \"/a\"",
            "a.hcl:5:1: the listener of a.hcl:2:1 has the address `/a` too; leave one out",
        ),
    ] {
        let text = format!("{MEMORY}listener \"unix\" {{\n{lines}\n}}\n");
        assert_eq!(faults("a.hcl", &text), [said], "{lines}");
    }
    let text = format!(
        "{MEMORY}listener \"unix\" {{\naddress = \"/a\"\ntls_cert_file = \"x\"\nproxy_protocol_behavior = \"use_always\"\n}}\n"
    );
    let (_, warnings) = load("a.hcl", &text).unwrap();
    assert_eq!(
        warnings,
        [
            "a.hcl:4:1: warning: `tls_cert_file` is not served and has no effect",
            "a.hcl:5:1: warning: `proxy_protocol_behavior` is not served and has no effect"
        ]
    );
}

#[test]
fn proxies_are_believed_as_is_said() {
    let proxy = |lines: &str| listener(lines).proxy_protocol;
    assert_eq!(proxy(""), None);
    let always = proxy("proxy_protocol_behavior = \"use_always\"").unwrap();
    assert_eq!(always.trusted, None);
    for (behavior, untrusted) in [
        ("allow_authorized", Untrusted::Ignored),
        ("deny_unauthorized", Untrusted::Refused),
    ] {
        for addresses in [
            "\"10.0.0.0/8, 192.0.2.1\"",
            "[\"10.0.0.0/8\", \"192.0.2.1\"]",
        ] {
            let said = proxy(&format!(
                "proxy_protocol_behavior = \"{behavior}\"\nproxy_protocol_authorized_addrs = {addresses}"
            ));
            let said = said.unwrap();
            assert_eq!(said.untrusted, untrusted);
            assert_eq!(
                said.trusted.unwrap().to_string(),
                "10.0.0.0/8, 192.0.2.1/32"
            );
        }
    }
}

#[test]
fn forwarded_addresses_are_believed_of_who_is_named() {
    assert_eq!(listener("").forwarded_for, None);
    let usual = listener("x_forwarded_for_authorized_addrs = \"10.0.0.1\"");
    let usual = usual.forwarded_for.unwrap();
    assert_eq!(usual.hop_skips, 0);
    assert!(usual.rejects_not_present && usual.rejects_not_authorized);
    let said = listener(
        "x_forwarded_for_authorized_addrs = [\"::1\"]\nx_forwarded_for_hop_skips = \"2\"\n\
         x_forwarded_for_reject_not_present = false\nx_forwarded_for_reject_not_authorized = \"false\"",
    );
    let said = said.forwarded_for.unwrap();
    assert_eq!(said.hop_skips, 2);
    assert!(!said.rejects_not_present && !said.rejects_not_authorized);
}

#[test]
fn faults_of_proxies() {
    const NETWORKS: &str = "a list of at most 1024 IP addresses and networks, such as `[\"10.0.0.0/8\", \"192.0.2.1\"]`";
    let many = format!("[{}]", vec!["\"10.0.0.1\""; 1_025].join(", "));
    for (lines, said) in [
        (
            "proxy_protocol_behavior = \"sometimes\"".to_owned(),
            "a.hcl:4:27: `proxy_protocol_behavior` must be `use_always`, `allow_authorized` or `deny_unauthorized`, not `sometimes`".to_owned(),
        ),
        (
            "proxy_protocol_behavior = \"deny_unauthorized\"".to_owned(),
            "a.hcl:4:27: `proxy_protocol_behavior` needs `proxy_protocol_authorized_addrs`, and at least one of them".to_owned(),
        ),
        (
            "x_forwarded_for_authorized_addrs = \"10.0.0.0/33\"".to_owned(),
            format!("a.hcl:4:36: `x_forwarded_for_authorized_addrs` must be {NETWORKS}, not `10.0.0.0/33`"),
        ),
        (
            format!("x_forwarded_for_authorized_addrs = {many}"),
            format!("a.hcl:4:36: `x_forwarded_for_authorized_addrs` must be {NETWORKS}, not a list"),
        ),
        (
            "x_forwarded_for_authorized_addrs = \"::1\"\nx_forwarded_for_hop_skips = 1001".to_owned(),
            "a.hcl:5:29: `x_forwarded_for_hop_skips` must be a number of addresses from 0 to 1000, not the number `1001`".to_owned(),
        ),
        (
            "telemetry = true".to_owned(),
            "a.hcl:4:13: `telemetry` must be a block, not the flag `true`; write `telemetry { … }`, or a table in TOML and JSON".to_owned(),
        ),
    ] {
        let text = format!("{MEMORY}listener \"tcp\" {{\n  tls_disable = true\n{lines}\n}}\n");
        assert_eq!(faults("a.hcl", &text), [said], "{lines}");
    }
    let text = format!(
        "{MEMORY}listener \"tcp\" {{\ntls_disable = true\nx_forwarded_for_hop_skips = 1\nproxy_protocol_authorized_addrs = \"::1\"\n}}\n"
    );
    let (_, warnings) = load("a.hcl", &text).unwrap();
    assert_eq!(
        warnings,
        [
            "a.hcl:4:29: warning: `x_forwarded_for_hop_skips` has no effect without `x_forwarded_for_authorized_addrs`",
            "a.hcl:5:35: warning: `proxy_protocol_authorized_addrs` has no effect without `proxy_protocol_behavior`"
        ]
    );
}

#[test]
fn telemetry_of_a_listener_and_of_the_whole() {
    assert!(!listener("").unauthenticated_metrics);
    let open = listener("telemetry {\n  unauthenticated_metrics_access = true\n}");
    assert!(open.unauthenticated_metrics);
    let toml = "[storage.inmem]\n[listener.tcp]\ntls_disable = true\n\
                [listener.tcp.telemetry]\nunauthenticated_metrics_access = true\n\
                [telemetry]\notlp_endpoint = \"http://127.0.0.1:4318\"\notlp_sampling_ratio = 0.25\n";
    let json = r#"{"storage": {"inmem": {}}, "listener": {"tcp": {"tls_disable": true,
        "telemetry": [{"unauthenticated_metrics_access": "true"}]}}, "log_requests_level": "Debug",
        "telemetry": {"otlp_endpoint": "http://127.0.0.1:4318", "otlp_sampling_ratio": "0.25",
        "prometheus_retention_time": "30s", "disable_hostname": true}}"#;
    for (name, text) in [("a.toml", toml), ("a.json", json)] {
        let config = good(name, text);
        assert!(config.listeners[0].unauthenticated_metrics, "{name}");
        let traces = config.traces.unwrap();
        assert_eq!(traces.endpoint.to_string(), "http://127.0.0.1:4318");
        assert_eq!(traces.sampling_ratio.as_f64().to_string(), "0.25");
        assert_eq!(
            config.log_requests_level,
            (name == "a.json").then_some(LogLevel::Debug)
        );
    }
    assert_eq!(
        fault_of("telemetry {\n  otlp_sampling_ratio = 1.5\n}"),
        [
            "a.hcl:6:25: `otlp_sampling_ratio` must be a number from 0 to 1, such as `0.1`, not the number `1.5`"
        ]
    );
    assert_eq!(
        warnings_of("telemetry {\n  statsd_address = \"a:1\"\n}"),
        ["a.hcl:6:3: warning: `statsd_address` is not served and has no effect"]
    );
    assert_eq!(
        warnings_of("log_requests_level = \"off\""),
        Vec::<String>::new()
    );
}

#[test]
fn operators_are_told_what_a_listener_is() {
    let text = format!("{MEMORY}{OPEN}listener \"unix\" {{\n  address = \"/run/a\"\n}}\n");
    let told: serde_json::Value =
        serde_json::from_str(sanitized(&good("a.hcl", &text)).get()).unwrap();
    let of = |index: usize| {
        (
            &told["listeners"][index]["type"],
            &told["listeners"][index]["config"],
        )
    };
    assert_eq!(of(0).0, "tcp");
    assert_eq!(
        (of(1).0, &of(1).1["address"]),
        (&"unix".into(), &"/run/a".into())
    );
}
