//! What of a changed configuration takes a restart.

use super::{Config, Listener, describe};

impl Config {
    /// The names of settings that differ in a configuration that was read anew, and that hold only after
    /// a restart. Not among them is what changes while the server runs: levels of the log, the TLS of
    /// listeners that have some, their `max_connections`, and audit devices.
    pub fn restart_needed(&self, anew: &Self) -> Vec<String> {
        let mut anew = anew.clone();
        anew.log_level = self.log_level;
        anew.log_requests_level = self.log_requests_level;
        anew.audits.clone_from(&self.audits);
        let mut needed = Vec::new();
        for listener in &mut anew.listeners {
            let same = |own: &&Listener| own.address == listener.address;
            let Some(own) = self.listeners.iter().find(same) else {
                continue;
            };
            listener.max_connections = own.max_connections;
            if listener.tls.is_some() && own.tls.is_some() {
                listener.tls.clone_from(&own.tls);
            }
            if listener.place_less() != own.place_less() {
                needed.push(format!("listener {}", listener.address));
            }
        }
        let (before, after) = (describe(self), describe(&anew));
        let gone = before.lines().filter(|line| !after.contains(line));
        let come = after.lines().filter(|line| !before.contains(line));
        for line in gone.chain(come) {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap_or_default();
            let name = match (name, words.nth(1)) {
                ("listener", Some(address)) => format!("listener {}", address.trim_matches(',')),
                _ => name.to_owned(),
            };
            if !needed.contains(&name) {
                needed.push(name);
            }
        }
        needed
    }
}

impl Listener {
    /// What does not show when it is described.
    fn place_less(&self) -> impl PartialEq {
        (
            self.address.clone(),
            self.cluster_address.clone(),
            self.proxy_protocol.clone(),
            self.forwarded_for.clone(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(whole: &str, listener: &str) -> Config {
        let text = format!(
            "storage \"inmem\" {{}}\nlistener \"tcp\" {{\ntls_disable = true\n{listener}\n}}\n{whole}\n"
        );
        Config::parse(Path::new("a.hcl"), &text).unwrap().config
    }

    #[test]
    fn what_changes_at_once_needs_no_restart() {
        let before = config("", "");
        for (whole, listener) in [
            ("", ""),
            ("\n\n\nlog_level = \"debug\"", ""),
            ("log_requests_level = \"info\"", ""),
            ("", "max_connections = 5"),
            ("audit \"file\" {\noptions {\nfile_path = \"/a\"\n}\n}", ""),
        ] {
            let needed = before.restart_needed(&config(whole, listener));
            assert_eq!(needed, Vec::<String>::new(), "{whole} {listener}");
        }
    }

    #[test]
    fn everything_else_is_named_once() {
        let before = config("", "");
        for (whole, listener, name) in [
            ("log_format = \"json\"", "", "log_format"),
            ("max_lease_ttl = \"1000h\"", "", "max_lease_ttl"),
            ("api_addr = \"https://a\"", "", "api_addr"),
            ("telemetry {\notlp_endpoint = \"http://a\"\n}", "", "traces"),
            ("", "max_request_size = 7", "listener 127.0.0.1:8200"),
            (
                "",
                "x_forwarded_for_authorized_addrs = \"::1\"",
                "listener 127.0.0.1:8200",
            ),
            ("", "http_idle_timeout = 7", "listener 127.0.0.1:8200"),
        ] {
            let needed = before.restart_needed(&config(whole, listener));
            assert_eq!(needed, [name], "{whole} {listener}");
        }
        let moved = before.restart_needed(&config("", "address = \"127.0.0.1:1\""));
        assert_eq!(moved, ["listener 127.0.0.1:8200", "listener 127.0.0.1:1"]);
        let more = config("listener \"unix\" {\naddress = \"/a\"\n}", "");
        assert_eq!(before.restart_needed(&more), ["listener /a"]);
    }
}
