//! Authorize: whether the caller may do this, and which policy decided.

use super::{Flow, Route};
use secretum_engine::{Access, Body, Context, Fault, Operation, Verb};
use secretum_policy::{AccessRequest, Decision, Parameters};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A decision, as the audit record tells it.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) allowed: bool,
    pub(crate) policy_id: String,
}

impl<'r> Flow<'r> {
    /// Decides; what was decided stays in the flow for the audit record.
    ///
    /// **Errors**: [`Fault::Denied`].
    pub(super) async fn authorize(
        &mut self,
        route: &Route<'r>,
        context: &Context,
    ) -> Result<(), Fault> {
        let access = self.access(route);
        if access == Access::Public {
            return Ok(());
        }
        if let Err(refusal) = &self.identity {
            return Err(match refusal {
                Fault::Denied => Fault::Denied,
                // The storage did not answer: fail closed, and say what it was.
                Fault::Storage(error) => Fault::Storage(error.clone()),
                other => Fault::internal(other),
            });
        }
        self.operation = self.operation(route, context).await?;
        let decision = self.decide()?;
        let allowed = decision.allowed
            && match access {
                Access::Public | Access::Token => true,
                Access::Sudo => decision.sudo || decision.root,
                Access::Root => decision.root,
            };
        let policy_id = match &decision.deciding {
            _ if decision.root => "root".to_owned(),
            Some(id) => format!("{}:{}", id.policy, id.path),
            None => String::new(),
        };
        self.granted = Some(Granted { allowed, policy_id });
        if allowed { Ok(()) } else { Err(Fault::Denied) }
    }

    fn access(&self, route: &Route<'r>) -> Access {
        match (route, &self.mount) {
            (Route::Row { row, .. }, Some((mount, _))) => mount
                .engine
                .facts(*row)
                .map_or(Access::Token, |facts| facts.access),
            _ => Access::Token,
        }
    }

    /// Whether a write creates or updates, where its row wants to know.
    async fn operation(&self, route: &Route<'r>, context: &Context) -> Result<Operation, Fault> {
        if let (Verb::Write, Route::Row { row, .. }, Some((mount, _))) =
            (self.request.verb, route, &self.mount)
            && mount.engine.facts(*row).is_some_and(|facts| facts.upsert)
        {
            let input = self.input(route)?;
            let exists = mount.engine.exists(*row, &input, context).await?;
            return Ok(if exists {
                Operation::Update
            } else {
                Operation::Create
            });
        }
        Ok(self.request.verb.operation())
    }

    fn decide(&self) -> Result<Decision, Fault> {
        let identity = self.identity.as_ref().map_err(|_| Fault::Denied)?;
        let body = self.request.body.as_deref().map(Body::new).transpose();
        let body = match body {
            Ok(Some(body)) => body.fields()?,
            // What is no object has no parameters; the handler says what is wrong with it.
            Ok(None) | Err(_) => Vec::new(),
        };
        let fields = Fields {
            body,
            query: &self.request.query,
        };
        Ok(identity.acl.decide(&AccessRequest {
            path: self.request.path.as_str(),
            operation: self.policy_operation(),
            parameters: Some(&fields),
            wrap_ttl: self
                .request
                .wrap_ttl
                .map(secretum_api::fields::Seconds::duration),
        }))
    }

    fn policy_operation(&self) -> secretum_policy::Operation {
        use secretum_policy::Operation as Policy;
        match self.operation {
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
}

/// The fields of body and query, as policies look at them.
#[derive(Debug)]
struct Fields<'a> {
    body: Vec<(Cow<'a, str>, &'a RawValue)>,
    query: &'a [(String, String)],
}

impl Parameters for Fields<'_> {
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        let query = self.query.iter().map(|(name, _)| name.as_str());
        Box::new(self.body.iter().map(|(name, _)| name.as_ref()).chain(query))
    }

    fn json(&self, name: &str) -> Option<Cow<'_, str>> {
        let body = self.body.iter().find(|(own, _)| own == name);
        body.map(|(_, value)| Cow::Borrowed(value.get()))
            .or_else(|| {
                let query = self.query.iter().find(|(own, _)| own == name);
                query
                    .map(|(_, text)| Cow::Owned(serde_json::Value::from(text.as_str()).to_string()))
            })
    }
}
