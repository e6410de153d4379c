//! The embedded backend.

mod basics;
mod crash;
mod damage;
mod directories;
mod faults;
mod load;
mod power;
mod simulation;
mod versions;

use secretum_storage::raft::RaftConfig;
use std::path::Path;

/// Small limits, so that little work comes to many files and checkpoints.
fn small(path: &Path) -> RaftConfig {
    let mut config = RaftConfig::new(path);
    config.log_segment_bytes = 32 * 1024;
    config.log_keep_bytes = 64 * 1024;
    config.log_cache_bytes = 16 * 1024;
    config.checkpoint_bytes = 16 * 1024;
    config.state_cache_bytes = 1024 * 1024;
    config
}
