//! From an HTTP request to a [`Request`].

use super::Vault;
use super::body::{self, Held, Refusal};
use crate::listener::Peer;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use hyper::{Method, Request as HttpRequest, Version};
use percent_encoding::percent_decode_str;
use secretum_api::RequestPath;
use secretum_api::fields::{Seconds, parse_duration};
use secretum_core::{RecordedHeader, Request};
use secretum_crypto::SecretString;
use secretum_engine::{Fault, QUERY_PAIRS_MAX, Verb};
use std::sync::Arc;

/// A request as it was read, and what only HTTP knows of it.
pub(super) struct Asked {
    pub(super) request: Request,
    /// What its body takes up.
    pub(super) held: Held,
    is_get: bool,
}

impl Asked {
    /// Whether it asks for metrics.
    pub(super) fn is_metrics(&self) -> bool {
        self.is_get
            && self.request.verb == Verb::Read
            && self.request.path.as_str() == "sys/metrics"
    }

    /// Whether it asks for the health of the node.
    pub(super) fn is_health(&self) -> bool {
        self.is_get && self.request.verb == Verb::Read && self.request.path.as_str() == HEALTH
    }
}

/// What HEAD is answered at.
const HEALTH: &str = "sys/health";

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const WRAP_TTL: HeaderName = HeaderName::from_static("x-vault-wrap-ttl");

/// Reads a request and its body.
///
/// **Errors**: a [`Fault`] that says what is wrong with it, or that it was too slow.
pub(super) async fn read(
    vault: &Arc<Vault>,
    id: Result<String, Fault>,
    http: HttpRequest<Incoming>,
    peer: Peer,
) -> Result<Asked, Refusal> {
    let (head, body) = http.into_parts();
    let mut query = query(head.uri.query().unwrap_or_default())?;
    let verb = verb(&head.method, &mut query)?;
    let path = path(head.uri.path(), verb)?;
    // Elsewhere it would do all that a GET does, and tell nothing.
    if head.method == Method::HEAD && verb == Verb::Read && path.as_str() != HEALTH {
        return Err(Fault::Unsupported.into());
    }
    check_host(&head)?;
    refuse_namespace(&head.headers)?;
    let token = token(&head.headers)?;
    let wrap_ttl = one(&head.headers, &WRAP_TTL)?.map(wrap_ttl).transpose()?;
    if verb == Verb::Patch {
        check_patch_type(&head.headers)?;
    }
    let mut request = Request {
        id: id?,
        verb,
        path,
        query,
        body: None,
        token,
        remote_address: peer.address,
        client_certificates: peer.certificates,
        wrap_ttl,
        headers: recorded_headers(vault, &head.headers),
    };
    let mut held = Held::default();
    if matches!(verb, Verb::Write | Verb::Patch | Verb::Delete) {
        let waits_for_leave = head.headers.contains_key(EXPECT);
        (request.body, held) = body::read(vault, &request, body, waits_for_leave).await?;
    }
    Ok(Asked {
        request,
        held,
        is_get: head.method == Method::GET || head.method == Method::HEAD,
    })
}

/// The verb of a method; `list` and `scan` in the query make a GET another verb, `help` any method: who
/// asks what a request does must not have it done.
fn verb(method: &Method, query: &mut Vec<(String, String)>) -> Result<Verb, Fault> {
    let mut flag = |name: &str| {
        let at = query.iter().position(|(own, _)| own == name);
        let Some(value) = at.map(|at| query.remove(at).1) else {
            return Ok(false);
        };
        match value.as_str() {
            "true" | "True" | "TRUE" | "t" | "T" | "1" => Ok(true),
            "false" | "False" | "FALSE" | "f" | "F" | "0" | "" => Ok(false),
            _ => Err(Fault::invalid(format!("`{name}` must be true or false"))),
        }
    };
    if flag("help")? {
        return Ok(Verb::Help);
    }
    Ok(match method.as_str() {
        "GET" if flag("list")? => Verb::List,
        "GET" if flag("scan")? => Verb::Scan,
        "GET" | "HEAD" => Verb::Read,
        "LIST" => Verb::List,
        "SCAN" => Verb::Scan,
        "HELP" => Verb::Help,
        "POST" | "PUT" => Verb::Write,
        "PATCH" => Verb::Patch,
        "DELETE" => Verb::Delete,
        _ => return Err(Fault::Unsupported),
    })
}

fn path(raw: &str, verb: Verb) -> Result<RequestPath, Fault> {
    let raw = raw.strip_prefix("/v1/").ok_or(Fault::NotFound)?;
    check_percent_codes(raw)?;
    let decoded = percent_decode_str(raw).decode_utf8();
    let decoded = decoded.map_err(|_| Fault::invalid("the path is not valid UTF-8"))?;
    let path = RequestPath::parse(decoded).map_err(|error| Fault::invalid(error.to_string()))?;
    Ok(if verb.names_folder() {
        path.into_folder()
    } else {
        path
    })
}

/// Refuses a `%` that two hex digits do not follow.
fn check_percent_codes(text: &str) -> Result<(), Fault> {
    let well_formed = text.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes();
        let mut hex = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        hex() && hex()
    });
    if well_formed {
        Ok(())
    } else {
        Err(Fault::invalid("the path or query holds a bad percent code"))
    }
}

fn query(raw: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut pairs = Vec::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == QUERY_PAIRS_MAX {
            return Err(Fault::invalid(format!(
                "the query has more than {QUERY_PAIRS_MAX} pairs"
            )));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok(pairs)
}

fn decode(text: &str) -> Result<String, Fault> {
    check_percent_codes(text)?;
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Fault::invalid("the query is not valid UTF-8"))
}

/// The value of a header that may stand once.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Fault::invalid(format!(
            "the header `{name}` stands more than once"
        )));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| Fault::invalid(format!("the header `{name}` is not ASCII")))
}

/// Refuses a host that is named twice, or not at all where it has to be: RFC 9112, section 3.2.
fn check_host(head: &Parts) -> Result<(), Fault> {
    match one(&head.headers, &HOST)? {
        None if head.version == Version::HTTP_11 => {
            Err(Fault::invalid("the header `host` is missing"))
        }
        _ => Ok(()),
    }
}

fn token(headers: &HeaderMap) -> Result<Option<SecretString>, Fault> {
    let mut tokens = headers.get_all(&TOKEN).iter();
    if let Some(token) = tokens.next() {
        if tokens.next().is_some() {
            return Err(Fault::invalid(
                "the header `x-vault-token` stands more than once",
            ));
        }
        // What is no text is no token either, and is refused as any wrong one.
        let token = String::from_utf8_lossy(token.as_bytes()).into_owned();
        return Ok(Some(SecretString::new(token)).filter(|token| !token.is_empty()));
    }
    let bearer = one(headers, &AUTHORIZATION)?.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim().to_owned())
    });
    Ok(bearer.map(SecretString::new))
}

/// Those that audit records show.
fn recorded_headers(vault: &Vault, headers: &HeaderMap) -> Vec<RecordedHeader> {
    vault.core.recorded_headers(|name| {
        let values = headers.get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        values.collect()
    })
}

/// There is the root namespace only.
fn refuse_namespace(headers: &HeaderMap) -> Result<(), Fault> {
    match one(headers, &NAMESPACE)?.map(|name| name.trim_matches('/')) {
        None | Some("" | "root") => Ok(()),
        Some(_) => Err(Fault::NotFoundBecause(
            "namespaces are not served by this version".into(),
        )),
    }
}

/// The life of a wrapping token. A part of a second counts as a whole one: 0 would be an answer that is
/// not wrapped, for a client that asked for wrapping.
fn wrap_ttl(text: &str) -> Result<Seconds, Fault> {
    let whole = Seconds::parse(text)
        .map_err(|error| Fault::invalid(format!("X-Vault-Wrap-TTL: {error}")))?;
    let has_rest = parse_duration(text.trim()).is_ok_and(|exact| exact > whole.duration());
    Ok(if whole.0 == 0 && has_rest {
        Seconds(1)
    } else {
        whole
    })
}

fn check_patch_type(headers: &HeaderMap) -> Result<(), Fault> {
    let media = one(headers, &CONTENT_TYPE)?.unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/merge-patch+json") {
        return Ok(());
    }
    Err(Fault::MediaType(
        "PATCH requires Content-Type: application/merge-patch+json".into(),
    ))
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_in_the_query_decides_before_the_method() {
        let ask = |method: &str, value: &str| {
            let mut query = vec![("help".to_owned(), value.to_owned())];
            verb(&Method::from_bytes(method.as_bytes()).unwrap(), &mut query)
        };
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "LIST", "SCAN", "HELP",
        ] {
            assert_eq!(ask(method, "1").unwrap(), Verb::Help, "{method}");
            assert!(ask(method, "perhaps").is_err(), "{method}");
        }
        assert_eq!(ask("DELETE", "0").unwrap(), Verb::Delete);
        assert_eq!(ask("POST", "").unwrap(), Verb::Write);
    }

    #[test]
    fn a_part_of_a_second_is_wrapped_for_a_whole_one() {
        for (text, seconds) in [
            ("0", 0),
            ("0ms", 0),
            ("1ns", 1),
            (" 500ms ", 1),
            ("1500ms", 1),
            ("60", 60),
        ] {
            assert_eq!(wrap_ttl(text).unwrap().0, seconds, "{text}");
        }
    }
}
