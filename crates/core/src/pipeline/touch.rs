//! Touch: whether the caller may do what its request does on other paths than its own.
//!
//! Each is decided as a request of its own would be: by its path, its verb, and whether it creates or
//! updates. Where one is refused, so is the request, and its audit record names what refused it.

use super::authorize::policy_operation;
use super::{Flow, Route};
use crate::decision::{Finding, Question};
use crate::mounts::Mount;
use secretum_engine::{Access, Context, Fault, Input, Matched, Operation, RowId, Touch, Verb};
use secretum_policy::{AccessRequest, Parameters};
use std::borrow::Cow;
use std::sync::Arc;

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
        let Matched::Row(row, captures) = mount.engine.find(touch.verb, &touch.path) else {
            return Err(Fault::internal("a request touches a path without a row"));
        };
        let facts = (mount.engine.facts(row))
            .ok_or_else(|| Fault::internal("a request touches a row without facts"))?;
        let input = Input {
            captures,
            query: &[],
            body: None,
            whole_body: None,
        };
        let creates = facts.upsert && !mount.engine.exists(row, &input, context).await?;
        let operation = match touch.verb {
            Verb::Write if creates => Operation::Create,
            verb => verb.operation(),
        };
        let wrap_ttl = self.request.wrap_ttl;
        let mut found = Question {
            acl: &identity.acl,
            token: &identity.token,
            mount: Some((mount, &touch.path)),
            request: AccessRequest {
                path: &format!("{}{}", mount.path, touch.path),
                operation: policy_operation(operation),
                parameters: Some(&Unseen(touch.fields)),
                wrap_ttl: wrap_ttl.map(secretum_api::fields::Seconds::duration),
            },
            action: facts.action,
            sudo: facts.access == Access::Sudo,
            address: self.request.remote_address,
        }
        .decide(self.active)?;
        found.allowed &= facts.access != Access::Root || found.root;
        Ok(found)
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
