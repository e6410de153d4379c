//! Cedar documents, and decisions over any request by them.
//!
//! **Shape**: a document; a line of `---` ends it, and behind it stands a request in lines: action,
//! path, roles with blanks between them, parameters as a JSON object.

use secretum_crypto::Timestamp;
use secretum_policy::cedar::{
    Action, Ask, Caller, Cedar, Circumstances, Document, Resource, Verdict, Wanted, format,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;

/// Reads a document, asks it, formats it, and asks what came of that.
pub(super) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (document, request) = text.split_once("\n---\n").unwrap_or((text, ""));
    let Ok(read) = Document::read("fuzz", document) else {
        // What is refused must be refused in words, whatever it is.
        assert!(Document::read("fuzz", document).is_err_and(|error| !error.to_string().is_empty()));
        return;
    };
    let ids: Vec<String> = read.ids().map(str::to_owned).collect();
    let verdict = asked(read, request);
    if let Verdict::Permitted(id) | Verdict::Forbidden(id) = &verdict {
        assert!(ids.iter().any(|known| **known == **id));
    }
    let stored = Document::read_stored("fuzz", document);
    assert!(stored.is_ok_and(|stored| asked(stored, request) == verdict));
    // What grows beyond a limit by it is refused, and means nothing else.
    let formatted = format(document).ok();
    let again = formatted.and_then(|formatted| Document::read("fuzz", &formatted).ok());
    assert!(again.is_none_or(|again| asked(again, request) == verdict));
}

fn asked(document: Document, request: &str) -> Verdict {
    let mut lines = request.lines();
    let mut line = || lines.next().unwrap_or_default();
    let action = Action::named(line()).or_else(|| Action::named("read"));
    let path = line();
    let roles: Vec<String> = line().split(' ').map(str::to_owned).collect();
    let parameters: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(line()).unwrap_or_default();
    let (mount, logical) = path.split_once('/').unwrap_or(("", path));
    let cedar = Cedar::default();
    cedar.put(document);
    let caller = Caller::new(None, "accessor", &roles, &[]);
    let (Ok(caller), Some(action)) = (caller, action) else {
        unreachable!("the schema can be used, and has `read`");
    };
    let ask = Ask {
        caller: &caller,
        action,
        resource: &Resource::new(mount, logical, path, "kv"),
        around: Circumstances {
            ttl: Duration::from_secs(60),
            time: Timestamp::from_unix_seconds(1_800_000_000),
            ip: None,
            mfa: false,
            wrap_ttl: Duration::ZERO,
            parameters: Some(&parameters),
        },
    };
    match cedar.decide(&ask, Wanted::Both) {
        Ok(verdict) => {
            // Whoever may do something below a mount sees it.
            let permitted = matches!(verdict, Verdict::Permitted(_));
            assert!(!permitted || cedar.may_permit_below(&caller, mount));
            verdict
        }
        Err(error) => unreachable!("{error}"),
    }
}
