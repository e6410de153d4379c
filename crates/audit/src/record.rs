//! [`Subject`] and [`Record`]: what one line of an audit log tells.

use crate::elide;
use crate::form::Form;
use parking_lot::Mutex;
use secretum_crypto::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who asked for what: the part that the records of a request and of its answer have in common.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Who asked; `None` without a token.
    pub auth: Option<AuthPart<'a>>,
    /// What was asked.
    pub request: RequestPart<'a>,
}

/// What one line of an audit log tells of its subject.
#[derive(Debug)]
pub struct Record<'a> {
    /// When.
    pub time: Timestamp,
    /// What was answered; `None` in a request's record, which is written before anything happens.
    pub response: Option<ResponsePart<'a>>,
    /// The rule of an HCL policy that decided, where one did.
    pub decision: Option<Decision<'a>>,
    /// The statement of a Cedar policy that decided, where one did.
    pub cedar_decision: Option<Decision<'a>>,
    /// Why it was refused.
    pub error: Option<ErrorPart<'a>>,
}

/// Why a request was refused.
#[derive(Debug, Clone)]
pub struct ErrorPart<'a> {
    /// The kind of refusal, or all of it where it holds nothing that the caller sent.
    pub text: Cow<'a, str>,
    /// What the caller was told; it may repeat what was sent, and is concealed.
    pub detail: Option<&'a str>,
}

/// Who asked.
#[derive(Debug, Clone)]
pub struct AuthPart<'a> {
    /// The token; concealed.
    pub client_token: &'a str,
    /// Its accessor; concealed.
    pub accessor: &'a str,
    /// Its display name.
    pub display_name: &'a str,
    /// Names of all its policies.
    pub policies: &'a [String],
    /// Its entity; empty without one.
    pub entity_id: &'a str,
    /// `service` or `batch`.
    pub token_type: &'a str,
    /// Its metadata.
    pub metadata: &'a BTreeMap<String, String>,
    /// What the devices made of all this before.
    pub words: &'a AuthWords,
}

/// How the devices tell who asked, remembered: it is the same in every request of a token, and costs
/// two HMACs.
#[derive(Debug, Default)]
pub struct AuthWords(Mutex<Vec<(u64, Arc<[u8]>)>>);

/// For so many devices the words are remembered; a token keeps no more of those that were replaced.
const WORDS_MAX: usize = 4;

/// Longer words are made anew each time.
const WORDS_BYTES_MAX: usize = 1_024;

impl AuthWords {
    fn of(&self, form: &Form) -> Option<Arc<[u8]>> {
        let words = self.0.lock();
        let mut known = words.iter();
        let (_, found) = known.find(|(number, _)| *number == form.number)?;
        Some(Arc::clone(found))
    }

    fn remember(&self, form: &Form, made: &[u8]) {
        if made.len() > WORDS_BYTES_MAX {
            return;
        }
        let mut words = self.0.lock();
        if words.len() >= WORDS_MAX {
            words.remove(0);
        }
        words.push((form.number, Arc::from(made)));
    }
}

/// What was asked.
#[derive(Debug, Clone)]
pub struct RequestPart<'a> {
    /// Id of the request.
    pub id: &'a str,
    /// `create`, `read`, `update`…
    pub operation: &'a str,
    /// The path, without `/v1/`.
    pub path: &'a str,
    /// The mount's kind; empty where no mount was found.
    pub mount_type: &'a str,
    /// The mount's path; empty where no mount was found.
    pub mount_point: &'a str,
    /// Where the request came from; empty where it is not known.
    pub remote_address: &'a str,
    /// The body; its strings are concealed.
    pub data: Option<&'a RawValue>,
    /// Top-level keys of the body that stay clear.
    pub clear_keys: &'a [String],
    /// Those of its headers that are recorded.
    pub headers: &'a [RecordedHeader],
    /// Life of the wrapping token asked for, in seconds; 0 for none.
    pub wrap_ttl_seconds: u64,
}

/// A header of a request that is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedHeader {
    /// Its name, in lower case.
    pub name: String,
    /// Its values; it may stand more than once.
    pub values: Vec<String>,
    /// Whether the values are concealed.
    pub concealed: bool,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct ResponsePart<'a> {
    /// `ok`, or the word for why not.
    pub status: &'a str,
    /// The answer; its strings are concealed.
    pub data: Option<&'a RawValue>,
    /// Whether it answers a listing.
    pub is_list: bool,
    /// Whether the answer is concealed as one string, its JSON text, in `data_digest`: for what is
    /// large and tells nothing that is stored.
    pub as_digest: bool,
    /// Top-level keys of the answer that stay clear.
    pub clear_keys: &'a [String],
    /// What the caller was warned of.
    pub warnings: &'a [Cow<'static, str>],
    /// The token that was issued.
    pub issued: Option<Issued<'a>>,
    /// Id of the lease of what was answered; empty without one.
    pub lease_id: &'a str,
}

/// A token that was issued.
#[derive(Debug, Clone, Copy)]
pub struct Issued<'a> {
    /// The token; concealed.
    pub client_token: &'a str,
    /// Its accessor; concealed.
    pub accessor: &'a str,
    /// Names of its policies.
    pub policies: &'a [String],
}

/// The policy that decided.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    /// Whether it allowed.
    pub allowed: bool,
    /// Of HCL the policy's name and the path of the rule, of Cedar the id of the statement.
    pub policy_id: &'a str,
}

impl Subject<'_> {
    /// The subject as a device shows it in every record of it.
    pub(crate) fn render(&self, form: &Form) -> Vec<u8> {
        let mut line = Line {
            form,
            out: Vec::with_capacity(LINE_BYTES),
        };
        match &self.auth {
            None => line.raw(",\"auth\":{}"),
            Some(auth) => match auth.words.of(form) {
                Some(words) => line.out.extend_from_slice(&words),
                None => {
                    line.auth(auth);
                    auth.words.remember(form, &line.out);
                }
            },
        }
        line.request(&self.request);
        line.out
    }
}

impl Record<'_> {
    /// The record of a rendered subject as a device shows it, up to where sequence and chain are
    /// added: no closing brace.
    pub(crate) fn render(&self, subject: &[u8], form: &Form) -> Vec<u8> {
        let mut line = Line {
            form,
            out: Vec::with_capacity(subject.len() + LINE_BYTES),
        };
        line.raw("{\"timestamp\":");
        line.json(&self.time.to_rfc3339());
        line.raw(if self.response.is_some() {
            ",\"type\":\"response\""
        } else {
            ",\"type\":\"request\""
        });
        line.out.extend_from_slice(subject);
        if let Some(response) = &self.response {
            line.response(response);
        }
        if let Some(decision) = &self.decision {
            line.decision("policy", decision);
        }
        if let Some(decision) = &self.cedar_decision {
            line.decision("cedar_policy", decision);
        }
        if let Some(error) = &self.error {
            line.member("error", error.text.as_ref());
            if let Some(detail) = error.detail {
                line.concealed("error_detail", detail);
            }
        }
        line.out
    }
}

/// Room for a line without a body, in bytes.
const LINE_BYTES: usize = 768;

/// A line in the making.
struct Line<'k> {
    form: &'k Form,
    out: Vec<u8>,
}

impl Line<'_> {
    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        if serde_json::to_writer(&mut self.out, value).is_err() {
            self.raw("null");
        }
    }

    fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.raw(",\"");
        self.raw(name);
        self.raw("\":");
        self.json(value);
    }

    fn concealed(&mut self, name: &str, text: &str) {
        self.raw(",\"");
        self.raw(name);
        self.raw("\":");
        self.form.text(text, &mut self.out);
    }

    fn decision(&mut self, name: &str, decision: &Decision<'_>) {
        self.raw(",\"");
        self.raw(name);
        self.raw("\":{\"decision\":");
        self.json(if decision.allowed { "allow" } else { "deny" });
        self.member("policy_id", decision.policy_id);
        self.raw("}");
    }

    fn accessor(&mut self, accessor: &str) {
        self.raw(",\"accessor\":");
        self.form.accessor(accessor, &mut self.out);
    }

    fn data(&mut self, data: Option<&RawValue>, clear: &[String]) {
        if let Some(data) = data {
            self.raw(",\"data\":");
            self.form.json(data.get(), clear, &mut self.out);
        }
    }

    fn auth(&mut self, auth: &AuthPart<'_>) {
        self.raw(",\"auth\":{\"display_name\":");
        self.json(auth.display_name);
        self.concealed("client_token", auth.client_token);
        self.accessor(auth.accessor);
        self.member("policies", auth.policies);
        self.member("entity_id", auth.entity_id);
        self.member("token_type", auth.token_type);
        if !auth.metadata.is_empty() {
            self.member("metadata", auth.metadata);
        }
        self.raw("}");
    }

    fn request(&mut self, request: &RequestPart<'_>) {
        self.raw(",\"request\":{\"id\":");
        self.json(request.id);
        self.member("operation", request.operation);
        self.member("path", request.path);
        self.raw(",\"namespace\":{\"id\":\"root\"}");
        self.member("mount_type", request.mount_type);
        self.member("mount_point", request.mount_point);
        self.member("remote_address", request.remote_address);
        if request.wrap_ttl_seconds > 0 {
            self.member("wrap_ttl", &request.wrap_ttl_seconds);
        }
        self.headers(request.headers);
        self.data(request.data, request.clear_keys);
        self.raw("}");
    }

    fn headers(&mut self, headers: &[RecordedHeader]) {
        if headers.is_empty() {
            return;
        }
        for (number, header) in headers.iter().enumerate() {
            self.raw(if number == 0 { ",\"headers\":{" } else { "," });
            self.json(&header.name);
            self.raw(":[");
            for (number, value) in header.values.iter().enumerate() {
                self.raw(if number == 0 { "" } else { "," });
                if header.concealed {
                    self.form.text(value, &mut self.out);
                } else {
                    self.json(value);
                }
            }
            self.raw("]");
        }
        self.raw("}");
    }

    fn response(&mut self, response: &ResponsePart<'_>) {
        self.raw(",\"response\":{\"status\":");
        self.json(response.status);
        match response.data {
            Some(data) if response.as_digest => self.concealed("data_digest", data.get()),
            Some(data) if response.is_list && self.form.options.elide_list_responses => {
                let elided = elide::without_names(data);
                self.data(elided.as_deref().or(Some(data)), response.clear_keys);
            }
            data => self.data(data, response.clear_keys),
        }
        if !response.warnings.is_empty() {
            self.member("warnings", response.warnings);
        }
        if let Some(issued) = response.issued {
            self.raw(",\"auth\":{\"policies\":");
            self.json(issued.policies);
            self.concealed("client_token", issued.client_token);
            self.accessor(issued.accessor);
            self.raw("}");
        }
        if !response.lease_id.is_empty() {
            self.raw(",\"secret\":{\"lease_id\":");
            self.json(response.lease_id);
            self.raw("}");
        }
        self.raw("}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::FormOptions;

    fn rendered(words: &AuthWords, policies: &[String], key: &Form) -> String {
        let metadata = BTreeMap::new();
        let subject = Subject {
            auth: Some(AuthPart {
                client_token: "hvs.1",
                accessor: "accessor",
                display_name: "root",
                policies,
                entity_id: "",
                token_type: "service",
                metadata: &metadata,
                words,
            }),
            request: RequestPart {
                id: "id",
                operation: "read",
                path: "secret/a",
                mount_type: "kv",
                mount_point: "secret/",
                remote_address: "",
                data: None,
                clear_keys: &[],
                headers: &[],
                wrap_ttl_seconds: 0,
            },
        };
        String::from_utf8(subject.render(key)).unwrap()
    }

    #[test]
    fn remembered_words_are_those_of_the_device() {
        let words = AuthWords::default();
        let long = ["x".repeat(WORDS_BYTES_MAX)];
        for round in 0..3 {
            for number in 0..=u8::try_from(WORDS_MAX).unwrap() {
                let key = Form::new(&[number], FormOptions::default());
                let fresh = rendered(&AuthWords::default(), &[], &key);
                assert_eq!(rendered(&words, &[], &key), fresh, "round {round}");
                assert_eq!(rendered(&words, &[], &key), fresh, "round {round}");
                let hash = format!(
                    "\"client_token\":\"hmac-sha256:{}\"",
                    key.key.sign_hex(b"hvs.1")
                );
                assert!(fresh.contains(&hash));
            }
            assert_eq!(words.0.lock().len(), WORDS_MAX);
        }
        let unbounded = AuthWords::default();
        let key = Form::new(b"key", FormOptions::default());
        rendered(&unbounded, &long, &key);
        assert!(unbounded.0.lock().is_empty());
    }
}
