//! `cubbyhole`: a store that each token has for itself, and that ends with it.

use super::System;
use crate::tokens::{Id, TokenKind};
use schemars::JsonSchema;
use secretum_api::RequestPath;
use secretum_api::fields::JsonObject;
use secretum_engine::{
    Access, Context, Engine, Exists, Fault, Handle, Input, Listing, MountStorage, Reply, Routes,
    Verb, listing,
};
use secretum_storage::Batch;
use serde::Deserialize;
use std::sync::Arc;

/// The kind of the mount.
pub(crate) const KIND: &str = "cubbyhole";

/// The storage key below which the cubbyholes are, a folder for each token's id.
pub(crate) const PREFIX: &str = "mount/cubbyhole/";

/// The engine of `cubbyhole`.
#[derive(Debug)]
pub(crate) struct Cubbyhole {
    pub(super) store: MountStorage,
}

/// Reads from the caller's cubbyhole.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadHeld {
    /// The path.
    path: String,
}

/// Writes to the caller's cubbyhole; the whole body is the value.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Hold {
    /// The path.
    path: String,
    /// The value.
    #[serde(default)]
    data: Option<JsonObject>,
}

/// Deletes from the caller's cubbyhole.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Drop {
    /// The path.
    path: String,
}

/// Lists names in the caller's cubbyhole.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListHeld {
    /// The path of the folder.
    path: String,
}

/// Lists all paths below a folder of the caller's cubbyhole.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ScanHeld {
    /// The path of the folder.
    path: String,
}

impl Engine for Cubbyhole {
    const KIND: &'static str = KIND;
    const ABOUT: &'static str = "Per-token private secret storage";

    fn routes() -> Routes<Self> {
        Routes::new()
            .on::<ReadHeld>(Verb::Read, "{path+}", Access::Token)
            .upsert::<Hold>("{path+}", Access::Token)
            .whole_body("data")
            .on::<Drop>(Verb::Delete, "{path+}", Access::Token)
            .on::<ListHeld>(Verb::List, "{path*}", Access::Token)
            .on::<ScanHeld>(Verb::Scan, "{path*}", Access::Token)
    }
}

/// The place of a path in the caller's cubbyhole.
fn place(context: &Context, path: &str) -> Result<String, Fault> {
    if path.ends_with('/') {
        return Err(Fault::invalid("cannot write to a path ending in '/'"));
    }
    Ok(format!("{}/{path}", owner(context)?))
}

/// Whose cubbyhole it is.
fn owner(context: &Context) -> Result<Id, Fault> {
    let system = System::of(context)?;
    let token = &system.identity()?.token;
    match token.record.kind {
        TokenKind::Service => Ok(Arc::clone(&token.id)),
        // Nothing tells when it ends, so nothing would empty it.
        TokenKind::Batch => Err(Fault::invalid(
            "cubbyhole operations are only supported by service tokens",
        )),
    }
}

/// A folder in the caller's cubbyhole.
fn folder(context: &Context, path: &str) -> Result<String, Fault> {
    let path = RequestPath::parse(path).map_err(|error| Fault::invalid(error.to_string()))?;
    Ok(format!(
        "{}/{}",
        owner(context)?,
        path.into_folder().as_str()
    ))
}

impl Handle<ReadHeld> for Cubbyhole {
    type Data = JsonObject;
    type Error = Fault;

    async fn handle(&self, ask: ReadHeld, context: &Context) -> Result<Reply<JsonObject>, Fault> {
        let record = self.store.get(&place(context, &ask.path)?).await?;
        Ok(Reply::data(record.ok_or(Fault::NotFound)?.json()?))
    }
}

impl Handle<Hold> for Cubbyhole {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: Hold, context: &Context) -> Result<Reply<()>, Fault> {
        let data = request.data.filter(|data| !data.is_empty());
        let data = data.ok_or_else(|| Fault::invalid("missing data fields"))?;
        let place = self.store.key(&place(context, &request.path)?)?;
        let system = System::of(context)?;
        let tokens = &system.active.tokens;
        let batch = tokens.while_it_lives(&system.identity()?.token).await?;
        Ok(Reply::wrote(batch.put(place, data.get().to_owned())))
    }
}

impl Exists<Hold> for Cubbyhole {
    async fn exists(&self, input: &Input<'_>, context: &Context) -> Result<bool, Fault> {
        let place = place(context, input.capture("path"));
        match place {
            Ok(place) => Ok(self.store.get(&place).await?.is_some()),
            // What is wrong with the path is said once the caller may know.
            Err(_) => Ok(false),
        }
    }
}

impl Handle<Drop> for Cubbyhole {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: Drop, context: &Context) -> Result<Reply<()>, Fault> {
        let place = self.store.key(&place(context, &request.path)?)?;
        Ok(Reply::wrote(Batch::new().delete(place)))
    }
}

impl Handle<ListHeld> for Cubbyhole {
    type Data = Listing;
    type Error = Fault;

    async fn handle(&self, ask: ListHeld, context: &Context) -> Result<Reply<Listing>, Fault> {
        let folder = folder(context, &ask.path)?;
        listing(self.store.children(&folder, None, None).await?)
    }
}

impl Handle<ScanHeld> for Cubbyhole {
    type Data = Listing;
    type Error = Fault;

    async fn handle(&self, ask: ScanHeld, context: &Context) -> Result<Reply<Listing>, Fault> {
        let folder = folder(context, &ask.path)?;
        listing(self.store.descendants(&folder, None, None).await?)
    }
}
