//! A request as a command line of `curl`, its token asked for and not shown.

use crate::persona::Persona;
use secretum_client::{Outline, TlsConfig};

/// The command line.
pub(crate) fn command(outline: &Outline, persona: Persona) -> String {
    let mut words = vec!["curl".to_owned()];
    if outline.method != "GET" {
        words.push(format!("-X {}", outline.method));
    }
    if let Some(socket) = &outline.socket {
        words.push(format!(
            "--unix-socket {}",
            single_quoted(&socket.display().to_string())
        ));
    }
    words.extend(tls(&outline.tls));
    for (name, value) in &outline.headers {
        words.push(format!("-H {}", single_quoted(&format!("{name}: {value}"))));
    }
    if outline.has_token {
        words.push(format!(
            "-H \"X-Vault-Token: $({} print token)\"",
            persona.name()
        ));
    }
    if let Some(body) = &outline.body {
        words.push(format!("-d {}", single_quoted(body)));
    }
    words.push(single_quoted(&outline.url));
    words.join(" ")
}

/// How curl is told whom to trust and how to prove itself.
fn tls(config: &TlsConfig) -> Vec<String> {
    let files = [
        ("--cacert", &config.ca_cert),
        ("--capath", &config.ca_path),
        ("--cert", &config.client_cert),
        ("--key", &config.client_key),
    ];
    let named = files.into_iter().filter_map(|(flag, file)| {
        let file = single_quoted(&file.as_ref()?.display().to_string());
        Some(format!("{flag} {file}"))
    });
    let careless = config.skip_verify.then(|| "--insecure".to_owned());
    named.chain(careless).collect()
}

/// A text that a shell takes as it is.
pub(crate) fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gets_every_text_as_it_is() {
        let outline = Outline {
            method: "PUT".to_owned(),
            url: "http://127.0.0.1:8200/v1/secret/a".to_owned(),
            headers: vec![("X-Vault-Request".to_owned(), "true".to_owned())],
            has_token: true,
            socket: None,
            tls: TlsConfig {
                ca_cert: Some("/etc/our ca.pem".into()),
                skip_verify: true,
                ..TlsConfig::default()
            },
            body: Some(r#"{"a":"it's $HOME"}"#.to_owned()),
            before: Vec::new(),
        };
        assert_eq!(
            command(&outline, Persona::Vault),
            r#"curl -X PUT --cacert '/etc/our ca.pem' --insecure -H 'X-Vault-Request: true' -H "X-Vault-Token: $(vault print token)" -d '{"a":"it'\''s $HOME"}' 'http://127.0.0.1:8200/v1/secret/a'"#
        );
    }
}
