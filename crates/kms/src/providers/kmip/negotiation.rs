//! Agreeing on a version: by DiscoverVersions, or by trying.

use super::connection::Connections;
use super::{NAME, unusable};
use crate::Result;
use crate::kmip::{Exchange, Refusal, Version, payload_of, request_of};
use crate::ttlv::{Node, Tag};

const QUERY: u32 = 0x18;
const DISCOVER_VERSIONS: u32 = 0x1e;

/// The newest version that both speak.
pub(super) async fn agree(connections: &Connections) -> Result<Version> {
    // Which version asks is not agreed on yet either: the oldest, else the newest.
    for asking in [Version::V1_2, Version::V2_1] {
        let versions = Version::ALL.map(Version::node).into();
        match ask(connections, asking, DISCOVER_VERSIONS, versions).await? {
            Ok(told) => return newest(&told),
            Err(refusal) => check(refusal)?,
        }
    }
    for version in Version::ALL {
        const OPERATIONS: u32 = 1;
        let functions = vec![Node::enumeration(Tag::QUERY_FUNCTION, OPERATIONS)];
        match ask(connections, version, QUERY, functions).await? {
            Ok(_) => return Ok(version),
            Err(refusal) => check(refusal)?,
        }
    }
    Err(none_in_common())
}

async fn ask(
    connections: &Connections,
    version: Version,
    operation: u32,
    payload: Vec<Node>,
) -> Result<std::result::Result<Node, Refusal>> {
    let message = request_of(version, operation, payload);
    payload_of(NAME, operation, connections.exchange(&message, true).await?)
}

/// Another version does not help whom the server does not know.
fn check(refusal: Refusal) -> Result<()> {
    if refusal.reason == Refusal::AUTHENTICATION_NOT_SUCCESSFUL {
        return Err(refusal.into_error(NAME));
    }
    Ok(())
}

fn newest(told: &Node) -> Result<Version> {
    let theirs: Vec<Version> = told
        .all(Tag::PROTOCOL_VERSION)
        .filter_map(Version::of_node)
        .collect();
    let common = Version::ALL.into_iter().find(|ours| theirs.contains(ours));
    common.ok_or_else(none_in_common)
}

fn none_in_common() -> crate::KmsError {
    unusable("it speaks none of the versions 1.2 to 2.1 of KMIP; enable one there")
}
