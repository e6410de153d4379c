//! Authorize: whether the caller may do this, and which policy decided.

use super::{Flow, Route};
use crate::decision::{Finding, Question};
use secretum_engine::{Access, Body, Context, Fault, Input, Operation, Verb};
use secretum_policy::{AccessRequest, Parameters};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

impl<'r> Flow<'r> {
    /// Decides; what was decided stays in the flow for the audit record.
    ///
    /// **Errors**: [`Fault::Denied`].
    pub(super) async fn authorize(
        &mut self,
        route: &Route<'r>,
        context: &Context,
    ) -> Result<(), Fault> {
        if (self.facts(route)).is_some_and(|facts| facts.access == Access::Public) {
            return Ok(());
        }
        if let Err(refusal) = &self.identity {
            let path = self.request.path.as_str();
            return Err(match refusal {
                // Who unwraps a second time comes with a token that is gone.
                Fault::Denied if path == "sys/wrapping/unwrap" && self.request.token.is_some() => {
                    crate::system::wrapping::unknown()
                }
                Fault::Denied => Fault::Denied,
                // Fail closed, and say what it was: the storage did not answer, or too many others
                // use the same token.
                Fault::Storage(error) => Fault::Storage(error.clone()),
                Fault::Unavailable(told) => Fault::Unavailable(told.clone()),
                other => Fault::internal(other),
            });
        }
        let unknown = self.find_operation(route, context).await.err();
        let found = self.decide(route)?;
        let (allowed, page_limit) = (found.allowed, found.page_limit);
        self.granted = Some(found);
        match unknown {
            _ if !allowed => Err(Fault::Denied),
            Some(fault) => Err(fault),
            None => {
                self.check_page(page_limit)?;
                self.check_touches(route, context).await
            }
        }
    }

    /// Refuses a listing that is no page of at most so many names, where a policy allows only that.
    fn check_page(&self, page_limit: Option<u64>) -> Result<(), Fault> {
        let Some(most) = page_limit else {
            return Ok(());
        };
        let asked = self.request.query.iter().find(|(name, _)| name == "limit");
        let asked = asked.and_then(|(_, limit)| limit.parse::<u64>().ok());
        match asked {
            Some(limit) if (1..=most).contains(&limit) => Ok(()),
            _ => Err(Fault::invalid(format!(
                "this path is listed in pages of at most {most} names: ask with `limit` and `after`"
            ))),
        }
    }

    /// Finds out whether a write creates or updates, where its row wants to know.
    ///
    /// **Errors**: what keeps it from being known, for those to whom an update is allowed; it then
    /// counts as one.
    async fn find_operation(&mut self, route: &Route<'r>, context: &Context) -> Result<(), Fault> {
        if let (Verb::Write, Route::Row { row, captures }, Some((mount, _))) =
            (self.request.verb, route, &self.mount)
            && mount.engine.facts(*row).is_some_and(|facts| facts.upsert)
        {
            // The captures alone say what is written: what is wrong with a body is told to those
            // who may send it.
            let input = Input {
                captures: captures.clone(),
                query: &[],
                body: None,
                whole_body: None,
            };
            if !mount.engine.exists(*row, &input, context).await? {
                self.operation = Operation::Create;
            }
        }
        Ok(())
    }

    fn decide(&self, route: &Route<'r>) -> Result<Finding, Fault> {
        let identity = self.identity.as_ref().map_err(|_| Fault::Denied)?;
        let body = self.request.body.as_deref().map(Body::new).transpose();
        let body = match body {
            Ok(Some(body)) => body.fields()?,
            // What is no object has no parameters; the handler says what is wrong with it.
            Ok(None) | Err(_) => Vec::new(),
        };
        let fields = Fields::of(&body, &self.request.query);
        let wrap_ttl = self.request.wrap_ttl;
        Question {
            acl: &identity.acl,
            token: &identity.token,
            mount: self.mount.as_ref().map(|(mount, rest)| (&**mount, *rest)),
            request: AccessRequest {
                path: self.request.path.as_str(),
                operation: policy_operation(self.operation),
                parameters: Some(&fields),
                wrap_ttl: wrap_ttl.map(secretum_api::fields::Seconds::duration),
            },
            row: self.facts(route),
            address: self.request.remote_address,
        }
        .decide(self.active)
    }
}

/// An operation as policies name it.
pub(super) fn policy_operation(operation: Operation) -> secretum_policy::Operation {
    use secretum_policy::Operation as Policy;
    match operation {
        Operation::Create => Policy::Create,
        // Whoever may read a path may ask what it does.
        Operation::Read | Operation::Help => Policy::Read,
        Operation::Update => Policy::Update,
        Operation::Patch => Policy::Patch,
        Operation::Delete => Policy::Delete,
        Operation::List => Policy::List,
        Operation::Scan => Policy::Scan,
    }
}

/// The fields of a body, or the pairs of the query where there is none, as policies look at them.
#[derive(Debug)]
struct Fields<'a>(HashMap<&'a str, Cow<'a, str>>);

impl<'a> Fields<'a> {
    fn of(body: &'a [(Cow<'a, str>, &'a RawValue)], query: &'a [(String, String)]) -> Self {
        let query = query.iter().map(|(name, text)| {
            let json = serde_json::Value::from(text.as_str()).to_string();
            (name.as_str(), Cow::Owned(json))
        });
        let body = body
            .iter()
            .map(|(name, value)| (name.as_ref(), Cow::Borrowed(value.get())));
        Self(body.chain(query).collect())
    }
}

impl Parameters for Fields<'_> {
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.0.keys().copied())
    }

    fn json(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get(name).map(|json| Cow::Borrowed(json.as_ref()))
    }
}
