//! Help: what a path does, from the rows that match it.

use super::{Flow, is_auth};
use crate::Outcome;
use secretum_engine::openapi::Document;
use secretum_engine::{Fault, Mounted, RawReply, Recorded, Shape};
use serde_json::json;
use serde_json::value::to_raw_value;

impl Flow<'_> {
    /// The help of a path, or of its whole mount where the path is the mount's.
    pub(super) fn help(&self) -> Result<Outcome, Fault> {
        let Some((mount, path)) = &self.mount else {
            return Err(self.no_handler());
        };
        let class = if is_auth(mount) {
            "auth method"
        } else {
            "secret engine"
        };
        help_of(&*mount.engine, &mount.path, class, path)
    }
}

/// The help of a path in an engine, which is mounted as said; of the whole engine where the path is
/// empty.
pub(super) fn help_of(
    engine: &dyn Mounted,
    mount_path: &str,
    class: &str,
    path: &str,
) -> Result<Outcome, Fault> {
    let mut document = Document::default();
    let path = Some(path).filter(|path| !path.is_empty());
    engine.describe(&mut document, &format!("/{mount_path}"), path);
    if document.help().is_empty() {
        return Err(Fault::NotFoundBecause("unsupported path".into()));
    }
    let kind = engine.kind();
    let help = format!("{mount_path} ({class} `{kind}`)\n\n{}", document.help());
    let openapi = document.finish(env!("CARGO_PKG_VERSION"));
    let data = json!({"help": help, "see_also": null, "openapi": openapi});
    let data = to_raw_value(&data).map_err(Fault::internal)?;
    Ok(Outcome {
        reply: RawReply {
            data: Some(data),
            ..RawReply::empty()
        },
        shape: Shape::Bare,
        recorded: Recorded::Digest,
    })
}
