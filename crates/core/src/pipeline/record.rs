//! The audit records of a request.

use super::Flow;
use crate::Outcome;
use secretum_audit::{
    AuthPart, Decision, ErrorPart, Issued, Kind, Record, RequestPart, ResponsePart,
};
use secretum_engine::Fault;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

impl Flow<'_> {
    /// Records a request that will be performed.
    pub(super) async fn record_request(&self) -> Result<(), Fault> {
        self.write(Kind::Request, None, None).await
    }

    /// Records a request that was refused, and its refusal.
    pub(super) async fn record_refusal(&self, refusal: &Fault) -> Result<(), Fault> {
        self.write(Kind::Request, None, Some(refusal)).await?;
        self.write(Kind::Response, Some(&[]), Some(refusal)).await
    }

    /// Records an answer.
    pub(super) async fn record_response(
        &self,
        outcome: &Result<Outcome, Fault>,
    ) -> Result<(), Fault> {
        match outcome {
            Err(fault) => self.write(Kind::Response, Some(&[]), Some(fault)).await,
            Ok(outcome) => {
                let reply = &outcome.reply;
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
                let response = ResponsePart {
                    status: "ok",
                    data: reply.data.as_deref(),
                    clear_keys: self.clear_keys(Kind::Response),
                    warnings: &reply.warnings,
                    issued: issued.or(wrapping),
                };
                self.write_record(Kind::Response, Some(response), None)
                    .await
            }
        }
    }

    async fn write(
        &self,
        kind: Kind,
        warnings: Option<&[Cow<'static, str>]>,
        fault: Option<&Fault>,
    ) -> Result<(), Fault> {
        let response = warnings.map(|warnings| ResponsePart {
            status: "error",
            data: None,
            clear_keys: &[],
            warnings,
            issued: None,
        });
        self.write_record(kind, response, fault).await
    }

    async fn write_record(
        &self,
        kind: Kind,
        response: Option<ResponsePart<'_>>,
        fault: Option<&Fault>,
    ) -> Result<(), Fault> {
        let address = self.request.remote_address.as_ref().map(IpAddr::to_string);
        let mount = self.mount.as_ref().map(|(mount, _)| mount);
        let query = self.query_as_json()?;
        let record = Record {
            kind,
            time: self.active.core.config.clock.now(),
            auth: self.auth_part(),
            request: RequestPart {
                id: &self.request.id,
                operation: self.operation.as_str(),
                path: self.request.path.as_str(),
                mount_type: mount.map_or("", |mount| &mount.record.kind),
                mount_point: mount.map_or("", |mount| &mount.path),
                remote_address: address.as_deref().unwrap_or_default(),
                data: self.request.body.as_deref().or(query.as_deref()),
                clear_keys: self.clear_keys(Kind::Request),
                wrap_ttl_seconds: self.request.wrap_ttl.map_or(0, |ttl| ttl.0),
            },
            response,
            decision: self.granted.as_ref().map(|granted| Decision {
                allowed: granted.allowed,
                policy_id: &granted.policy_id,
            }),
            error: fault.map(error_part),
        };
        self.active
            .audits
            .broker
            .write(&record)
            .await
            .map_err(|error| {
                tracing::error!(request_id = self.request.id, %error, "a request was not recorded");
                Fault::Unrecorded
            })
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
            entity_id: "",
            token_type: "service",
            metadata: &record.meta,
        })
    }

    fn clear_keys(&self, kind: Kind) -> &[String] {
        let Some((mount, _)) = &self.mount else {
            return &[];
        };
        match kind {
            Kind::Request => &mount.record.config.audit_non_hmac_request_keys,
            Kind::Response => &mount.record.config.audit_non_hmac_response_keys,
        }
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
