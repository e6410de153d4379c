//! [`Routes`]: the rows of an engine.

use crate::input::Input;
use crate::pattern::Pattern;
use crate::reply::{RawReply, Recorded, Shape};
use crate::{Access, Context, Engine, Exists, Fault, Handle, Touch, Touches, Verb};
use futures::FutureExt;
use futures::future::BoxFuture;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;

/// The place of a row in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowId(pub(crate) usize);

type HandleFn<E> =
    for<'a> fn(&'a E, &'a Input<'a>, &'a Context) -> BoxFuture<'a, Result<RawReply, Fault>>;
type ExistsFn<E> =
    for<'a> fn(&'a E, &'a Input<'a>, &'a Context) -> BoxFuture<'a, Result<bool, Fault>>;
type TouchesFn = fn(&Input<'_>) -> Result<Vec<Touch>, Fault>;

/// One row: everything about a verb on a path.
pub struct Row<E> {
    /// The verb.
    pub verb: Verb,
    /// The path, relative to the mount.
    pub pattern: &'static str,
    /// What it asks of the caller.
    pub access: Access,
    /// The Cedar action, where it is more than the verb.
    pub action: Option<&'static str>,
    /// How the answer stands on the wire.
    pub shape: Shape,
    /// How the answer stands in the audit log.
    pub recorded: Recorded,
    /// The field of the request that gets the whole body, where the body is no list of fields.
    pub whole_body: Option<&'static str>,
    /// Names of the captures, in the order of the pattern.
    pub captures: Vec<&'static str>,
    /// Schema of the request type.
    pub request_schema: fn(&mut SchemaGenerator) -> Schema,
    /// Schema of the answer's `data`.
    pub reply_schema: fn(&mut SchemaGenerator) -> Schema,
    pub(crate) handle: HandleFn<E>,
    pub(crate) exists: Option<ExistsFn<E>>,
    pub(crate) touches: Option<TouchesFn>,
    pub(crate) asks_sudo: bool,
}

/// The rows of an engine, in the order that help shows them.
pub struct Routes<E> {
    rows: Vec<Row<E>>,
}

impl<E: Engine> Routes<E> {
    /// No rows.
    #[expect(
        clippy::new_without_default,
        reason = "a table without rows serves nobody"
    )]
    pub fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds a row: `verb` on `pattern` is answered by the handler of `R`.
    #[must_use]
    pub fn on<R>(mut self, verb: Verb, pattern: &'static str, access: Access) -> Self
    where
        E: Handle<R>,
        R: DeserializeOwned + JsonSchema + Send + 'static,
    {
        self.rows.push(Row {
            verb,
            pattern,
            access,
            action: None,
            shape: Shape::Envelope,
            recorded: Recorded::Whole,
            whole_body: None,
            captures: Pattern::parse(pattern)
                .map(|pattern| pattern.captures().collect())
                .unwrap_or_default(),
            request_schema: R::json_schema,
            reply_schema: <E as Handle<R>>::Data::json_schema,
            handle: call::<E, R>,
            exists: None,
            touches: None,
            asks_sudo: false,
        });
        self
    }

    /// Adds a write that is a create or an update by what exists.
    #[must_use]
    pub fn upsert<R>(self, pattern: &'static str, access: Access) -> Self
    where
        E: Exists<R>,
        R: DeserializeOwned + JsonSchema + Send + 'static,
    {
        let mut routes = self.on::<R>(Verb::Write, pattern, access);
        routes.amend(|row| row.exists = Some(exists::<E, R>));
        routes
    }

    /// The newest row is a write that does something on other paths, too.
    #[must_use]
    pub fn touching<R>(mut self) -> Self
    where
        E: Touches<R>,
        R: DeserializeOwned + 'static,
    {
        self.amend(|row| row.touches = Some(touches::<E, R>));
        self
    }

    /// The newest row does more for who has `sudo` on its path: [`Context::has_sudo`](crate::Context)
    /// says whether.
    #[must_use]
    pub fn asking_sudo(mut self) -> Self {
        self.amend(|row| row.asks_sudo = true);
        self
    }

    /// The newest row's Cedar action, in the place of its verb's: one of those in the schema of
    /// Cedar policies. Where it is none of them, the row is refused to everybody but root while there
    /// is a Cedar policy.
    #[must_use]
    pub fn action(mut self, action: &'static str) -> Self {
        self.amend(|row| row.action = Some(action));
        self
    }

    /// The newest row answers with this shape.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> Self {
        self.amend(|row| row.shape = shape);
        self
    }

    /// The newest row's answer stands in the audit log like this.
    #[must_use]
    pub fn recorded(mut self, recorded: Recorded) -> Self {
        self.amend(|row| row.recorded = recorded);
        self
    }

    /// The newest row's request gets the whole body in one field.
    #[must_use]
    pub fn whole_body(mut self, field: &'static str) -> Self {
        self.amend(|row| row.whole_body = Some(field));
        self
    }

    pub(crate) fn into_rows(self) -> Vec<Row<E>> {
        self.rows
    }

    fn amend(&mut self, change: impl FnOnce(&mut Row<E>)) {
        if let Some(row) = self.rows.last_mut() {
            change(row);
        }
    }
}

fn call<'a, E, R>(
    engine: &'a E,
    input: &'a Input<'a>,
    context: &'a Context,
) -> BoxFuture<'a, Result<RawReply, Fault>>
where
    E: Handle<R>,
    R: DeserializeOwned + Send,
{
    async move {
        let (request, unknown) = input.read::<R>()?;
        let reply = engine.handle(request, context).await.map_err(Into::into)?;
        RawReply::of(reply, unknown)
    }
    .boxed()
}

fn exists<'a, E, R>(
    engine: &'a E,
    input: &'a Input<'a>,
    context: &'a Context,
) -> BoxFuture<'a, Result<bool, Fault>>
where
    E: Exists<R>,
    R: 'static,
{
    async move { engine.exists(input, context).await.map_err(Into::into) }.boxed()
}

fn touches<E, R>(input: &Input<'_>) -> Result<Vec<Touch>, Fault>
where
    E: Touches<R>,
    R: DeserializeOwned,
{
    let (request, _) = input.read::<R>()?;
    Ok(E::touches(&request))
}

impl<E> std::fmt::Debug for Row<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {} ({:?})", self.verb, self.pattern, self.access)
    }
}

impl<E> std::fmt::Debug for Routes<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.rows).finish()
    }
}
