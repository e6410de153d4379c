//! Perform: what a permitted request does, between the record of it and the record of its answer.

use super::record::{Recording, Trail};
use super::{Flow, Route};
use crate::ceremonies::Confirmation;
use crate::leases::{self, Leases, end_with};
use crate::mounts::Mount;
use crate::quotas::Room;
use crate::{Outcome, system};
use secretum_engine::{
    Class, Context, Fault, Input, NewLease, RawReply, Recorded, ReplyLease, RowId, Shape, Standing,
    Verb,
};
use secretum_storage::{Batch, StorageError};

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
        let mut issued = Issued::default();
        let outcome = match self.answer(route, context, &mut recording).await {
            Ok(outcome) => {
                issued = Issued::of(&outcome.reply);
                match self.check_use_left(&issued) {
                    Ok(()) => self.wrap(outcome, &mut recording).await,
                    Err(refusal) => Err(refusal),
                }
            }
            refused => refused,
        };
        if let Ok(outcome) = &outcome {
            let wrapping = outcome.reply.wrap_info.as_ref();
            issued
                .tokens
                .extend(wrapping.map(|info| info.token.clone()));
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
    /// run while the record of its request is on its way. Handlers of the system act by themselves, and
    /// what an engine hands out for a time may be made elsewhere.
    fn has_no_effect_before_commit(&self) -> bool {
        let is_read = matches!(
            self.request.verb,
            Verb::Read | Verb::List | Verb::Scan | Verb::Help
        );
        match &self.mount {
            Some((mount, _)) if mount.engine.leases() => false,
            Some((mount, _)) => is_read || !mount.record.is_system(),
            None => true,
        }
    }

    /// Refuses to hand out what would end with this request: the token's last use is under way.
    fn check_use_left(&self, issued: &Issued) -> Result<(), Fault> {
        let identity = self.identity.as_ref();
        let is_last = identity.is_ok_and(|identity| identity.token.record.num_uses < 0);
        if is_last && issued.lease.is_some() {
            return Err(Fault::invalid(
                "Secret cannot be returned; token had one use left, so leased credentials were \
                 immediately revoked.",
            ));
        }
        Ok(())
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
        let is_enveloped = !matches!(outcome.shape, Shape::Bare | Shape::Plain);
        let wrappable = is_enveloped && outcome.reply.standing != Standing::Gone && !is_wrapped;
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
        system::wrapping::check_wrapped(self.request)?;
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
        call.mount.check_writes(&writes)?;
        let changes = std::mem::take(&mut reply.timers);
        let writes = writes.and(self.active.timers.changes(call.mount, changes)?);
        match reply.lease.take().map(|lease| *lease) {
            Some(ReplyLease::Wanted(lease)) => {
                let leased = self.commit_leased(call, recording, &mut reply, (writes, lease));
                Box::pin(leased).await?;
            }
            granted => {
                reply.lease = granted.map(Box::new);
                let _room = self.room_for_token(&reply)?;
                self.commit(call, recording, writes).await?;
            }
        }
        Ok(reply)
    }

    /// Room for a token that an auth method issues for a time, where a quota counts it.
    fn room_for_token(&self, reply: &RawReply) -> Result<Option<Room>, Fault> {
        let is_counted = reply.issues
            && (reply.auth.as_ref())
                .is_some_and(|auth| auth.lease_duration > 0 && !auth.accessor.is_empty());
        match &self.mount {
            Some((mount, path)) if is_counted && mount.record.class() == Class::Auth => {
                self.active.quotas.room_for_lease(&mount.path, path)
            }
            _ => Ok(None),
        }
    }

    async fn commit(
        &self,
        call: &Call<'_>,
        recording: &mut Recording<'_>,
        writes: Batch,
    ) -> Result<(), Fault> {
        if writes.is_empty() {
            return Ok(());
        }
        // INVARIANT: nothing is committed before the record of its request is taken.
        recording.taken().await?;
        match self.active.commit(call.mount.fence(writes)?).await {
            // It went while this request was under way.
            Err(StorageError::Conflict { key }) if call.mount.is_record(&key) => {
                Err(self.no_handler())
            }
            committed => Ok(committed.map(drop)?),
        }
    }

    /// Commits what a handler wants written, with the lease that it wants. Where that fails, what it
    /// made is ended again: nobody would.
    async fn commit_leased(
        &self,
        call: &Call<'_>,
        recording: &mut Recording<'_>,
        reply: &mut RawReply,
        (writes, lease): (Batch, NewLease),
    ) -> Result<(), Fault> {
        let path = self.mount.as_ref().map_or("", |(_, path)| *path);
        let leased = async {
            let owner = &self.identity.as_ref().map_err(|_| Fault::Denied)?.token;
            let lives = self.active.mounts.lives(&call.mount.record.settings.config);
            let leases = &self.active.leases;
            let issued = leases.prepare((call.mount, path), owner, &lease, lives)?;
            let _room = self.active.quotas.room_for_lease(&call.mount.path, path)?;
            self.commit(call, recording, writes.and(issued.writes))
                .await
                .map_err(|fault| self.why_no_lease(call.mount, fault))?;
            Ok((issued.grant, issued.warning))
        };
        match leased.await {
            Ok((grant, warning)) => {
                reply.lease = Some(Box::new(ReplyLease::Granted(grant)));
                reply.issues = true;
                reply.warnings.extend(warning.map(Into::into));
                Ok(())
            }
            Err(fault) => {
                let unborn = Leases::unborn(path, &lease);
                if let Err(error) = self.undo(call.mount, &unborn).await {
                    tracing::error!(%error, mount = &*call.mount.path, "what an engine made for a lease that failed may go on");
                }
                Err(fault)
            }
        }
    }

    async fn undo(&self, mount: &Mount, lease: &secretum_engine::Lease) -> Result<(), Fault> {
        let writes = end_with(mount, lease).await?;
        if !writes.is_empty() {
            self.active.commit(writes).await?;
        }
        Ok(())
    }

    /// A lease is lost to others where its token has ended, or its mount is being disabled: trying
    /// again would change nothing.
    fn why_no_lease(&self, mount: &Mount, fault: Fault) -> Fault {
        let Fault::Storage(StorageError::Conflict { key }) = &fault else {
            return fault;
        };
        if leases::leaving_key(&mount.record.uuid).is_ok_and(|leaving| leaving == *key) {
            return Fault::Unavailable(
                "the mount is being disabled or moved, and hands out nothing more".into(),
            );
        }
        if key.as_bytes().starts_with(b"sys/token/id/") {
            return Fault::Denied;
        }
        fault
    }

    pub(super) fn no_handler(&self) -> Fault {
        let path = self.request.path.as_str();
        Fault::NotFoundBecause(
            format!("no handler for route \"{path}\". route entry not found.").into(),
        )
    }

    /// Takes back what its caller will not get.
    async fn take_back(&self, issued: &Issued) {
        let tokens = &self.active.tokens;
        for token in &issued.tokens {
            let id = tokens.id(token);
            if let Err(error) = Box::pin(tokens.revoke(self.active, &id)).await {
                tracing::error!(%error, "a token that nobody got stays valid until its time is over");
            }
        }
        let place = issued.lease.as_ref();
        if let Some(place) = place.and_then(|id| Leases::place(self.active, id))
            && let Err(error) = Box::pin(self.active.leases.end_soon(self.active, &place)).await
        {
            tracing::error!(%error, "a lease that nobody got stays valid until its time is over");
        }
    }
}

/// Other requests won every race for a key.
pub(crate) fn contended() -> Fault {
    Fault::Unavailable("too many requests change the same thing at once: try again".into())
}

/// What an answer hands out that was not there before.
#[derive(Debug, Default)]
struct Issued {
    tokens: Vec<String>,
    /// Id of the lease.
    lease: Option<String>,
}

impl Issued {
    fn of(reply: &RawReply) -> Self {
        if !reply.issues {
            return Self::default();
        }
        let lease = match reply.lease.as_deref() {
            Some(ReplyLease::Granted(grant)) => Some(grant.id.clone()),
            _ => None,
        };
        Self {
            tokens: (reply.auth.iter().map(|auth| auth.client_token.clone())).collect(),
            lease,
        }
    }
}
