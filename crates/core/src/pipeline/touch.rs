//! Touch: whether the caller may do what its request does on other paths than its own.
//!
//! Each is decided as a request of its own would be: by its path, its verb, and whether it creates or
//! updates. Where one is refused, so is the request, and its audit record names what refused it.

use super::authorize::policy_operation;
use super::{Flow, Route};
use crate::active::Active;
use crate::decision::{Finding, Question};
use crate::identity::Identity;
use crate::mounts::Mount;
use secretum_api::fields::Seconds;
use secretum_engine::{Context, Fault, Input, Matched, Operation, RowFacts, RowId, Touch, Verb};
use secretum_policy::{self as policy, AccessRequest, Parameters};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

impl<'r> Flow<'r> {
    /// Asks the policies for each path that the request touches.
    ///
    /// **Errors**: [`Fault::Denied`]; what is wrong with the request, as the paths stand in it.
    pub(super) async fn check_touches(
        &mut self,
        route: &Route<'r>,
        context: &Context,
    ) -> Result<(), Fault> {
        let Some((mount, row)) = self.touching(route) else {
            return Ok(());
        };
        let touches = mount.engine.touches(row, &self.input(route)?)?;
        for touch in touches {
            let found = Box::pin(self.decide_touch(&mount, &touch, context)).await?;
            if !found.allowed {
                self.granted = Some(found);
                return Err(Fault::Denied);
            }
        }
        Ok(())
    }

    /// The row of the request, where it touches other paths than its own.
    fn touching(&self, route: &Route<'r>) -> Option<(Arc<Mount>, RowId)> {
        let (Route::Row { row, .. }, Some((mount, _))) = (route, &self.mount) else {
            return None;
        };
        let touches = self.request.verb != Verb::Help && mount.engine.facts(*row)?.touches;
        touches.then(|| (Arc::clone(mount), *row))
    }

    async fn decide_touch(
        &self,
        mount: &Mount,
        touch: &Touch,
        context: &Context,
    ) -> Result<Finding, Fault> {
        let identity = self.identity.as_ref().map_err(|_| Fault::Denied)?;
        let touched = Touched::new(mount, touch)?;
        let operation = policy_operation(touched.operation(context).await?);
        let by = Toucher {
            identity,
            wrap_ttl: self.request.wrap_ttl.map(Seconds::duration),
            address: self.request.remote_address,
        };
        touched.decide(operation, &by, self.active)
    }
}

/// Who touches a path, and what is around the request.
pub(crate) struct Toucher<'t> {
    pub(crate) identity: &'t Identity,
    pub(crate) wrap_ttl: Option<Duration>,
    pub(crate) address: Option<IpAddr>,
}

/// A path that a request touches, and the row that a request of its own would come to.
pub(crate) struct Touched<'t> {
    mount: &'t Mount,
    touch: &'t Touch,
    row: RowId,
    captures: Vec<(&'static str, &'t str)>,
    facts: RowFacts,
}

impl<'t> Touched<'t> {
    /// **Errors**: [`Fault::Internal`] where the mount has no such row.
    pub(crate) fn new(mount: &'t Mount, touch: &'t Touch) -> Result<Self, Fault> {
        let Matched::Row(row, captures) = mount.engine.find(touch.verb, &touch.path) else {
            return Err(Fault::internal("a request touches a path without a row"));
        };
        let facts = (mount.engine.facts(row))
            .ok_or_else(|| Fault::internal("a request touches a row without facts"))?;
        Ok(Self {
            mount,
            touch,
            row,
            captures,
            facts,
        })
    }

    /// The whole path.
    pub(crate) fn path(&self) -> String {
        format!("{}{}", self.mount.path, self.touch.path)
    }

    /// What it is there, where a write creates if the request itself does.
    pub(crate) fn operation_beside(&self, asked: policy::Operation) -> policy::Operation {
        match self.touch.verb {
            Verb::Write if self.facts.upsert && asked == policy::Operation::Create => asked,
            verb => policy_operation(verb.operation()),
        }
    }

    async fn operation(&self, context: &Context) -> Result<Operation, Fault> {
        let input = Input {
            captures: self.captures.clone(),
            query: &[],
            body: None,
            whole_body: None,
        };
        let engine = &self.mount.engine;
        let creates = self.facts.upsert && !engine.exists(self.row, &input, context).await?;
        Ok(match self.touch.verb {
            Verb::Write if creates => Operation::Create,
            verb => verb.operation(),
        })
    }

    /// Asks the policies.
    ///
    /// **Errors**: [`Fault::Internal`] where a policy cannot be read.
    pub(crate) fn decide(
        &self,
        operation: policy::Operation,
        by: &Toucher<'_>,
        active: &Active,
    ) -> Result<Finding, Fault> {
        Question {
            acl: &by.identity.acl,
            token: &by.identity.token,
            mount: Some((self.mount, &self.touch.path)),
            request: AccessRequest {
                path: &self.path(),
                operation,
                parameters: Some(&Unseen(self.touch.fields)),
                wrap_ttl: by.wrap_ttl,
            },
            row: Some(self.facts),
            address: by.address,
        }
        .decide(active)
    }
}

/// Parameters that are there, and whose values nobody knows.
#[derive(Debug)]
struct Unseen(&'static [&'static str]);

impl Parameters for Unseen {
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.0.iter().copied())
    }

    /// No JSON: rules over values refuse it, in HCL and in Cedar.
    fn json(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.contains(&name).then_some(Cow::Borrowed(""))
    }
}
