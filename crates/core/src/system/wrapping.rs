//! `sys/wrapping`: answers kept behind a token that opens them once.
//!
//! A wrapped answer is stored at `sys/wrap/<id of its token>`. Unwrapping deletes it and the token in
//! the commit that hands it out, under the record's revision: of two that unwrap, one gets it.

use super::{Sys, System};
use crate::active::Active;
use crate::life::Life;
use crate::tokens::{Issued, NewToken};
use crate::{Outcome, Request};
use schemars::JsonSchema;
use secretum_api::fields::{JsonObject, Seconds};
use secretum_api::{Auth, WrapInfo};
use secretum_crypto::Timestamp;
use secretum_engine::{
    Context, Fault, Handle, LeaseGrant, RawReply, Recorded, Reply, ReplyLease, Shape, Verb,
    to_json, unreadable,
};
use secretum_storage::{Batch, Key, Precondition, StorageError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The policy of a wrapping token: what it may do, and nothing else.
pub(crate) const POLICY: &str = r#"
path "sys/wrapping/unwrap" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["read", "update"] }
"#;

/// The name of that policy, which nobody can write.
pub(crate) const POLICY_NAME: &str = "response-wrapping";

/// The shortest life of a wrapping token is a second; this is the longest.
const TTL_MAX: Seconds = Seconds(32 * 24 * 3600);

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    creation_path: String,
    /// In whole seconds.
    created: i64,
    /// The same in nanoseconds; 0 in answers that earlier versions kept.
    #[serde(default)]
    created_nanos: i64,
    ttl: u64,
    data: Option<Box<RawValue>>,
    auth: Option<Auth>,
    warnings: Vec<String>,
    refresh_seconds: u64,
    #[serde(default)]
    lease: Option<LeaseGrant>,
}

impl Kept {
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(bytes).map_err(|error| unreadable("wrapped answer", &error))
    }

    /// When it was put behind its token.
    fn creation_time(&self) -> Timestamp {
        match self.created_nanos {
            0 => Timestamp::from_unix_seconds(self.created),
            nanos => Timestamp::from_unix_nanos(nanos),
        }
    }

    fn set_creation_time(&mut self, now: Timestamp) {
        (self.created, self.created_nanos) = (now.unix_seconds(), now.unix_nanos());
    }

    /// The answer as it was before it was wrapped.
    fn into_reply(self) -> Reply<Unwrapped> {
        let mut reply = Reply::empty().refresh_after(self.refresh_seconds);
        reply.data = self.data.map(Unwrapped);
        // Nobody can have it but by this answer.
        reply.issues = self.auth.is_some() || self.lease.is_some();
        reply.lease = (self.lease).map(|grant| Box::new(ReplyLease::Granted(grant)));
        reply.auth = self.auth.map(Box::new);
        self.warnings.into_iter().fold(reply, Reply::warn)
    }
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

/// Puts an answer behind a token.
///
/// **Errors**: [`Fault::Storage`].
pub(crate) async fn wrap(
    active: &Active,
    path: &str,
    ttl: Seconds,
    reply: RawReply,
) -> Result<Outcome, Fault> {
    let now = active.core.config.clock.now();
    let kept = Kept {
        creation_path: path.to_owned(),
        created: now.unix_seconds(),
        created_nanos: now.unix_nanos(),
        ttl: ttl.min(TTL_MAX).0,
        data: reply.data,
        auth: reply.auth.map(|auth| *auth),
        warnings: reply.warnings.iter().map(ToString::to_string).collect(),
        refresh_seconds: reply.refresh_seconds,
        lease: match reply.lease.map(|lease| *lease) {
            Some(ReplyLease::Granted(grant)) => Some(grant),
            _ => None,
        },
    };
    let (info, writes) = keep(active, &kept)?;
    active.commit(writes).await?;
    let is_shortened = (ttl > TTL_MAX).then(|| {
        let longest = TTL_MAX.0;
        format!("the wrapping token lives {longest} seconds, the longest there is").into()
    });
    let reply = RawReply {
        wrap_info: Some(Box::new(info)),
        warnings: is_shortened.into_iter().collect(),
        ..RawReply::empty()
    };
    Ok(Outcome {
        reply,
        shape: Shape::Envelope,
        recorded: Recorded::Whole,
    })
}

/// A new token for an answer, and what must be committed to have both.
fn keep(active: &Active, kept: &Kept) -> Result<(WrapInfo, Batch), Fault> {
    let Kept {
        creation_path, ttl, ..
    } = kept;
    let new = NewToken::plain(POLICY_NAME, creation_path, Life::Exactly(*ttl));
    let Issued { auth, writes, .. } = active.tokens.prepare_auth(NewToken {
        explicit_max_ttl: *ttl,
        ..new
    })?;
    let place = key(&active.tokens.id(&auth.client_token))?;
    let wrapped_accessor = kept.auth.as_ref().map(|auth| auth.accessor.clone());
    let info = WrapInfo {
        token: auth.client_token,
        accessor: auth.accessor,
        ttl: *ttl,
        creation_time: kept.creation_time().to_rfc3339(),
        creation_path: creation_path.clone(),
        wrapped_accessor: wrapped_accessor.unwrap_or_default(),
    };
    Ok((info, writes.put(place, to_json(kept)?)))
}

/// Where the answer behind a token is kept.
pub(crate) fn key(id: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("sys/wrap/{id}"))
}

/// Opens a wrapped answer, once. Without `token`, the caller's own token is the wrapping one.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Unwrap {
    /// The wrapping token.
    #[serde(default)]
    token: String,
}

/// Tells of a wrapped answer without opening it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct LookupWrapped {
    /// The wrapping token.
    #[serde(default)]
    token: String,
}

/// Puts a wrapped answer behind a new token; the old one ends.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Rewrap {
    /// The wrapping token.
    #[serde(default)]
    token: String,
}

/// Answers with the body it gets, to be wrapped.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Wrap {
    /// What is wrapped.
    #[serde(default)]
    data: Option<JsonObject>,
}

/// The answer that was wrapped.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Unwrapped(Box<RawValue>);

impl JsonSchema for Unwrapped {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Unwrapped".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({})
    }
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct WrappedFacts {
    creation_path: String,
    creation_time: String,
    creation_ttl: u64,
}

/// A wrapping token, and what it holds.
struct Found {
    kept: Kept,
    writes: Batch,
}

/// The path of [`Wrap`].
const WRAP_PATH: &str = "sys/wrapping/wrap";

/// Refuses a request that hands out what it brings, unless the answer is to be wrapped: its sender
/// would take what comes back in the clear for a token.
pub(crate) fn check_wrapped(request: &Request) -> Result<(), Fault> {
    let is_wrapped = request.wrap_ttl.is_some_and(|ttl| ttl.0 > 0);
    if request.verb == Verb::Write && request.path.as_str() == WRAP_PATH && !is_wrapped {
        return Err(Fault::invalid(
            "endpoint requires response wrapping to be used",
        ));
    }
    Ok(())
}

/// What is said of a token that wraps nothing.
pub(crate) fn unknown() -> Fault {
    Fault::invalid("wrapping token is not valid or does not exist")
}

async fn find(context: &Context, token: &str) -> Result<Found, Fault> {
    let system = System::of(context)?;
    let own = system.token.as_ref().map_or("", |own| own.expose());
    let text = if token.is_empty() { own } else { token };
    let token = system.active.tokens.find(text).await?.ok_or_else(unknown)?;
    let place = key(&token.id)?;
    let entry = system
        .active
        .storage
        .get(&place)
        .await?
        .ok_or_else(unknown)?;
    let kept = Kept::read(&entry.value)?;
    let writes = system
        .active
        .tokens
        .death(&token)?
        .delete_if(place, Precondition::At(entry.revision));
    Ok(Found { kept, writes })
}

impl Handle<Unwrap> for Sys {
    type Data = Unwrapped;
    type Error = Fault;

    async fn handle(&self, request: Unwrap, context: &Context) -> Result<Reply<Unwrapped>, Fault> {
        let Found { kept, writes } = find(context, &request.token).await?;
        Ok(kept.into_reply().with_writes(writes))
    }
}

impl Handle<Rewrap> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: Rewrap, context: &Context) -> Result<Reply<()>, Fault> {
        let Found { mut kept, writes } = find(context, &request.token).await?;
        let active = &System::of(context)?.active;
        kept.set_creation_time(context.clock.now());
        let (info, birth) = keep(active, &kept)?;
        let mut reply = Reply::wrote(writes.and(birth));
        reply.wrap_info = Some(Box::new(info));
        Ok(reply)
    }
}

impl Handle<LookupWrapped> for Sys {
    type Data = WrappedFacts;
    type Error = Fault;

    async fn handle(
        &self,
        ask: LookupWrapped,
        context: &Context,
    ) -> Result<Reply<WrappedFacts>, Fault> {
        let Found { kept, .. } = find(context, &ask.token).await?;
        Ok(Reply::data(WrappedFacts {
            creation_time: kept.creation_time().to_rfc3339(),
            creation_path: kept.creation_path,
            creation_ttl: kept.ttl,
        }))
    }
}

impl Handle<Wrap> for Sys {
    type Data = JsonObject;
    type Error = Fault;

    async fn handle(&self, request: Wrap, _: &Context) -> Result<Reply<JsonObject>, Fault> {
        let data = request
            .data
            .ok_or_else(|| Fault::invalid("there is nothing to wrap"))?;
        Ok(Reply::data(data))
    }
}
