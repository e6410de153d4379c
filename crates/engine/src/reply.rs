//! [`Reply`]: what a handler answers and wants written.

use crate::{Fault, NewLease, ReplyLease, TimerChange, Writes};
use secretum_api::{Auth, WrapInfo};
use secretum_storage::Batch;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;

/// How an answer stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// In the envelope.
    Envelope,
    /// In the envelope, and the keys of `data` at the top level too.
    Lifted,
    /// Without an envelope.
    Bare,
    /// Without an envelope; what is a text, as that text.
    Plain,
}

/// How an answer stands in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recorded {
    /// With every key and number, its strings concealed.
    #[default]
    Whole,
    /// As one digest of all of it: it is large, and tells nothing that is stored.
    Digest,
}

/// What became of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// It is done: 200, or 204 without content.
    #[default]
    Done,
    /// It goes on behind the answer: 202.
    Accepted,
    /// The thing asked for is gone, and `data` tells of it: 404 with a full envelope.
    Gone,
    /// A part of it was refused, and `data` tells which: 400 with a full envelope.
    RefusedInPart,
}

/// What a handler answers, what it wants written, what the caller should know.
pub struct Reply<T> {
    /// The answer's data; `None` for no content.
    pub data: Option<T>,
    /// What core commits before it answers, whole or not at all.
    pub writes: Batch,
    /// What becomes of the engine's timers; committed with the writes.
    pub timers: Vec<TimerChange>,
    /// What the caller should know.
    pub warnings: Vec<Cow<'static, str>>,
    /// A token that the request issued or renewed.
    pub auth: Option<Box<Auth>>,
    /// Whether token and lease are new ones, which are revoked where the answer cannot be recorded.
    pub issues: bool,
    /// The lease of what was answered.
    pub lease: Option<Box<ReplyLease>>,
    /// A wrapping token that stands for the answer.
    pub wrap_info: Option<Box<WrapInfo>>,
    /// What became of what was asked for.
    pub standing: Standing,
    /// How long a client may rely on what it read, in seconds; 0 where nothing is said.
    pub refresh_seconds: u64,
}

/// Its data, what it wants written and its token may be secret, and are not shown.
impl<T> std::fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply")
            .field("warnings", &self.warnings)
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

impl<T> Reply<T> {
    /// An answer with data.
    pub fn data(data: T) -> Self {
        Self {
            data: Some(data),
            ..Self::empty()
        }
    }

    /// An answer without content.
    pub fn empty() -> Self {
        Self {
            data: None,
            writes: Batch::new(),
            timers: Vec::new(),
            warnings: Vec::new(),
            auth: None,
            issues: false,
            lease: None,
            wrap_info: None,
            standing: Standing::Done,
            refresh_seconds: 0,
        }
    }

    /// An answer without content that wants this written.
    pub fn wrote(writes: impl Into<Writes>) -> Self {
        Self::empty().with_writes(writes)
    }

    /// An answer that issued a token.
    pub fn issued(auth: Auth) -> Self {
        Self {
            issues: true,
            ..Self::renewed(auth)
        }
    }

    /// An answer that renewed a token.
    pub fn renewed(auth: Auth) -> Self {
        Self {
            auth: Some(Box::new(auth)),
            ..Self::empty()
        }
    }

    /// An answer that is handed out for a time.
    pub fn leased(data: T, lease: NewLease) -> Self {
        Self::data(data).under(ReplyLease::Wanted(lease))
    }

    /// Puts the answer under a lease.
    #[must_use]
    pub fn under(mut self, lease: ReplyLease) -> Self {
        self.lease = Some(Box::new(lease));
        self
    }

    /// Adds what is to be written.
    #[must_use]
    pub fn with_writes(mut self, writes: impl Into<Writes>) -> Self {
        let writes = writes.into();
        self.writes = self.writes.and(writes.batch);
        self.timers.extend(writes.timers);
        self
    }

    /// Adds a warning.
    #[must_use]
    pub fn warn(mut self, warning: impl Into<Cow<'static, str>>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// Says how long a client may rely on what it read.
    #[must_use]
    pub fn refresh_after(mut self, seconds: u64) -> Self {
        self.refresh_seconds = seconds;
        self
    }

    /// Marks what was asked for as going on behind the answer.
    #[must_use]
    pub fn accepted(mut self) -> Self {
        self.standing = Standing::Accepted;
        self
    }

    /// Marks a part of what was asked for as refused.
    #[must_use]
    pub fn refused_in_part(mut self) -> Self {
        self.standing = Standing::RefusedInPart;
        self
    }

    /// Marks the thing asked for as gone.
    #[must_use]
    pub fn gone(mut self) -> Self {
        self.standing = Standing::Gone;
        self
    }
}

/// A reply whose data is JSON text, as it leaves the framework.
pub struct RawReply {
    /// The answer's data.
    pub data: Option<Box<RawValue>>,
    /// What core commits before it answers.
    pub writes: Batch,
    /// What becomes of the engine's timers; committed with the writes.
    pub timers: Vec<TimerChange>,
    /// What the caller should know.
    pub warnings: Vec<Cow<'static, str>>,
    /// A token that the request issued or renewed.
    pub auth: Option<Box<Auth>>,
    /// Whether token and lease are new ones, which are revoked where the answer cannot be recorded.
    pub issues: bool,
    /// The lease of what was answered.
    pub lease: Option<Box<ReplyLease>>,
    /// A wrapping token that stands for the answer.
    pub wrap_info: Option<Box<WrapInfo>>,
    /// What became of what was asked for.
    pub standing: Standing,
    /// How long a client may rely on what it read, in seconds; 0 where nothing is said.
    pub refresh_seconds: u64,
}

/// Its data, what it wants written and its tokens may be secret, and are not shown.
impl std::fmt::Debug for RawReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawReply")
            .field("warnings", &self.warnings)
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

impl RawReply {
    /// An answer without content.
    pub fn empty() -> Self {
        Self {
            data: None,
            writes: Batch::new(),
            timers: Vec::new(),
            warnings: Vec::new(),
            auth: None,
            issues: false,
            lease: None,
            wrap_info: None,
            standing: Standing::Done,
            refresh_seconds: 0,
        }
    }

    /// Whether there is anything to send.
    pub fn has_content(&self) -> bool {
        self.data.is_some()
            || self.auth.is_some()
            || self.lease.is_some()
            || self.wrap_info.is_some()
    }

    pub(crate) fn of<T: Serialize>(reply: Reply<T>, unknown: Vec<String>) -> Result<Self, Fault> {
        let data = match &reply.data {
            Some(data) => Some(to_raw_value(data).map_err(Fault::internal)?),
            None => None,
        };
        let mut warnings = reply.warnings;
        if !unknown.is_empty() {
            let names = unknown.join(", ");
            warnings
                .push(format!("Endpoint ignored these unrecognized parameters: [{names}]").into());
        }
        Ok(Self {
            data,
            writes: reply.writes,
            timers: reply.timers,
            warnings,
            auth: reply.auth,
            issues: reply.issues,
            lease: reply.lease,
            wrap_info: reply.wrap_info,
            standing: reply.standing,
            refresh_seconds: reply.refresh_seconds,
        })
    }
}

/// Names below a folder.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Listing {
    /// The names; those of folders end with a slash.
    pub keys: Vec<String>,
}

/// An answer with names.
///
/// **Errors**: [`Fault::NotFound`] where there are none.
pub fn listing(keys: Vec<String>) -> Result<Reply<Listing>, Fault> {
    if keys.is_empty() {
        Err(Fault::NotFound)
    } else {
        Ok(Reply::data(Listing { keys }))
    }
}
