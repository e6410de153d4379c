//! Help: what a path does, from the rows that match it.

use super::{Flow, is_auth};
use crate::Outcome;
use secretum_engine::openapi::Document;
use secretum_engine::{Fault, RawReply, Shape};
use serde_json::json;
use serde_json::value::to_raw_value;

impl Flow<'_> {
    /// The help of a path, or of its whole mount where the path is the mount's.
    pub(super) fn help(&self) -> Result<Outcome, Fault> {
        let Some((mount, path)) = &self.mount else {
            return Err(self.no_handler());
        };
        let prefix = format!("/{}", mount.path);
        let mut document = Document::default();
        let path = Some(*path).filter(|path| !path.is_empty());
        mount.engine.describe(&mut document, &prefix, path);
        if document.help().is_empty() {
            return Err(Fault::NotFoundBecause("unsupported path".into()));
        }
        let kind = if is_auth(mount) {
            "auth method"
        } else {
            "secret engine"
        };
        let help = format!(
            "{} ({} `{}`)\n\n{}",
            mount.path,
            kind,
            mount.record.kind,
            document.help()
        );
        let openapi = document.finish(env!("CARGO_PKG_VERSION"));
        let data = json!({"help": help, "see_also": null, "openapi": openapi});
        let data = to_raw_value(&data).map_err(Fault::internal)?;
        Ok(Outcome {
            reply: RawReply {
                data: Some(data),
                ..RawReply::empty()
            },
            shape: Shape::Bare,
        })
    }
}
