//! The rights that a request needs, as a policy in HCL.

use secretum_client::Outline;
use secretum_engine::Access;

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

    /// The right to one request.
    pub(crate) fn to(outline: &Outline) -> Self {
        let (address, query) = (outline.url.split_once('?')).unwrap_or((&outline.url, ""));
        let path = address.split_once("/v1/").map_or("", |(_, path)| path);
        let path = percent_decoded(path);
        let mut right = Self::new(path.as_str(), capabilities(&outline.method, query));
        if needs_sudo(&path) {
            right.capabilities.push("sudo");
        }
        right
    }
}

/// The policy that grants these rights.
pub(crate) fn policy(rights: &[Right]) -> String {
    let rules = rights.iter().map(|right| {
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

/// Whether a path of the system asks for `sudo`, with whatever verb.
fn needs_sudo(path: &str) -> bool {
    // That the table cannot be read is said by the server, which has the same.
    let rows = secretum_core::system_rows().unwrap_or_default();
    let mut guarded = rows.iter().filter(|(_, _, access)| *access == Access::Sudo);
    guarded.any(|(_, pattern, _)| fits(pattern, path))
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

    fn right(method: &str, url: &str) -> String {
        let outline = Outline {
            method: method.to_owned(),
            url: format!("http://127.0.0.1:8200/v1/{url}"),
            headers: Vec::new(),
            has_token: true,
            socket: None,
            body: None,
        };
        policy(&[Right::to(&outline)])
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
