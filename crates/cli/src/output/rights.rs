//! The rights that a request needs, as a policy in HCL.

use secretum_client::Outline;
use secretum_engine::{Access, Verb};

/// A path, and what must be allowed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Right {
    path: String,
    capabilities: Vec<&'static str>,
}

impl Right {
    pub(crate) fn new(path: impl Into<String>, capabilities: &[&'static str]) -> Self {
        Self {
            path: path.into(),
            capabilities: capabilities.to_vec(),
        }
    }

    /// The rights to a request, and to what was sent before it.
    pub(crate) fn to(outline: &Outline) -> Vec<Self> {
        let before = outline.before.iter();
        let before = before.map(|(method, url)| (method.as_str(), url.as_str()));
        let last = (outline.method.as_str(), outline.url.as_str());
        (before.chain([last]))
            .filter_map(|(method, url)| Self::to_one(method, url))
            .collect()
    }

    /// The right to one request; `None` where anybody may.
    fn to_one(method: &str, url: &str) -> Option<Self> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let path = address.split_once("/v1/").map_or("", |(_, path)| path);
        let path = percent_decoded(path);
        let access = access(method, &path);
        if access == Some(Access::Public) {
            return None;
        }
        let mut right = Self::new(path.as_str(), capabilities(method, query));
        if access == Some(Access::Sudo) {
            right.capabilities.push("sudo");
        }
        Some(right)
    }
}

/// The policy that grants these rights, each path once.
pub(crate) fn policy(rights: &[Right]) -> String {
    let mut merged: Vec<Right> = Vec::new();
    for right in rights {
        match merged.iter_mut().find(|known| known.path == right.path) {
            None => merged.push(right.clone()),
            Some(known) => {
                let more = right.capabilities.iter();
                let more = more.filter(|more| !known.capabilities.contains(*more));
                let more: Vec<_> = more.copied().collect();
                known.capabilities.extend(more);
            }
        }
    }
    if merged.is_empty() {
        return "# Anybody may do this: no rule is needed.\n".to_owned();
    }
    let rules = merged.iter().map(|right| {
        format!(
            "path \"{}\" {{\n  capabilities = {:?}\n}}\n",
            right.path.replace('\\', "\\\\").replace('"', "\\\""),
            right.capabilities
        )
    });
    rules.collect::<Vec<_>>().join("\n")
}

fn capabilities(method: &str, query: &str) -> &'static [&'static str] {
    let asks = |name: &str| query.split('&').any(|pair| pair == format!("{name}=true"));
    match method {
        "LIST" => &["list"],
        "SCAN" => &["scan"],
        "GET" if asks("list") => &["list"],
        "GET" if asks("scan") => &["scan"],
        "PUT" | "POST" => &["create", "update"],
        "PATCH" => &["patch"],
        "DELETE" => &["delete"],
        _ => &["read"],
    }
}

/// What a path of the system asks for: `sudo` where any verb does; nothing where this one needs no
/// token.
fn access(method: &str, path: &str) -> Option<Access> {
    // That the table cannot be read is said by the server, which has the same.
    let rows = secretum_core::system_rows().unwrap_or_default();
    let fitting = || (rows.iter()).filter(|(_, pattern, _)| fits(pattern, path));
    if fitting().any(|(_, _, access)| *access == Access::Sudo) {
        return Some(Access::Sudo);
    }
    let verb = match method {
        "GET" => Verb::Read,
        "PUT" | "POST" => Verb::Write,
        _ => return None,
    };
    let mut public = fitting().filter(|(row, _, access)| *row == verb && *access == Access::Public);
    public.next().map(|(_, _, access)| *access)
}

/// Whether a path has the form of a row: `{name}` is one segment, `{name+}` and `{name*}` some.
fn fits(pattern: &str, path: &str) -> bool {
    fn rest(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((first, pattern_left)), _) if first.ends_with("*}") || first.ends_with("+}") => {
                let least = usize::from(first.ends_with("+}"));
                (least..=path.len())
                    .any(|taken| rest(pattern_left, path.get(taken..).unwrap_or_default()))
            }
            (Some((first, pattern)), Some((segment, path))) => {
                (first.starts_with('{') || first == segment) && rest(pattern, path)
            }
            _ => false,
        }
    }
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    rest(&pattern, &path)
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_client::TlsConfig;

    fn right(method: &str, url: &str) -> String {
        let outline = Outline {
            method: method.to_owned(),
            url: format!("http://127.0.0.1:8200/v1/{url}"),
            headers: Vec::new(),
            has_token: true,
            socket: None,
            tls: TlsConfig::default(),
            body: None,
            before: Vec::new(),
        };
        policy(&Right::to(&outline))
    }

    #[test]
    fn a_request_needs_its_verb_on_its_path() {
        for (method, url, path, capabilities) in [
            ("GET", "secret/data/a", "secret/data/a", r#"["read"]"#),
            (
                "GET",
                "secret/data/a?version=1",
                "secret/data/a",
                r#"["read"]"#,
            ),
            (
                "GET",
                "secret/metadata/?list=true",
                "secret/metadata/",
                r#"["list"]"#,
            ),
            (
                "GET",
                "secret/metadata/?scan=true",
                "secret/metadata/",
                r#"["scan"]"#,
            ),
            (
                "PUT",
                "secret/data/a%20b",
                "secret/data/a b",
                r#"["create", "update"]"#,
            ),
            ("PATCH", "secret/data/a", "secret/data/a", r#"["patch"]"#),
            ("DELETE", "secret/data/a", "secret/data/a", r#"["delete"]"#),
            (
                "PUT",
                "sys/audit/file",
                "sys/audit/file",
                r#"["create", "update", "sudo"]"#,
            ),
            (
                "PUT",
                "sys/mounts/a",
                "sys/mounts/a",
                r#"["create", "update"]"#,
            ),
        ] {
            let expected = format!("path \"{path}\" {{\n  capabilities = {capabilities}\n}}\n");
            assert_eq!(right(method, url), expected);
        }
    }

    #[test]
    fn what_was_looked_up_before_counts_and_what_anybody_may_does_not() {
        let at = |path: &str| format!("http://127.0.0.1:8200/v1/{path}");
        let outline = |method: &str, url: &str, before: &[(&str, &str)]| Outline {
            method: method.to_owned(),
            url: at(url),
            headers: Vec::new(),
            has_token: true,
            socket: None,
            tls: TlsConfig::default(),
            body: None,
            before: (before.iter())
                .map(|(method, url)| ((*method).to_owned(), at(url)))
                .collect(),
        };
        let before = [
            ("GET", "sys/internal/ui/mounts/secret/a"),
            ("GET", "secret/data/a"),
            ("GET", "secret/data/a?version=1"),
        ];
        assert_eq!(
            policy(&Right::to(&outline("PUT", "secret/data/a", &before))),
            "path \"secret/data/a\" {\n  capabilities = [\"read\", \"create\", \"update\"]\n}\n"
        );
        let open = policy(&Right::to(&outline("GET", "sys/health", &[])));
        assert!(open.starts_with('#'), "{open}");
    }

    #[test]
    fn forms_of_rows_fit_their_paths() {
        for (pattern, path, expected) in [
            ("sys/audit", "sys/audit/", true),
            ("sys/audit/{path+}", "sys/audit/a/b", true),
            ("sys/audit/{path+}", "sys/audit", false),
            ("sys/leases/lookup/{prefix*}", "sys/leases/lookup", true),
            ("a/{x}/b", "a/1/b", true),
            ("a/{x+}/b", "a/1/2/b", true),
            ("a/{x+}/b", "a/1/2", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
    }
}
