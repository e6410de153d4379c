//! The way of a request, in steps that each have one reason to fail:
//! state, resolve, identify, route, authorize, audit, handle, commit, audit the answer.
//!
//! What most requests never do stands in a box of its own: a request's future is as large as the
//! largest of its branches, and is moved and allocated whole.
//!
//! Resolving and routing never answer by themselves: a request without a mount or a row is authorized
//! by its path and verb like any other, and only a permitted caller learns that there is nothing.

mod admit;
mod authorize;
mod describe;
mod perform;
mod record;
mod touch;

pub(crate) use perform::{COMMIT_TRIES, contended};
pub(crate) use touch::{Touched, Toucher};

use crate::active::Active;
use crate::decision::Finding;
use crate::identity::Identity;
use crate::mounts::Mount;
use crate::quotas::Asked;
use crate::system::{self, System};
use crate::{Core, Measured, Outcome, Request, Response, metrics};
use secretum_engine::{
    Body, Class, Context, Fault, Input, Matched, Operation, RateFacts, RawReply, Recorded,
    RowFacts, RowId, Shape, Verb,
};
use std::sync::Arc;

/// The deepest nesting of a body.
const BODY_DEPTH_MAX: usize = 100;

impl Core {
    /// Takes a request through every step.
    pub async fn handle(&self, mut request: Request) -> Response {
        if matches!(request.verb, Verb::Write | Verb::Patch) {
            // The body alone says what is written: policies and audit look at the same fields as the
            // handler, in one place.
            request.query.clear();
        }
        let now = self.config.clock.now();
        let _listed = self.in_flight.list(&request, now);
        let mut told = Told {
            rate_limit: None,
            mount: None,
            measured: self.metrics.measured(request.verb.operation(), None),
        };
        let outcome = self.outcome(&request, &mut told).await;
        if let Err(fault) = &outcome {
            log_failure(&request, fault);
        }
        Response {
            request_id: request.id,
            rate_limit: told.rate_limit,
            mount: told.mount,
            measured: told.measured,
            outcome,
        }
    }

    async fn outcome(&self, request: &Request, told: &mut Told) -> Result<Outcome, Fault> {
        if let Some(body) = &request.body {
            check_depth(body.get())?;
        }
        if system::answers_while_sealed(request) {
            return Box::pin(self.answer_while_sealed(request)).await;
        }
        let Some(active) = self.active() else {
            return self.answer_sealed(request);
        };
        let _under_way = active.enter()?;
        tokio::select! {
            biased;
            outcome = serve(&active, request, told) => outcome,
            // A seal that waited long enough ends what is left: nothing of it may come to life again
            // with the next unseal.
            () = active.ending.cancelled() => Err(Fault::Sealed),
        }
    }

    /// What a sealed vault is asked for it does not have, but to be sealed.
    fn answer_sealed(&self, request: &Request) -> Result<Outcome, Fault> {
        let asks_to_seal = request.verb == Verb::Write && request.path.as_str() == "sys/seal";
        // Where an unseal is under way it may yet be open in a moment.
        if !asks_to_seal || !self.barrier.is_sealed() {
            return Err(Fault::Sealed);
        }
        Ok(Outcome {
            reply: RawReply::empty(),
            shape: Shape::Envelope,
            recorded: Recorded::default(),
        })
    }

    /// Init, unseal and their like: no token, no policy, no audit; logged.
    async fn answer_while_sealed(&self, request: &Request) -> Result<Outcome, Fault> {
        let told = self.lifecycle_answer(request).await;
        let (id, path) = (&request.id, request.path.as_str());
        let (verb, address) = (request.verb, request.remote_address);
        if verb == Verb::Write {
            // It changes the state of the server, and no audit device may be there to tell of it.
            let is_done = told.is_ok();
            tracing::info!(
                request_id = id,
                path,
                ?address,
                is_done,
                "lifecycle request"
            );
        } else {
            tracing::debug!(request_id = id, path, ?verb, ?address, "lifecycle request");
        }
        told
    }

    async fn lifecycle_answer(&self, request: &Request) -> Result<Outcome, Fault> {
        let path = request
            .path
            .as_str()
            .strip_prefix("sys/")
            .unwrap_or_default();
        if request.verb == Verb::Help {
            return describe::help_of(&*self.system, "sys/", "secret engine", path);
        }
        let (row, captures) = match self.system.find(request.verb, path) {
            Matched::Row(row, captures) => (row, captures),
            Matched::OtherVerb => return Err(Fault::Unsupported),
            Matched::Nothing => return Err(Fault::NotFound),
        };
        let input = Input {
            captures,
            query: &request.query,
            body: request.body.as_deref().map(Body::new).transpose()?,
            whole_body: None,
        };
        let context = Context {
            request_id: request.id.clone(),
            operation: request.verb.operation(),
            mount_path: Arc::from("sys/"),
            caller: None,
            has_sudo: false,
            remote_address: request.remote_address,
            clock: Arc::clone(&self.config.clock),
            rng: Arc::clone(&self.config.rng),
            system: None,
        };
        let reply = self.system.call(row, &input, &context).await?;
        let shape = self
            .system
            .facts(row)
            .map_or(Shape::Bare, |facts| facts.shape);
        Ok(Outcome {
            reply,
            shape,
            recorded: Recorded::default(),
        })
    }
}

/// Logs a refusal that its caller cannot do anything about.
fn log_failure(request: &Request, fault: &Fault) {
    match fault {
        Fault::Internal(reason) => {
            tracing::error!(request_id = request.id, reason, "a request failed");
        }
        Fault::Storage(error) if !error.is_for_callers() => {
            tracing::error!(request_id = request.id, %error, "the storage refused a request");
        }
        _ => {}
    }
}

async fn serve(active: &Arc<Active>, request: &Request, told: &mut Told) -> Result<Outcome, Fault> {
    active.read_point().await?;
    let flow = Flow::new(active, request);
    let mount = flow.mount.as_ref().map(|(mount, _)| &**mount);
    let operation = request.verb.operation();
    told.mount = mount.map(|mount| Arc::clone(&mount.path));
    told.measured = active.core.metrics.measured(operation, mount);
    told.rate_limit = flow.check_rate().await?;
    flow.run().await
}

/// What is told of a request beside its answer.
struct Told {
    rate_limit: Option<RateFacts>,
    mount: Option<Arc<str>>,
    measured: Measured,
}

/// A request on its way, and what the steps found out.
pub(crate) struct Flow<'r> {
    active: &'r Arc<Active>,
    request: &'r Request,
    mount: Option<(Arc<Mount>, &'r str)>,
    identity: Result<Identity, Fault>,
    operation: Operation,
    granted: Option<Finding>,
}

impl<'r> Flow<'r> {
    fn new(active: &'r Arc<Active>, request: &'r Request) -> Self {
        Self {
            mount: active.mounts.find(request.path.as_str()),
            identity: Err(Fault::Denied),
            operation: request.verb.operation(),
            granted: None,
            active,
            request,
        }
    }

    /// Whether a quota lets the request pass, before anything is looked up for it.
    async fn check_rate(&self) -> Result<Option<RateFacts>, Fault> {
        let (mount, below) =
            (self.mount.as_ref()).map_or(("", ""), |(mount, below)| (&*mount.path, *below));
        let quotas = &self.active.quotas;
        let admitted = quotas.admit(&Asked {
            mount,
            below,
            path: self.request.path.as_str(),
            address: self.request.remote_address,
        });
        if let Err(refusal) = &admitted
            && quotas.are_refusals_recorded()
        {
            Box::pin(self.record_refusal(refusal)).await?;
        }
        admitted
    }

    async fn run(mut self) -> Result<Outcome, Fault> {
        let (token, address) = (self.request.token.as_ref(), self.request.remote_address);
        self.identity = Identity::find(self.active, token, address).await;
        let outcome = match self.permit().await {
            // It is the largest part, and each future around it would be moved with it.
            Ok((route, context)) => Box::pin(self.perform(&route, &context)).await,
            Err(refusal) => {
                Box::pin(self.record_refusal(&refusal)).await?;
                Err(refusal)
            }
        };
        self.end_used_up_token().await;
        if let Err(fault) = &outcome {
            self.count_refused_login(fault);
        }
        outcome
    }

    /// Counts a login that was refused, and a token that was not known.
    fn count_refused_login(&self, fault: &Fault) {
        if self.identity.is_ok() || !metrics::is_refusal(fault) {
            return;
        }
        let method = self.mount.as_ref().map(|(mount, _)| &*mount.record.kind);
        let logs_in = self.request.verb == Verb::Write
            && (self.mount.as_ref()).is_some_and(|(mount, _)| mount.record.class() == Class::Auth);
        match method.filter(|_| logs_in && self.request.token.is_none()) {
            Some(method) => self.active.core.metrics.auth_failed(method),
            None if self.request.token.is_some() => {
                self.active.core.metrics.auth_failed("token");
            }
            None => {}
        }
    }

    async fn record_refusal(&self, refusal: &Fault) -> Result<(), Fault> {
        let spelled = self.spelled()?;
        self.trail(&spelled).refusal(refusal).await
    }

    /// Route and authorize: the row that answers, once the caller may know.
    async fn permit(&mut self) -> Result<(Route<'r>, Context), Fault> {
        let route = self.route();
        let mut context = self.context(&route);
        self.authorize(&route, &context).await?;
        context.operation = self.operation;
        context.has_sudo = self.granted.as_ref().is_some_and(|found| found.has_sudo);
        Ok((route, context))
    }

    fn route(&self) -> Route<'r> {
        let Some((mount, path)) = &self.mount else {
            return Route::Nothing;
        };
        match mount.engine.find(self.request.verb, path) {
            Matched::Row(row, captures) => Route::Row { row, captures },
            Matched::OtherVerb => Route::OtherVerb,
            Matched::Nothing => Route::Nothing,
        }
    }

    /// The facts of the row that answers.
    fn facts(&self, route: &Route<'r>) -> Option<RowFacts> {
        match (route, &self.mount) {
            (Route::Row { row, .. }, Some((mount, _))) => mount.engine.facts(*row),
            _ => None,
        }
    }

    fn input(&self, route: &Route<'r>) -> Result<Input<'r>, Fault> {
        let captures = match route {
            Route::Row { captures, .. } => captures.clone(),
            _ => Vec::new(),
        };
        let whole_body = self.facts(route).and_then(|facts| facts.whole_body);
        let body = self.request.body.as_deref().map(Body::new).transpose()?;
        Ok(Input {
            captures,
            query: &self.request.query,
            body,
            whole_body,
        })
    }

    fn context(&self, route: &Route<'r>) -> Context {
        let core = &self.active.core;
        let system = self
            .mount
            .as_ref()
            .filter(|(mount, _)| mount.record.is_system());
        let is_row = matches!(route, Route::Row { .. });
        Context {
            request_id: self.request.id.clone(),
            operation: self.operation,
            mount_path: self
                .mount
                .as_ref()
                .map_or_else(|| Arc::from(""), |(m, _)| m.path.clone()),
            caller: self
                .identity
                .as_ref()
                .ok()
                .map(|identity| Arc::clone(&identity.token.caller)),
            has_sudo: false,
            remote_address: self.request.remote_address,
            clock: Arc::clone(&core.config.clock),
            rng: Arc::clone(&core.config.rng),
            system: system.filter(|_| is_row).map(|_| self.system()),
        }
    }

    /// What the system engines get beyond what every engine gets.
    fn system(&self) -> Arc<dyn std::any::Any + Send + Sync> {
        Arc::new(System {
            active: Arc::clone(self.active),
            identity: self.identity.as_ref().ok().cloned(),
            token: self
                .request
                .token
                .as_ref()
                .map(secretum_crypto::SecretString::duplicate),
        })
    }

    async fn end_used_up_token(&self) {
        let Ok(identity) = &self.identity else { return };
        if identity.token.record.num_uses < 0
            && let Err(error) =
                Box::pin(self.active.tokens.revoke(self.active, &identity.token.id)).await
        {
            tracing::warn!(%error, "a used-up token could not be removed; it is refused anyway");
        }
    }
}

/// What the engine's table says of a request.
pub(crate) enum Route<'p> {
    /// This row answers.
    Row {
        row: RowId,
        captures: Vec<(&'static str, &'p str)>,
    },
    /// The path takes other verbs.
    OtherVerb,
    /// Nothing is there.
    Nothing,
}

/// Refuses bodies nested deeper than [`BODY_DEPTH_MAX`].
fn check_depth(json: &str) -> Result<(), Fault> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > BODY_DEPTH_MAX {
            return Err(Fault::invalid(format!(
                "the body is nested deeper than {BODY_DEPTH_MAX} levels"
            )));
        }
    }
    Ok(())
}

/// Whether a mount stands below `auth/`.
fn is_auth(mount: &Mount) -> bool {
    mount.record.class() == Class::Auth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check_depth(&nested(BODY_DEPTH_MAX)).is_ok());
        assert!(check_depth(&nested(BODY_DEPTH_MAX + 1)).is_err());
        assert!(check_depth(&format!("{{\"a\":\"{}\\\"{}\"}}", "[".repeat(500), "{")).is_ok());
    }
}
