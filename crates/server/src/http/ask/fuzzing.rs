//! What must hold of any request that HTTP lets through.

use super::{WRAP_TTL, body, check_patch_type, one};
use super::{path, query, refuse_namespace, token, verb, wrap_ttl};
use http::Request as HttpRequest;
use secretum_engine::QUERY_PAIRS_MAX;

/// A head that is taken gives a path without `..`, empty segments and control characters, which ends
/// as its verb asks, and pairs within their limit.
///
/// **Shape**: the first line is a method and a target, each other line a header.
pub fn request_head(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut words = lines
        .next()
        .unwrap_or_default()
        .splitn(2, |byte| *byte == b' ');
    let (method, target) = (words.next(), words.next());
    let mut builder = HttpRequest::builder()
        .method(method.unwrap_or_default())
        .uri(target.unwrap_or_default());
    for line in lines {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next(), parts.next());
        builder = builder.header(name.unwrap_or_default(), value.unwrap_or_default());
    }
    let Ok(request) = builder.body(()) else {
        return;
    };
    check_target(&request);
    let headers = request.headers();
    // What headers say has no shape of its own: refusing them must not end the process.
    let _ = (refuse_namespace(headers), check_patch_type(headers));
    if let Ok(Some(token)) = token(headers) {
        assert!(!token.expose().contains('\n'));
    }
    if let Ok(Some(text)) = one(headers, &WRAP_TTL) {
        let _ = wrap_ttl(text);
    }
}

fn check_target(request: &HttpRequest<()>) {
    let Ok(mut pairs) = query(request.uri().query().unwrap_or_default()) else {
        return;
    };
    assert!(pairs.len() <= QUERY_PAIRS_MAX);
    let Ok(verb) = verb(request.method(), &mut pairs) else {
        return;
    };
    let Ok(path) = path(request.uri().path(), verb) else {
        return;
    };
    let text = path.as_str();
    assert!(!text.contains(char::is_control), "{text:?}");
    let body = text.strip_suffix('/').unwrap_or(text);
    let odd = |segment: &str| matches!(segment, "" | "." | "..");
    assert!(text.is_empty() || !body.split('/').any(odd), "{text:?}");
    assert!(!verb.names_folder() || text.is_empty() || text.ends_with('/'));
}

/// A body that is taken is a JSON object, and stands in what came letter by letter, however many
/// pieces it came in.
pub fn request_body(data: &[u8]) {
    let whole = body::parse(&[data]);
    let (start, end) = data.split_at(data.len() / 2);
    let pieces = body::parse(&[start, end]);
    assert_eq!(whole.is_ok(), pieces.is_ok());
    for raw in [whole, pieces].into_iter().flatten().flatten() {
        let raw = raw.get().as_bytes();
        assert!(raw.starts_with(b"{") && raw.ends_with(b"}"));
        assert_eq!(data.trim_ascii(), raw);
    }
}
