//! `sys/config/auditing/request-headers`: which headers of requests are recorded.

use super::{Sys, System};
use schemars::JsonSchema;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Lists the headers that are recorded.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListHeaders {}

/// Reads how one header is recorded.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadHeader {
    /// Name of the header.
    header: String,
}

/// Has a header recorded by every audit device.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct WriteHeader {
    /// Name of the header.
    header: String,
    /// Whether its values are concealed.
    #[serde(default)]
    hmac: bool,
}

/// Has a header recorded no more.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DeleteHeader {
    /// Name of the header.
    header: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Headers {
    headers: BTreeMap<String, Setting>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Setting {
    hmac: bool,
}

impl Handle<ListHeaders> for Sys {
    type Data = Headers;
    type Error = Fault;

    async fn handle(&self, _: ListHeaders, context: &Context) -> Result<Reply<Headers>, Fault> {
        let all = System::of(context)?.active.audited_headers.all();
        let headers = all.iter();
        let headers = headers.map(|(name, hmac)| (name.clone(), Setting { hmac: *hmac }));
        Ok(Reply::data(Headers {
            headers: headers.collect(),
        }))
    }
}

impl Handle<ReadHeader> for Sys {
    type Data = BTreeMap<String, Setting>;
    type Error = Fault;

    async fn handle(
        &self,
        request: ReadHeader,
        context: &Context,
    ) -> Result<Reply<BTreeMap<String, Setting>>, Fault> {
        let all = System::of(context)?.active.audited_headers.all();
        let found = all.get(&request.header.to_ascii_lowercase());
        let hmac = *found.ok_or_else(|| Fault::invalid("Could not find header in config"))?;
        Ok(Reply::data(BTreeMap::from([(
            request.header,
            Setting { hmac },
        )])))
    }
}

impl Handle<WriteHeader> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: WriteHeader, context: &Context) -> Result<Reply<()>, Fault> {
        let headers = &System::of(context)?.active.audited_headers;
        let batch = headers.prepare(&request.header, request.hmac).await?;
        Ok(Reply::wrote(batch))
    }
}

impl Handle<DeleteHeader> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: DeleteHeader, context: &Context) -> Result<Reply<()>, Fault> {
        let headers = &System::of(context)?.active.audited_headers;
        Ok(Reply::wrote(headers.prepare_removal(&request.header)?))
    }
}
