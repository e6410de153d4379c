//! [`RaftConfig`]: where a node keeps its data, how it is reached, and its limits.

use std::path::PathBuf;
use std::time::Duration;
use uuid::Uuid;

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct RaftConfig {
    /// The data directory; made where it does not exist. Only this node uses it.
    pub path: PathBuf,
    /// The node's id in its cluster, used when the directory is new; a random one where it is
    /// `None`. Default: `None`.
    pub node_id: Option<u64>,
    /// The cluster's id, used when the directory is new; a random one where it is `None`. Default:
    /// `None`.
    pub cluster_id: Option<Uuid>,
    /// Whether a new directory becomes a cluster of this one node; else the node waits until a
    /// cluster takes it in. Default: `true`.
    pub bootstrap: bool,
    /// Where clients reach this node: a URL. Default: empty.
    pub api_address: String,
    /// Where other nodes reach this node: host and port. Default: empty.
    pub cluster_address: String,
    /// The version of the software, told to other nodes. Default: the version of this crate.
    pub version: String,
    /// How much of the applied state stays in memory, in bytes. Default: 16 MiB.
    pub state_cache_bytes: usize,
    /// How much of the log stays in memory, in bytes. Default: 4 MiB.
    pub log_cache_bytes: usize,
    /// How long a file of the log gets, in bytes; one write may go over it. Default: 16 MiB.
    pub log_segment_bytes: u64,
    /// How much of the log is kept below the newest checkpoint, in bytes, so that a node that was
    /// away for a while catches up without a snapshot. Default: 32 MiB.
    pub log_keep_bytes: u64,
    /// The applied state is made durable after so many bytes of writes. Default: 8 MiB.
    pub checkpoint_bytes: u64,
    /// The applied state is made durable so long after a write. Default: 500 ms.
    pub checkpoint_interval: Duration,
    /// How many bytes of writes may be under way at once; further writers wait. Default: 32 MiB.
    pub in_flight_bytes_max: u32,
}

impl RaftConfig {
    /// The defaults, for a data directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            node_id: None,
            cluster_id: None,
            bootstrap: true,
            api_address: String::new(),
            cluster_address: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state_cache_bytes: 16 * 1024 * 1024,
            log_cache_bytes: 4 * 1024 * 1024,
            log_segment_bytes: 16 * 1024 * 1024,
            log_keep_bytes: 32 * 1024 * 1024,
            checkpoint_bytes: 8 * 1024 * 1024,
            checkpoint_interval: Duration::from_millis(500),
            in_flight_bytes_max: 32 * 1024 * 1024,
        }
    }
}
