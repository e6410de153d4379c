//! Perform: what a permitted request does, between the record of it and the record of its answer.

use super::record::{Recording, Trail};
use super::{Flow, Route};
use crate::ceremonies::Confirmation;
use crate::mounts::Mount;
use crate::{Outcome, system};
use secretum_engine::{Context, Fault, Input, RawReply, Recorded, RowId, Shape, Verb};
use secretum_storage::StorageError;

/// How often a change is tried again because another request won the race for a key.
pub(crate) const COMMIT_TRIES: usize = 32;

/// A handler and what it is called with.
struct Call<'c> {
    mount: &'c Mount,
    row: RowId,
    input: &'c Input<'c>,
    context: &'c Context,
}

impl<'r> Flow<'r> {
    /// Audit, handle, commit, wrap, audit the answer. What was issued is taken back where its caller
    /// cannot get it.
    pub(super) async fn perform(
        &self,
        route: &Route<'r>,
        context: &Context,
    ) -> Result<Outcome, Fault> {
        let spelled = self.spelled()?;
        let mut trail = self.trail(&spelled);
        let mut recording = trail.request()?;
        if !self.has_no_effect_before_commit() {
            recording.taken().await?;
        }
        let confirmation = self.expect_confirmation();
        let mut issued = Vec::new();
        let outcome = match self.answer(route, context, &mut recording).await {
            Ok(outcome) => {
                issued.extend(issued_token(&outcome.reply));
                self.wrap(outcome, &mut recording).await
            }
            refused => refused,
        };
        if let Ok(outcome) = &outcome {
            let wrapping = outcome.reply.wrap_info.as_ref();
            issued.extend(wrapping.map(|info| info.token.clone()));
        } else {
            self.take_back(&issued).await;
        }
        let closed = self.close(trail, recording, &outcome).await;
        if closed.is_err() {
            self.take_back(&issued).await;
        }
        if let Some(confirmation) = confirmation {
            if outcome.is_ok() && closed.is_ok() {
                confirmation.confirm();
            } else {
                confirmation.take_back().await;
            }
        }
        closed?;
        outcome
    }

    /// What handlers of `sys` bring about by themselves waits for the record of their answer.
    fn expect_confirmation(&self) -> Option<Confirmation> {
        let (mount, _) = self.mount.as_ref()?;
        let acts = self.request.verb == Verb::Write && mount.record.kind == system::KIND;
        acts.then(|| Confirmation::expect(self.active, &self.request.id))
    }

    /// Whether nothing happens before the core commits what the handler gives it: the handler may then
    /// run while the record of its request is on its way. Handlers of the system act by themselves.
    fn has_no_effect_before_commit(&self) -> bool {
        let is_read = matches!(
            self.request.verb,
            Verb::Read | Verb::List | Verb::Scan | Verb::Help
        );
        is_read
            || self
                .mount
                .as_ref()
                .is_none_or(|(mount, _)| !mount.record.is_system())
    }

    /// Records the answer, and makes sure of both records.
    async fn close(
        &self,
        mut trail: Trail<'_>,
        mut request: Recording<'_>,
        outcome: &Result<Outcome, Fault>,
    ) -> Result<(), Fault> {
        let mut response = trail.response(outcome)?;
        request.taken().await?;
        response.taken().await
    }

    /// Puts an answer behind a wrapping token, where the request asks for that.
    async fn wrap(
        &self,
        outcome: Outcome,
        recording: &mut Recording<'_>,
    ) -> Result<Outcome, Fault> {
        let ttl = self.request.wrap_ttl.filter(|ttl| ttl.0 > 0);
        let is_wrapped = outcome.reply.wrap_info.is_some();
        let wrappable = outcome.shape != Shape::Bare && !outcome.reply.gone && !is_wrapped;
        match ttl.filter(|_| wrappable && outcome.reply.has_content()) {
            Some(ttl) => {
                recording.taken().await?;
                let path = self.request.path.as_str();
                Box::pin(system::wrapping::wrap(
                    self.active,
                    path,
                    ttl,
                    outcome.reply,
                ))
                .await
            }
            None => Ok(outcome),
        }
    }

    async fn answer(
        &self,
        route: &Route<'r>,
        context: &Context,
        recording: &mut Recording<'_>,
    ) -> Result<Outcome, Fault> {
        if self.request.verb == Verb::Help {
            return self.help();
        }
        let (row, mount) = match (route, &self.mount) {
            (Route::Row { row, .. }, Some((mount, _))) => (*row, mount),
            (Route::OtherVerb, Some(_)) => return Err(Fault::Unsupported),
            (Route::Nothing, Some(_)) => {
                return Err(Fault::NotFoundBecause("unsupported path".into()));
            }
            (_, None) => return Err(self.no_handler()),
        };
        let input = self.input(route)?;
        let (shape, recorded) = mount
            .engine
            .facts(row)
            .map_or((Shape::Envelope, Recorded::Whole), |facts| {
                (facts.shape, facts.recorded)
            });
        let call = Call {
            mount,
            row,
            input: &input,
            context,
        };
        let reply = self.handle_and_commit(&call, recording).await?;
        Ok(Outcome {
            reply,
            shape,
            recorded,
        })
    }

    /// Runs the handler and commits what it wants written; again, where another request won.
    async fn handle_and_commit(
        &self,
        call: &Call<'_>,
        recording: &mut Recording<'_>,
    ) -> Result<RawReply, Fault> {
        let mut turn = None;
        for _ in 0..COMMIT_TRIES {
            match self.try_once(call, recording).await {
                Err(Fault::Storage(StorageError::Conflict { key })) => {
                    drop(turn);
                    turn = self.active.turns.wait_for(&key).await;
                    // The tables and caches that the handler looks at must know who won.
                    self.active.read_point().await?;
                }
                other => return other,
            }
        }
        Err(contended())
    }

    async fn try_once(
        &self,
        call: &Call<'_>,
        recording: &mut Recording<'_>,
    ) -> Result<RawReply, Fault> {
        let engine = &call.mount.engine;
        let mut reply = engine.call(call.row, call.input, call.context).await?;
        let writes = std::mem::take(&mut reply.writes);
        if !writes.is_empty() {
            check_writes(call.mount, &writes)?;
            // INVARIANT: nothing is committed before the record of its request is taken.
            recording.taken().await?;
            match self.active.commit(call.mount.fence(writes)?).await {
                // It went while this request was under way.
                Err(StorageError::Conflict { key }) if call.mount.is_record(&key) => {
                    return Err(self.no_handler());
                }
                committed => committed?,
            };
        }
        Ok(reply)
    }

    pub(super) fn no_handler(&self) -> Fault {
        let path = self.request.path.as_str();
        Fault::NotFoundBecause(
            format!("no handler for route \"{path}\". route entry not found.").into(),
        )
    }

    /// Takes back tokens whose caller will not get them.
    async fn take_back(&self, issued: &[String]) {
        let tokens = &self.active.tokens;
        for token in issued {
            let id = tokens.id(token);
            if let Err(error) = Box::pin(tokens.revoke(self.active, &id)).await {
                tracing::error!(%error, "a token that nobody got stays valid until its time is over");
            }
        }
    }
}

/// Other requests won every race for a key.
pub(crate) fn contended() -> Fault {
    Fault::Unavailable("too many requests change the same thing at once: try again".into())
}

/// The token that an answer issued, where it is a new one.
fn issued_token(reply: &RawReply) -> Option<String> {
    let auth = reply.auth.as_ref().filter(|_| reply.issues);
    auth.map(|auth| auth.client_token.clone())
}

/// INVARIANT: an engine writes below its own prefix only.
fn check_writes(mount: &Mount, writes: &secretum_storage::Batch) -> Result<(), Fault> {
    if mount.record.is_system() {
        return Ok(());
    }
    let prefix = format!("mount/{}/", mount.record.uuid);
    let strays = writes
        .steps()
        .iter()
        .any(|step| !step.key.as_bytes().starts_with(prefix.as_bytes()));
    if strays {
        return Err(Fault::Internal(format!(
            "`{}` wrote outside of its mount",
            mount.record.kind
        )));
    }
    Ok(())
}
