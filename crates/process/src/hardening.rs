//! What would let secrets out of the process: core dumps, debuggers, swap. And what would end it in the
//! middle of a write.

use rustix::mm::{MlockAllFlags, mlockall, munlockall};
use rustix::process::Signal as Name;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use std::io;
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
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    match lock(flags) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(
                %error,
                "memory could not be locked and may be swapped to disk: allow it (CAP_IPC_LOCK, or \
                 no limit of locked memory), encrypt swap, or set disable_mlock = true"
            );
            false
        }
    }
}

/// How much must be left to map: more than a server does, whatever its load.
const ROOM_BYTES: u64 = 4 << 30;

/// Locks memory, unless the system would then refuse the process more of it: it would not start its
/// threads, or end when it allocates.
fn lock(flags: MlockAllFlags) -> io::Result<()> {
    mlockall(flags)?;
    let Some(limit) = getrlimit(Resource::Memlock).current else {
        return Ok(());
    };
    // With the capability no limit holds, and only trying tells.
    let refused = map(limit.min(ROOM_BYTES)).err();
    let Some(refused) = refused else {
        return Ok(());
    };
    munlockall()?;
    let text = format!("the limit of locked memory is {limit} bytes, which does not do: {refused}");
    Err(io::Error::new(refused.kind(), text))
}

/// Maps so many bytes for a moment, as the stack of a thread: of what is mapped so nothing is kept.
fn map(bytes: u64) -> io::Result<()> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let thread = std::thread::Builder::new().stack_size(bytes);
    // It does nothing that could fail.
    let _ = thread.spawn(|| ())?.join();
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use rustix::process::geteuid;
    use std::process::Command;

    const LIMIT: u64 = 8 << 20;

    /// In a process of its own, without the capability that lifts the limit.
    #[test]
    fn a_limit_that_would_end_the_process_later_leaves_memory_unlocked() {
        const INSIDE: &str = "SECRETUM_TEST_LOCKS_MEMORY";
        if std::env::var_os(INSIDE).is_some() {
            return lock_below_a_limit();
        }
        let own = std::env::current_exe().unwrap();
        let mut command = Command::new(&own);
        if geteuid().is_root() {
            command = Command::new("setpriv");
            command.args(["--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"]);
            command.arg(&own);
        }
        let name = "a_limit_that_would_end_the_process_later_leaves_memory_unlocked";
        command.arg(format!(
            "{}::{name}",
            module_path!().split_once("::").unwrap().1
        ));
        let run = command.arg("--exact").env(INSIDE, "1").output().unwrap();
        let output = String::from_utf8_lossy(&run.stdout);
        assert!(
            run.status.success() && output.contains("1 passed"),
            "{run:?}"
        );
    }

    fn lock_below_a_limit() {
        let limit = Rlimit {
            current: Some(LIMIT),
            ..getrlimit(Resource::Memlock)
        };
        setrlimit(Resource::Memlock, limit).unwrap();
        // What is there already may be more than the limit; what is to come is what fails later.
        let flags = MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
        mlockall(flags).unwrap();
        assert!(map(2 * LIMIT).is_err(), "the limit does not hold here");
        munlockall().unwrap();
        let error = lock(flags).unwrap_err().to_string();
        assert!(error.contains("8388608 bytes"), "{error}");
        map(2 * LIMIT).unwrap();
    }
}
