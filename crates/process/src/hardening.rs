//! What would let secrets out of the process: core dumps, debuggers, swap. And what would end it in the
//! middle of a write.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::Signal as Name;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// Lets a write beyond the limit of a file's size (`ulimit -f`) fail with an error; else it would end
/// the process.
///
/// Called within a runtime.
pub fn outlive_file_size_limit() {
    // What is done at the signal stays so when nobody listens for it.
    if let Err(error) = signal(SignalKind::from_raw(Name::XFSZ.as_raw())) {
        tracing::warn!(%error, "a limit of a file's size will end the process when it is reached");
    }
}

/// Switches core dumps off, and keeps others of the same user from looking into the process.
pub fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the process could not be marked as not dumpable");
    }
}

/// Keeps every page that the process touches out of swap; whether the system allowed it.
pub fn lock_memory() -> bool {
    // Pages are locked when they are first touched: what is merely mapped costs nothing.
    match mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(
                %error,
                "memory could not be locked and may be swapped to disk: allow it (CAP_IPC_LOCK, or \
                 a higher limit of locked memory), encrypt swap, or set disable_mlock = true"
            );
            false
        }
    }
}
