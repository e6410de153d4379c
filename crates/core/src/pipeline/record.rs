//! The audit records of a request.

use super::Flow;
use crate::Outcome;
use secretum_audit::{
    AuditError, AuthPart, Decision, Entry, ErrorPart, Issued, Pending, Record, RequestPart,
    ResponsePart, Subject,
};
use secretum_engine::{Fault, Recorded, ReplyLease, Verb};
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The records of a request, in the making.
pub(super) struct Trail<'f> {
    flow: &'f Flow<'f>,
    entry: Entry<'f>,
}

/// A record on its way.
pub(super) struct Recording<'f> {
    request_id: &'f str,
    state: State,
}

enum State {
    Pending(Pending),
    Taken,
    Lost,
}

impl Recording<'_> {
    /// Waits until the record is taken; gives the same answer when asked again.
    ///
    /// **Errors**: [`Fault::Unrecorded`].
    pub(super) async fn taken(&mut self) -> Result<(), Fault> {
        // Whoever stops waiting does not know that it was taken.
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Pending(pending) => pending
                .taken()
                .await
                .map_err(|error| unrecorded(self.request_id, &error))?,
            State::Taken => {}
            State::Lost => return Err(Fault::Unrecorded),
        }
        self.state = State::Taken;
        Ok(())
    }
}

fn unrecorded(request_id: &str, error: &AuditError) -> Fault {
    tracing::error!(request_id, %error, "a request was not recorded");
    Fault::Unrecorded
}

impl<'f> Trail<'f> {
    /// Records a request that will be performed.
    pub(super) fn request(&mut self) -> Result<Recording<'f>, Fault> {
        self.send(None, None)
    }

    /// Records a request that was refused, and its refusal.
    pub(super) async fn refusal(&mut self, refusal: &Fault) -> Result<(), Fault> {
        let mut request = self.send(None, Some(refusal))?;
        let mut response = self.send(Some(REFUSED), Some(refusal))?;
        request.taken().await?;
        response.taken().await
    }

    /// Records an answer.
    pub(super) fn response(
        &mut self,
        outcome: &Result<Outcome, Fault>,
    ) -> Result<Recording<'f>, Fault> {
        let Outcome {
            reply, recorded, ..
        } = match outcome {
            Err(fault) => return self.send(Some(REFUSED), Some(fault)),
            Ok(outcome) => outcome,
        };
        let issued = reply.auth.as_deref().map(|auth| Issued {
            client_token: &auth.client_token,
            accessor: &auth.accessor,
            policies: &auth.policies,
        });
        let wrapping = reply.wrap_info.as_deref().map(|info| Issued {
            client_token: &info.token,
            accessor: &info.accessor,
            policies: &[],
        });
        let config = self
            .flow
            .mount
            .as_ref()
            .map(|(mount, _)| &mount.record.settings.config);
        let response = ResponsePart {
            status: "ok",
            data: reply.data.as_deref(),
            is_list: matches!(self.flow.request.verb, Verb::List | Verb::Scan),
            as_digest: *recorded == Recorded::Digest,
            clear_keys: config.map_or(&[], |config| &config.audit_non_hmac_response_keys),
            warnings: &reply.warnings,
            issued: issued.or(wrapping),
            lease_id: match reply.lease.as_deref() {
                Some(ReplyLease::Granted(grant)) => &grant.id,
                Some(ReplyLease::Wanted(_)) | None => "",
            },
        };
        self.send(Some(response), None)
    }

    fn send(
        &mut self,
        response: Option<ResponsePart<'_>>,
        fault: Option<&Fault>,
    ) -> Result<Recording<'f>, Fault> {
        let flow = self.flow;
        let granted = flow.granted.as_ref();
        let record = Record {
            time: flow.active.core.config.clock.now(),
            response,
            decision: granted.and_then(|found| {
                let policy_id = found.policy.as_deref()?;
                let allowed = found.allowed;
                Some(Decision { allowed, policy_id })
            }),
            cedar_decision: granted.and_then(|found| {
                let cedar = found.cedar.as_ref()?;
                Some(Decision {
                    allowed: cedar.allowed,
                    policy_id: &cedar.policy_id,
                })
            }),
            error: fault.map(error_part),
        };
        let request_id = &flow.request.id;
        let sent = self.entry.send(&record);
        Ok(Recording {
            request_id,
            state: State::Pending(sent.map_err(|error| unrecorded(request_id, &error))?),
        })
    }
}

/// The answer of a refusal, which its error tells all of.
const REFUSED: ResponsePart<'_> = ResponsePart {
    status: "error",
    data: None,
    is_list: false,
    as_digest: false,
    clear_keys: &[],
    warnings: &[],
    issued: None,
    lease_id: "",
};

/// What a [`Subject`] borrows from beyond the request.
pub(super) struct Spelled {
    address: String,
    query: Option<Box<RawValue>>,
}

impl Flow<'_> {
    /// What the records of this request repeat.
    pub(super) fn spelled(&self) -> Result<Spelled, Fault> {
        let address = self.request.remote_address.as_ref();
        Ok(Spelled {
            address: address.map(IpAddr::to_string).unwrap_or_default(),
            query: self.query_as_json()?,
        })
    }

    /// Begins the records of this request.
    pub(super) fn trail<'f>(&'f self, spelled: &'f Spelled) -> Trail<'f> {
        let mount = self.mount.as_ref().map(|(mount, _)| mount);
        let clear = mount.map(|mount| {
            mount
                .record
                .settings
                .config
                .audit_non_hmac_request_keys
                .as_slice()
        });
        let subject = Subject {
            auth: self.auth_part(),
            request: RequestPart {
                id: &self.request.id,
                operation: self.operation.as_str(),
                path: self.request.path.as_str(),
                mount_type: mount.map_or("", |mount| &mount.record.kind),
                mount_point: mount.map_or("", |mount| &mount.path),
                remote_address: &spelled.address,
                data: self.request.body.as_deref().or(spelled.query.as_deref()),
                clear_keys: clear.unwrap_or_default(),
                headers: &self.request.headers,
                wrap_ttl_seconds: self.request.wrap_ttl.map_or(0, |ttl| ttl.0),
            },
        };
        Trail {
            flow: self,
            entry: self.active.audits.broker.entry(subject),
        }
    }

    /// The query of a request without a body, as an object of strings.
    fn query_as_json(&self) -> Result<Option<Box<RawValue>>, Fault> {
        if self.request.body.is_some() || self.request.query.is_empty() {
            return Ok(None);
        }
        let pairs: BTreeMap<&str, &str> = (self
            .request
            .query
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str())))
        .collect();
        to_raw_value(&pairs).map(Some).map_err(Fault::internal)
    }

    fn auth_part(&self) -> Option<AuthPart<'_>> {
        let identity = self.identity.as_ref().ok()?;
        let record = &identity.token.record;
        Some(AuthPart {
            client_token: self
                .request
                .token
                .as_ref()
                .map_or("", |token| token.expose()),
            accessor: &record.accessor,
            display_name: &record.display_name,
            policies: &record.policies,
            entity_id: &record.entity_id,
            token_type: record.kind.as_str(),
            metadata: &record.meta,
            words: &identity.token.audit_words,
        })
    }
}

/// A refusal, as it may be recorded: a text that was put together may repeat what a caller sent,
/// secrets in the wrong place included, and one that is fixed cannot.
fn error_part(fault: &Fault) -> ErrorPart<'_> {
    let (text, detail) = match fault {
        Fault::Invalid(Cow::Owned(told)) => (Cow::Borrowed("invalid request"), Some(&**told)),
        Fault::Internal(reason) => (Cow::Borrowed("internal error"), Some(&**reason)),
        // Of what was sent, these name the path, which stands in the record anyway.
        told => (Cow::Owned(told.to_string()), None),
    };
    ErrorPart { text, detail }
}
